// Book: the snapshot-agent's own tables in its journal (docs/journal.md), one function a fact.
//
// What is done in one transaction together with a reply or an event takes the Transaction; the rest
// makes its own. Thread rule: any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/journal/journal.hpp"
#include "services/snapshot-agent/logic/run_state.hpp"
#include "services/snapshot-agent/sets.hpp"

namespace lockstep::snapshot {

journal::Migrations migrations();

struct RunRow {
  std::string run;
  std::string service;
  bool committed = false;
  Over over = Over::no;  // a tombstone, where not `no`
};

// One data set of a run that this agent has, or may have, something of.
struct MemberRow {
  std::string run;
  std::string service;
  std::string name;
  message::Body set;                          // as the instruction had it
  std::optional<component::Version> version;  // pinned
};

struct Hold {
  std::string service;
  std::string set;
  std::string run;
  std::string reason;  // "run", "base", "divergent"
  UtcNanos since;
  component::Version version;
};

// A fence that was, or is about to be, raised and has not been lowered. `undo` is how
// (fence/undo.hpp).
struct FenceRow {
  std::string run;
  std::string service;
  std::string set;
  std::string undo;
};

class Book {
 public:
  explicit Book(journal::Journal& journal) : journal_(journal) {}

  Result<std::optional<RunRow>> find_run(const std::string& run);
  Result<std::vector<RunRow>> open_runs();
  Result<std::vector<MemberRow>> members_of(const std::string& run);
  // Every run of the service that has members, in order of time.
  Result<std::vector<std::string>> runs_of(const std::string& service);
  Result<std::vector<Hold>> holds();
  // Every place a set of this agent ever had, for "no snapshot without a hold".
  Result<std::vector<MemberRow>> places();
  Result<std::vector<FenceRow>> fences();
  // Runs that are over, of which something could not be removed.
  Result<std::vector<RunRow>> unfinished_drops();
  // Services and runs that were dropped, failed or lost at `since` or later.
  Result<std::vector<RunRow>> over_since(UtcNanos since);
  // The highest identity epoch that a command was given under.
  Result<std::optional<message::Epoch>> epoch();

  static void put_epoch(journal::Transaction& transaction, const message::Epoch& epoch);
  static void put_run(journal::Transaction& transaction, const RunRow& run, UtcNanos now);
  static void put_member(journal::Transaction& transaction, const MemberRow& member);
  static void put_hold(journal::Transaction& transaction, const MemberRow& member,
                       const std::string& reason, UtcNanos now);
  static void remove_holds(journal::Transaction& transaction, const std::string& run);
  // False where it is gone already: a drop and the keep of a newer point may come at once, and only
  // one of them tells of it.
  static bool remove_member(journal::Transaction& transaction, const std::string& run,
                            const std::string& name);
  static void put_fence(journal::Transaction& transaction, const FenceRow& fence);
  static void remove_fence(journal::Transaction& transaction, const std::string& run,
                           const std::string& set);

 private:
  journal::Journal& journal_;
};

}  // namespace lockstep::snapshot
