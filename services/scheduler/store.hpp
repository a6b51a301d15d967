// Store: the scheduler's tables in its journal. Runs and their records, how far each schedule was
// looked at, the catalog of points (a cache), and prunings.
//
// Thread rule: the reactor's thread. Every change is one transaction; an error of writing
// (journal-write) ends the process, and the next start goes on from what stands.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/journal/journal.hpp"
#include "services/scheduler/origin.hpp"
#include "services/scheduler/run/state.hpp"

namespace lockstep::scheduler {

const journal::Migrations& store_migrations();

struct StoredRun {
  Origin origin;
  run::State state;
  std::size_t records = 0;  // how many stand in the journal
};

struct Emitted {  // an event, to be recorded with the change it tells of
  std::string type;
  std::string subject;
  message::Body data;
};

struct Pruning {
  std::string point;
  std::string service;
  std::string cluster;  // whose registrar deletes it
  std::string why;
};

class Store {
 public:
  explicit Store(journal::Journal& journal) : journal_(journal) {}

  // What is to happen in one transaction.
  struct Change {
    struct NewRun {
      Origin origin;
      run::Plan plan;
    };
    std::vector<NewRun> runs;
    struct NewRecords {
      const StoredRun* run = nullptr;  // as it was before
      run::State state;                // as it is with them
      std::vector<run::Record> records;
    };
    std::vector<NewRecords> records;
    std::map<std::string, UtcNanos> considered;                 // service
    std::vector<std::pair<std::string, message::Body>> points;  // cluster and point
    std::vector<Emitted> events;
    std::string asked_by;  // the id of the message that asked for runs.front(); empty: none did
  };
  // run-busy where a run of that service, scheduled instant and attempt stands already.
  Result<void> apply(const char* failpoint, const Change& change);

  // Runs that are not over, or leave something to be told to agents.
  Result<std::vector<StoredRun>> open_runs();
  Result<std::optional<StoredRun>> find_run(const std::string& run);
  // Newest first; all services where `service` is empty.
  Result<std::vector<StoredRun>> newest_runs(const std::string& service, std::size_t limit);
  // The last attempt of the run that this message began; empty where it began none.
  Result<std::string> run_begun_by(const std::string& message);
  // The newest run of the service in that state.
  Result<std::optional<StoredRun>> newest_in(const std::string& service, run::Phase phase);

  // Forgets what is over and not among the newest `keep` runs.
  Result<void> forget_old_runs(std::size_t keep);

  Result<std::optional<UtcNanos>> considered(const std::string& service);

  // The catalog. `points` becomes what is known of the cluster.
  Result<void> replace_points(const std::string& cluster, const std::vector<message::Body>& points);
  // Newest first.
  Result<std::vector<message::Body>> points(const std::string& service, const std::string& cluster);

  Result<void> intend_pruning(const std::vector<Pruning>& prunings);
  // Told once: of a point that is not intended to go (any more) nothing is written.
  Result<void> end_pruning(const Pruning& pruning, const std::optional<Error>& error, UtcNanos now);
  Result<std::vector<Pruning>> open_prunings();

 private:
  Result<std::vector<StoredRun>> load(const std::string& where_order,
                                      const std::vector<std::string>& values);
  journal::Journal& journal_;
};

}  // namespace lockstep::scheduler
