#include "services/snapshot-agent/recovery.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>

#include "services/snapshot-agent/book.hpp"
#include "services/snapshot-agent/fence/undo.hpp"
#include "services/snapshot-agent/places.hpp"
#include "services/snapshot-agent/steps.hpp"

namespace lockstep::snapshot {

namespace {

// How long after a run's end what a store still made of it is looked for.
constexpr Nanos kLate = seconds(900);

// Sets that share a hook or a cgroup have one way to undo it, which is gone once.
Result<void> undo_fences(const Tools& tools) {
  LOCKSTEP_TRY(const std::vector<FenceRow> fences, Book(tools.journal).fences());
  std::set<std::string> done;
  for (const FenceRow& fence : fences) {
    if (!done.contains(fence.undo)) {
      LOCKSTEP_TRY(const Undo undo, undo_from_text(fence.undo));
      auto undone = perform(undo, tools.disk, tools.processes);
      if (!undone) {
        spdlog::error("the fence of {}/{} of run {} could not be undone: {}", fence.service,
                      fence.set, fence.run, undone.error().text());
        continue;  // the row stays for the next start
      }
      done.insert(fence.undo);
    }
    spdlog::warn("undid the fence of {}/{} that run {} had left", fence.service, fence.set,
                 fence.run);
    LOCKSTEP_CHECK(tools.journal.transact(
        "fence-undone", [&](journal::Transaction& transaction) -> Result<void> {
          Book::remove_fence(transaction, fence.run, fence.set);
          transaction.emit("fence.undone", fence.service,
                           {{"run", fence.run},
                            {"service", fence.service},
                            {"set", fence.set},
                            {"why", "the agent had died while the fence stood"}});
          return {};
        }));
  }
  return {};
}

Result<void> drop_run(const Tools& tools, const RunRow& run, Over over, const std::string& why) {
  Pins pins(tools, run.service, run.run);
  const Occasion occasion{run.service, run.run, {}, 0, std::nullopt, {}};
  auto dropped = do_drop(tools, pins, occasion, {}, over, why);
  if (dropped) return {};
  if (dropped.error().code == ErrorCode::journal_write) return std::move(dropped).error();
  spdlog::error("run {} of {}: its pins could not all be dropped: {}", run.run, run.service,
                dropped.error().text());
  return {};
}

// Of these places every version that no hold names and that `may_go`.
Result<void> drop_unheld(const Tools& tools, const std::vector<MemberRow>& places,
                         const std::function<bool(const component::Version&)>& may_go) {
  for (const MemberRow& place : places) {
    const OwnSet set = read_set(place.service, place.set);
    component::Component* component = tools.components.find(set.data.component);
    component::Snapshots* snapshots = component != nullptr ? component->snapshots() : nullptr;
    if (snapshots == nullptr) continue;
    auto listed = snapshots->list(set.data);
    if (!listed) {
      spdlog::error("the versions of {}/{} cannot be listed: {}", place.service, place.name,
                    listed.error().text());
      continue;
    }
    // Read after the list: whoever holds a version meanwhile is heard.
    LOCKSTEP_TRY(const std::vector<Hold> holds, Book(tools.journal).holds());
    for (const component::Version& version : *listed) {
      const bool held = std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
        return hold.run == version.name && hold.service == place.service && hold.set == place.name;
      });
      if (held || !may_go(version)) continue;
      component::Context context;
      context.run = version.name;
      auto dropped = snapshots->drop(context, version);
      if (dropped) {
        spdlog::warn("dropped the version {} of {}/{} that nothing held", version.name,
                     place.service, place.name);
      } else {
        spdlog::error("the version {} of {}/{}, which nothing holds, cannot be dropped: {}",
                      version.name, place.service, place.name, dropped.error().text());
      }
    }
  }
  return {};
}

// No snapshot without a hold: what the stores hold and the journal does not know.
Result<void> drop_unknown(const Tools& tools) {
  LOCKSTEP_TRY(std::vector<MemberRow> places, Book(tools.journal).places());
  // Also those that a journal knew which was lost.
  LOCKSTEP_TRY(std::vector<MemberRow> remembered, remembered_places(tools));
  std::move(remembered.begin(), remembered.end(), std::back_inserter(places));
  return drop_unheld(tools, places, [](const component::Version&) { return true; });
}

// What a store finished making when its run had been dropped already: HBase's master goes on with a
// snapshot though nobody waits for it any more.
Result<void> drop_late(const Tools& tools) {
  Book book(tools.journal);
  LOCKSTEP_TRY(const auto over, book.over_since(tools.clock.utc() - kLate));
  if (over.empty()) return {};
  LOCKSTEP_TRY(std::vector<MemberRow> places, book.places());
  std::erase_if(places, [&](const MemberRow& place) {
    return std::none_of(over.begin(), over.end(),
                        [&](const RunRow& run) { return run.service == place.service; });
  });
  return drop_unheld(tools, places, [&](const component::Version& version) {
    return std::any_of(over.begin(), over.end(),
                       [&](const RunRow& run) { return run.run == version.name; });
  });
}

Result<void> finish_drops(const Tools& tools) {
  LOCKSTEP_TRY(const std::vector<RunRow> left, Book(tools.journal).unfinished_drops());
  for (const RunRow& run : left) {
    LOCKSTEP_CHECK(drop_run(tools, run, run.over, "its drop was not finished"));
  }
  return {};
}

}  // namespace

Result<void> recover(const Tools& tools) {
  LOCKSTEP_CHECK(undo_fences(tools));
  LOCKSTEP_TRY(const std::vector<RunRow> open, Book(tools.journal).open_runs());
  for (const RunRow& run : open) {
    spdlog::warn("run {} of {} was not committed when the agent ended: its pins are dropped",
                 run.run, run.service);
    LOCKSTEP_CHECK(drop_run(tools, run, Over::lost, "the agent was restarted"));
  }
  LOCKSTEP_CHECK(finish_drops(tools));
  return drop_unknown(tools);  // also what drop_late() would find
}

Result<void> try_again(const Tools& tools) {
  LOCKSTEP_CHECK(finish_drops(tools));
  return drop_late(tools);
}

}  // namespace lockstep::snapshot
