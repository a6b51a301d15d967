// Removing: a point by a command, a run's traces by transfer.drop, manifests that no transfer needs
// any more. The name first, then what it named; a removal that began is finished after a restart.
#pragma once

#include <vector>

#include "services/transfer-agent/agent.hpp"
#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/drill.hpp"
#include "services/transfer-agent/epoch.hpp"
#include "services/transfer-agent/guards.hpp"
#include "services/transfer-agent/record_store.hpp"
#include "services/transfer-agent/tasks.hpp"

namespace lockstep::transfer {

// Thread rule: any thread; not from a task of the run that is dropped.
class Remover {
 public:
  Remover(const Agent& agent, Book& book, const RecordStore& records, EpochKeeper& epochs,
          Tasks& tasks, const Drills& drills)
      : agent_(agent),
        book_(book),
        records_(records),
        epochs_(epochs),
        tasks_(tasks),
        drills_(drills) {}

  // point.delete. Errors: those of may_delete, run-busy (a transfer starts from this point now,
  // or a drill reads it),
  // identity-wrong, epoch-old. Of a point that is gone: point-missing. Of one whose record cannot
  // be read: deleted with whatever its service's places hold of it, not before `lock` after the
  // record was written.
  Result<message::Body> delete_point(const message::Envelope& envelope);

  // transfer.drop: the tombstone, then the end of what is at work for the run, then its stagings,
  // versions and manifests. Error: guard (the run is a recovery point).
  Result<message::Body> drop_run(const message::Envelope& envelope);

  // transfer.keep: the manifests of older runs of the service go.
  Result<message::Body> keep_run(const message::Envelope& envelope);

  // After a start, before anything is asked of the agent: deletions that were under way are
  // finished, runs with a tombstone dropped, stagings and manifests without a run removed.
  Result<void> recover();

 private:
  // A service's targets, or those of all: by the journal and by the records that can be read.
  Result<std::vector<component::DataSet>> known_targets(const std::string& service);
  Result<PointFacts> damaged_point(const RecordStore::Name& name);
  Result<void> drop_nameless(const RecordStore::Name& name);
  Result<void> finish_deletion(const RecordStore::Name& name, const message::Envelope* asked_by);
  Result<void> drop_version(const component::Version& version);
  Result<void> drop_received(const std::string& run, const std::vector<component::DataSet>& also);
  Result<void> drop_sent(const std::vector<Sent>& rows, const char* failpoint);
  Result<void> collect(const component::DataSet& target);
  Result<void> collect_manifests();
  Result<bool> base_in_use(const std::string& id);
  Result<bool> known(const component::SetId& id, const std::string& run);

  const Agent& agent_;
  Book& book_;
  const RecordStore& records_;
  EpochKeeper& epochs_;
  Tasks& tasks_;
  const Drills& drills_;
};

}  // namespace lockstep::transfer
