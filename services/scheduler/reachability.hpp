// Reachability: which agents answer, and since when; and their clocks, as the site's are wished.
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/service/clock_body.hpp"
#include "common/service/service.hpp"

namespace lockstep::scheduler {

class Reachability {
 public:
  explicit Reachability(service::Surroundings& here);

  void watch();                // asks every agent, now and every few seconds
  message::Body body() const;  // `agents` of the answer to `status`
  // Of this host (`definitions.json`, site_clock).
  message::Body own_clock() const;

 private:
  struct Seen {
    bool reachable = false;
    UtcNanos since;
    bool asked = false;
    message::Body clock = {};  // null: not known
  };
  void take_clock(const std::string& agent, const message::Body& ping, UtcNanos asked);
  // Whether it can serve: parts of one boot need no synchronisation.
  message::Body judged(const message::Body& clock,
                       const std::optional<service::Apart>& apart) const;
  void ask(const std::string& agent);

  service::Surroundings& here_;
  std::map<std::string, Seen> agents_;
};

}  // namespace lockstep::scheduler
