// What the agent tells its guard, one line each: JSON with "do".
//   {"do": "watch", "id": text, "timeout_ns": int, "undo": {...}}   before the fence goes up
//   {"do": "forget", "id": text}                                     after it was taken down
// At the end of the lines (the agent died, or is done) the guard undoes what it still watches, the
// last first; what stands for longer than its timeout it undoes at once.
//
// Pure: who reads lines and acts on fences is the guard's main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "services/snapshot-agent/fence/undo.hpp"

namespace lockstep::snapshot {

std::string watch_line(const std::string& id, Nanos timeout, const Undo& undo);
std::string forget_line(const std::string& id);

class Watched {
 public:
  // Error: internal (a line that is none of ours).
  Result<void> take(const std::string& line, MonoNanos now);

  struct Due {
    std::string id;
    Undo undo;
    std::string why;
  };
  // What must be undone now; it is watched no longer.
  std::vector<Due> due(MonoNanos now);
  // The holder is gone: everything, the last first.
  std::vector<Due> all();
  // How long until something may be due; nothing while nothing is watched.
  std::optional<Nanos> next(MonoNanos now) const;

 private:
  struct Watch {
    std::string id;
    MonoNanos until;
    Nanos timeout;
    Undo undo;
  };
  std::vector<Watch> watches_;  // in the order of telling
};

}  // namespace lockstep::snapshot
