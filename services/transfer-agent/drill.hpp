// Drills: a recovery point brought up beside the live data, the user's check run on it, what came
// of it recorded, and everything cleaned up, also when the process died in the middle.
//
// The copy lies at `<root>/drill-<id>/<set>`; the check runs there, on this host. Of a set that is
// kept in no file system of the host it lies at that path of its own store.
#pragma once

#include <mutex>
#include <set>
#include <stop_token>
#include <string>

#include "common/os/processes.hpp"
#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/record_store.hpp"

namespace lockstep::transfer {

// The journal's table; a migration.
extern const char* const kDrillTable;

// Thread rule: any thread.
class Drills {
 public:
  Drills(const Agent& agent, const RecordStore& records, os::Processes& processes)
      : agent_(agent), records_(records), processes_(processes) {}

  // point.drill: the body of its done, also where the check fails. Asked again under the same id
  // it answers the same. Errors: those of not being able to give the point back.
  Result<message::Body> drill(const message::Envelope& envelope, std::stop_token stop,
                              ProgressBoard& board);
  // drill.list: newest first.
  Result<message::Body> list(const message::Body& request) const;
  // After a start: what was under way is cleaned up, and recorded as interrupted.
  Result<void> recover();
  // A drill reads this point now: it is not to be deleted.
  bool uses(const std::string& point) const;

 private:
  std::string place_of(const std::string& id) const { return agent_.root + "/drill-" + id; }
  Result<void> put(const message::Body& row, bool ended);
  // Removes the copy of that point, on this host and in its sets' own stores.
  Result<void> clean_up(const std::string& id, const std::string& point);
  Result<message::Body> look(const message::Envelope& envelope, std::stop_token stop,
                             ProgressBoard& board, message::Body row);

  const Agent& agent_;
  const RecordStore& records_;
  os::Processes& processes_;
  mutable std::mutex guard_;
  std::set<std::string> used_;  // points
};

}  // namespace lockstep::transfer
