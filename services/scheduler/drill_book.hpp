// DrillBook: the scheduler's tables of drills. Which it asked for and waits for, how far each
// schedule was looked at, and what came of drills (a cache: a registrar's own record counts).
//
// Thread rule: the reactor's thread. Every change is one transaction; an error of writing
// (journal-write) ends the process, and the next start goes on from what stands.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/journal/journal.hpp"

namespace lockstep::scheduler {

// A migration of the scheduler's journal.
extern const char* const kDrillTables;

struct DrillWish {  // was intended, and has not ended
  std::string service;
  UtcNanos scheduled;
  std::string cluster;  // whose registrar is asked
  message::Body body;   // of point.drill
  std::string id() const { return body.at("drill").get<std::string>(); }
};

struct DrillSchedule {
  UtcNanos since;       // when the policy was first seen to ask for drills
  UtcNanos considered;  // the last instant that was begun or missed
};

struct LastDrills {
  std::optional<message::Body> any;
  std::optional<message::Body> good;
};

class DrillBook {
 public:
  explicit DrillBook(journal::Journal& journal) : journal_(journal) {}

  Result<std::optional<DrillSchedule>> schedule(const std::string& service);
  Result<void> consider(const std::string& service, UtcNanos instant);
  // What services outside of `wanted` had is forgotten: should they ask again, they begin anew.
  Result<void> keep_only(const std::set<std::string>& wanted);

  Result<std::vector<DrillWish>> wishes();
  Result<void> begin(const DrillWish& wish);
  // It has ended, and this came of it.
  Result<void> end(const DrillWish& wish, const message::Body& drill);
  // The moment passed without a drill; `drill`: the id of the wish that is given up, or empty.
  Result<void> missed(const std::string& service, UtcNanos scheduled, const std::string& drill,
                      const Error& why);

  // What a registrar told of, newest first; of each service the newest good and the newest other
  // one are kept.
  Result<void> learn(const message::Body& drills);
  Result<LastDrills> last(const std::string& service);

 private:
  Result<bool> knows(const message::Body& drill);  // it, or a newer one that came to the same end
  journal::Journal& journal_;
};

}  // namespace lockstep::scheduler
