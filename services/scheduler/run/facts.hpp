// Facts: what agents answered, as the run logic keeps them. The words are those of
// docs/protocol.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plan.hpp"

namespace lockstep::run {

struct Interval {  // of an act, on the clock of the host that did it
  Instant requested = 0;
  Instant acknowledged = 0;
};

struct HostClock {
  std::string boot_id;  // parts with one boot id share a clock
  bool synchronised = false;
  Span error = 0;
  Span offset = 0;          // REALTIME minus MONOTONIC: moves when the clock is set
  std::string source = {};  // what it follows; empty: an agent that does not say
  // By how much it is ahead of the control device's clock, as four timestamps bound it.
  struct Apart {
    Span least = 0;
    Span most = 0;
  };
  std::optional<Apart> apart = {};
};

struct Version {
  std::string component;
  std::string name;
  std::string native;  // belongs to the component that made it
};

struct Armed {
  struct Set {
    std::string name;
    Span pin = 0;  // how long the pin is expected to take
    bool needs_fence = false;
    bool own_fence = false;
    bool one_instant = true;
    std::string method;
  };
  HostClock clock;
  std::vector<Set> sets;
};

struct Raised {
  struct Set {
    std::string name;
    std::string kind;
    Interval raised;
  };
  HostClock clock;
  std::vector<Set> sets;
};

struct Pinned {
  struct Set {
    std::string name;
    Interval pinned;
    bool one_instant = true;
    bool quiet = false;  // of a pin not of one instant: proven that nothing changed meanwhile
    bool durable = true;
    std::string method;
    std::vector<std::string> caveats;
    Version version;
  };
  HostClock clock;
  std::vector<Set> sets;
};

struct Lowered {
  struct Set {
    std::string name;
    Interval lowered;
    bool held = false;
    std::string detail;
  };
  HostClock clock;
  std::vector<Set> sets;
};

// Of user data: what was read from a directory, known once the pin is durable.
struct UserCapture {
  std::string store;
  std::string digest;                            // of the document
  std::map<std::string, std::uint64_t> records;  // of each kind
  Interval captured;                             // it shows an instant in this
};

struct Committed {
  struct Set {
    std::string name;
    Version version;  // durable now; another than the pinned one where that was volatile
    std::optional<UserCapture> users = {};
  };
  bool committed = false;  // false: expired, for ever
  std::vector<Set> sets;
};

struct Transferred {
  struct Set {
    std::string name;
    std::string root;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_resent = 0;
    std::optional<std::string> base;
    std::vector<std::string> caveats;
  };
  std::vector<Set> sets;
};

struct Sealed {
  bool sealed = false;  // false: refused, for ever
  std::string digest;
  Instant sealed_at = 0;
  std::string why;  // of a refusal
};

struct Nothing {};

using Facts = std::variant<Nothing, Armed, Raised, Pinned, Lowered, Committed, Transferred, Sealed>;

}  // namespace lockstep::run
