#include "services/snapshot-agent/steps.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "common/component/user_capture.hpp"
#include "common/message/bytes.hpp"
#include "common/service/clock_body.hpp"
#include "services/snapshot-agent/places.hpp"

namespace lockstep::snapshot {

namespace {

MemberRow row_of(const Occasion& occasion, const OwnSet& set) {
  return {occasion.run, occasion.service, set.data.id.set, set.body, std::nullopt};
}

message::Body pin_event(const Occasion& occasion, const std::string& set) {
  return {{"run", occasion.run}, {"service", occasion.service}, {"set", set}};
}

Outcome answer(message::Body body, std::function<void(RunState&)> facts = {}) {
  return {std::move(body), std::move(facts)};
}

// Held for longer than its run: the base of later runs, or what a superseded primary had written.
bool outlives(const Hold& hold) { return hold.reason == "base" || hold.reason == kDivergent; }

bool outlives(const std::vector<Hold>& holds, const MemberRow& member) {
  return std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
    return hold.run == member.run && hold.set == member.name && outlives(hold);
  });
}

bool is_divergent(const std::vector<Hold>& holds, const std::string& run) {
  return std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
    return hold.run == run && hold.reason == kDivergent;
  });
}

std::vector<OwnSet> sets_of(const std::vector<MemberRow>& members) {
  std::vector<OwnSet> sets;
  for (const MemberRow& member : members) sets.push_back(read_set(member.service, member.set));
  return sets;
}

// A set of a committed run, as it is told; of user data with what was read of it.
Result<message::Body> committed_set(const Tools& tools, const std::string& name,
                                    const component::Version& version) {
  message::Body out = {{"name", name}, {"version", to_body(version)}};
  auto* component = tools.components.find(version.component);
  auto* snapshots = component == nullptr ? nullptr : component->snapshots();
  if (const auto* captures = dynamic_cast<const component::CapturesUsers*>(snapshots)) {
    LOCKSTEP_TRY(const component::UserCapture users, captures->capture_of(version));
    out["users"] = {{"store", users.store},
                    {"digest", users.digest},
                    {"records", users.records},
                    {"captured", to_body(users.captured)}};
  }
  return out;
}

}  // namespace

Result<Outcome> do_arm(const Tools& tools, Pins& pins, const Occasion& occasion,
                       const std::vector<OwnSet>& sets, UtcNanos moment, Nanos lease) {
  // Arming may already leave things in the stores (a tree that is copied ahead).
  LOCKSTEP_CHECK(remember_places(tools, sets));
  LOCKSTEP_CHECK(
      tools.journal.transact("arm-intent", [&](journal::Transaction& transaction) -> Result<void> {
        Book::put_run(transaction, {occasion.run, occasion.service, false, Over::no},
                      tools.clock.utc());
        for (const OwnSet& set : sets) Book::put_member(transaction, row_of(occasion, set));
        return {};
      }));
  LOCKSTEP_TRY(const std::vector<ArmedSet> armed,
               pins.arm(sets, moment, occasion.deadline, occasion.stop, occasion.progress));
  std::map<std::string, SetState> states;
  message::Body told = message::Body::array();
  for (std::size_t i = 0; i < armed.size(); ++i) {
    const component::Estimate& estimate = armed[i].estimate;
    states[armed[i].name].wants_fence = sets[i].fence.kind != FenceWish::Kind::none;
    told.push_back({{"name", armed[i].name},
                    {"estimate",
                     {{"pin_ns", estimate.pin.count},
                      {"needs_fence", estimate.needs_fence},
                      {"own_fence", estimate.has_own_fence},
                      {"one_instant", estimate.one_instant},
                      {"method", estimate.method}}}});
  }
  message::Body body = {{"clock", service::clock_body(tools.clock)}, {"sets", std::move(told)}};
  LOCKSTEP_CHECK(
      tools.journal.transact("arm-done", [&](journal::Transaction& transaction) -> Result<void> {
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(std::move(body), [states, moment, lease](RunState& state) {
    state.armed(states, moment.count, lease.count);
  });
}

Result<Outcome> do_raise(const Tools& tools, Pins& pins, const Occasion& occasion,
                         const std::vector<std::string>& names, UtcNanos at) {
  LOCKSTEP_TRY(const std::vector<RaisedFence> raised, pins.raise(names, at, occasion.stop));
  message::Body told = message::Body::array();
  std::vector<std::string> up;
  for (const RaisedFence& fence : raised) {
    up.push_back(fence.set);
    told.push_back(
        {{"name", fence.set}, {"kind", kind_name(fence.kind)}, {"raised", to_body(fence.raised)}});
  }
  message::Body body = {{"clock", service::clock_body(tools.clock)}, {"sets", std::move(told)}};
  LOCKSTEP_CHECK(
      tools.journal.transact("raise-done", [&](journal::Transaction& transaction) -> Result<void> {
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(std::move(body), [up](RunState& state) {
    for (const std::string& set : up) state.fence_raised(set);
  });
}

Result<Outcome> do_pin(const Tools& tools, Pins& pins, const Occasion& occasion,
                       const std::vector<std::string>& names, UtcNanos at) {
  // The intent stands since arm: the members are journaled, and find() shows what was made of them.
  LOCKSTEP_TRY(const std::vector<PinnedSet> pinned, pins.pin(names, at, occasion.stop));
  LOCKSTEP_TRY(std::vector<MemberRow> members, Book(tools.journal).members_of(occasion.run));
  message::Body told = message::Body::array();
  for (const PinnedSet& set : pinned) {
    message::Body caveats = message::Body::array();
    for (const std::string& caveat : set.pinned.caveats) {
      caveats.push_back(message::text_or_bytes(caveat));
    }
    told.push_back({{"name", set.name},
                    {"pinned", to_body(set.pinned.interval)},
                    {"one_instant", set.pinned.one_instant},
                    {"durable", set.pinned.durable},
                    {"method", set.pinned.method},
                    {"caveats", std::move(caveats)},
                    {"version", to_body(set.pinned.version)}});
    if (!set.pinned.one_instant) told.back()["quiet"] = set.pinned.quiet;
  }
  message::Body body = {{"clock", service::clock_body(tools.clock)}, {"sets", std::move(told)}};
  const UtcNanos now = tools.clock.utc();
  LOCKSTEP_CHECK(
      tools.journal.transact("pin-done", [&](journal::Transaction& transaction) -> Result<void> {
        for (MemberRow& member : members) {
          const auto set = std::find_if(pinned.begin(), pinned.end(), [&](const PinnedSet& one) {
            return one.name == member.name;
          });
          if (set == pinned.end()) continue;
          member.version = set->pinned.version;
          Book::put_member(transaction, member);
          Book::put_hold(transaction, member, "run", now);
          message::Body event = pin_event(occasion, member.name);
          event["method"] = set->pinned.method;
          transaction.emit("pin.made", occasion.service, std::move(event));
        }
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(std::move(body), [names, now](RunState& state) { state.pinned(names, now.count); });
}

Result<Outcome> do_lower(const Tools& tools, Pins& pins, const Occasion& occasion) {
  message::Body told = message::Body::array();
  std::vector<std::string> down;
  for (const LoweredFence& fence : pins.lower()) {
    down.push_back(fence.set);
    told.push_back({{"name", fence.set},
                    {"lowered", to_body(fence.lowered)},
                    {"held", fence.held},
                    {"detail", message::text_or_bytes(fence.detail)}});
  }
  message::Body body = {{"clock", service::clock_body(tools.clock)}, {"sets", std::move(told)}};
  LOCKSTEP_CHECK(
      tools.journal.transact("lower-done", [&](journal::Transaction& transaction) -> Result<void> {
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(std::move(body), [down](RunState& state) {
    for (const std::string& set : down) state.fence_lowered(set);
  });
}

Result<Outcome> do_commit(const Tools& tools, Pins& pins, const Occasion& occasion) {
  LOCKSTEP_TRY(const std::vector<SettledSet> settled,
               pins.settle(occasion.stop, occasion.progress));
  LOCKSTEP_TRY(std::vector<MemberRow> members, Book(tools.journal).members_of(occasion.run));
  message::Body told = message::Body::array();
  for (const SettledSet& set : settled) {
    LOCKSTEP_TRY(message::Body one, committed_set(tools, set.name, set.version));
    told.push_back(std::move(one));
  }
  message::Body body = {{"state", "committed"}, {"sets", std::move(told)}};
  LOCKSTEP_CHECK(
      tools.journal.transact("commit-done", [&](journal::Transaction& transaction) -> Result<void> {
        for (MemberRow& member : members) {
          for (const SettledSet& set : settled) {
            if (set.name != member.name) continue;
            member.version = set.version;
            Book::put_member(transaction, member);
          }
        }
        Book::put_run(transaction, {occasion.run, occasion.service, true, Over::no},
                      tools.clock.utc());
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(std::move(body), [](RunState& state) { state.committed(); });
}

Result<message::Body> commit_body(const Tools& tools, const std::string& run) {
  LOCKSTEP_TRY(const std::vector<MemberRow> members, Book(tools.journal).members_of(run));
  message::Body told = message::Body::array();
  for (const MemberRow& member : members) {
    if (!member.version) continue;
    LOCKSTEP_TRY(message::Body one, committed_set(tools, member.name, *member.version));
    told.push_back(std::move(one));
  }
  return message::Body{{"state", "committed"}, {"sets", std::move(told)}};
}

Result<Outcome> do_set_aside(const Tools& tools, const Occasion& occasion) {
  LOCKSTEP_TRY(const std::vector<MemberRow> kept, Book(tools.journal).members_of(occasion.run));
  const message::Body body = {{"dropped", message::Body::array()}};
  LOCKSTEP_CHECK(
      tools.journal.transact("set-aside", [&](journal::Transaction& transaction) -> Result<void> {
        for (const MemberRow& member : kept) {
          Book::put_hold(transaction, member, kDivergent, tools.clock.utc());
        }
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(body);
}

message::Body holds_body(const std::vector<Hold>& holds) {
  message::Body told = message::Body::array();
  for (const Hold& hold : holds) {
    told.push_back({{"service", hold.service},
                    {"set", hold.set},
                    {"run", hold.run},
                    {"reason", hold.reason},
                    {"since", to_rfc3339(hold.since)},
                    {"version", to_body(hold.version)}});
  }
  return {{"holds", std::move(told)}};
}

Result<message::Body> release_divergent(const Tools& tools, const std::string& run) {
  Book book(tools.journal);
  LOCKSTEP_TRY(const std::optional<RunRow> row, book.find_run(run));
  if (!row) return make_error(ErrorCode::not_found, "nothing is held for that run here", run);
  if (row->over == Over::dropped) return holds_body({});
  LOCKSTEP_TRY(std::vector<Hold> holds, book.holds());
  std::erase_if(holds, [&](const Hold& hold) { return hold.run != run; });
  const bool divergent = !holds.empty() && std::all_of(holds.begin(), holds.end(), [](auto& hold) {
    return hold.reason == kDivergent;
  });
  if (!divergent) {
    return make_error(ErrorCode::guard, "what is held for that run is no divergence", run,
                      "holds of runs and bases end by themselves");
  }
  LOCKSTEP_CHECK(
      tools.journal.transact("release", [&](journal::Transaction& transaction) -> Result<void> {
        Book::put_run(transaction, {run, row->service, true, Over::dropped}, tools.clock.utc());
        Book::remove_holds(transaction, run);
        return {};
      }));
  return holds_body(holds);
}

Result<Outcome> do_keep(const Tools& tools, const Occasion& occasion) {
  Book book(tools.journal);
  LOCKSTEP_TRY(const std::vector<MemberRow> kept, book.members_of(occasion.run));
  const UtcNanos now = tools.clock.utc();
  LOCKSTEP_CHECK(
      tools.journal.transact("keep-base", [&](journal::Transaction& transaction) -> Result<void> {
        for (const MemberRow& member : kept) {
          Book::put_hold(transaction, member, "base", now);
        }
        return {};
      }));
  // From here on a crash leaves older versions held that a repeated keep drops.
  LOCKSTEP_TRY(const std::vector<std::string> runs, book.runs_of(occasion.service));
  LOCKSTEP_TRY(const std::vector<Hold> holds, book.holds());
  message::Body dropped = message::Body::array();
  for (const std::string& run : runs) {
    if (run >= occasion.run || is_divergent(holds, run)) continue;
    LOCKSTEP_TRY(const std::optional<RunRow> row, book.find_run(run));
    if (!row || !row->committed) continue;  // an open one ends by its own rules
    LOCKSTEP_TRY(const std::vector<MemberRow> members, book.members_of(run));
    Pins pins(tools, occasion.service, run);
    LOCKSTEP_CHECK(pins.drop(sets_of(members)));
    LOCKSTEP_CHECK(
        tools.journal.transact("keep-drop", [&](journal::Transaction& transaction) -> Result<void> {
          for (const MemberRow& member : members) {
            if (!Book::remove_member(transaction, run, member.name)) continue;
            transaction.emit("pin.dropped", occasion.service,
                             {{"run", run},
                              {"service", occasion.service},
                              {"set", member.name},
                              {"why", "a newer point is sealed"}});
          }
          return {};
        }));
    dropped.push_back(run);
  }
  message::Body body = {{"dropped", std::move(dropped)}};
  LOCKSTEP_CHECK(
      tools.journal.transact("keep-done", [&](journal::Transaction& transaction) -> Result<void> {
        transaction.store_reply(occasion.key(), {true, body});
        return {};
      }));
  return answer(std::move(body));
}

Result<Outcome> do_drop(const Tools& tools, Pins& pins, const Occasion& occasion,
                        const std::vector<OwnSet>& also, Over over, const std::string& why,
                        const std::optional<Error>& failure) {
  Book book(tools.journal);
  LOCKSTEP_TRY(std::vector<MemberRow> members, book.members_of(occasion.run));
  LOCKSTEP_TRY(const std::vector<Hold> holds, book.holds());
  std::erase_if(members, [&](const MemberRow& member) { return outlives(holds, member); });
  std::vector<OwnSet> sets = sets_of(members);
  for (const OwnSet& set : also) {
    const bool known =
        std::any_of(sets.begin(), sets.end(),
                    [&](const OwnSet& one) { return one.data.id == set.data.id; }) ||
        std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
          return hold.run == occasion.run && hold.set == set.data.id.set && outlives(hold);
        });
    if (!known) sets.push_back(set);
  }
  LOCKSTEP_TRY(const std::optional<RunRow> before, book.find_run(occasion.run));
  // The tombstone first: whatever happens to the rest, nothing of this run begins any more.
  // A base outlives its run.
  const bool keeps_base = std::any_of(holds.begin(), holds.end(), [&](const Hold& hold) {
    return hold.run == occasion.run && outlives(hold);
  });
  const bool ends_now = !keeps_base && (!before || before->over == Over::no);
  LOCKSTEP_CHECK(
      tools.journal.transact("drop-intent", [&](journal::Transaction& transaction) -> Result<void> {
        if (ends_now) {
          Book::put_run(transaction, {occasion.run, occasion.service, false, over},
                        tools.clock.utc());
        }
        return {};
      }));
  auto removed = pins.drop(sets);
  if (!removed && !failure) return std::move(removed).error();
  if (!removed) spdlog::error("{}; it will be tried again", removed.error().text());
  LOCKSTEP_CHECK(
      tools.journal.transact("drop-done", [&](journal::Transaction& transaction) -> Result<void> {
        for (const MemberRow& member : members) {
          if (!removed) break;
          if (!Book::remove_member(transaction, occasion.run, member.name)) continue;
          if (!member.version) continue;
          message::Body event = pin_event(occasion, member.name);
          event["why"] = message::text_or_bytes(why);
          transaction.emit("pin.dropped", occasion.service, std::move(event));
        }
        if (!occasion.step.empty()) {
          transaction.store_reply(
              occasion.key(), failure ? journal::StoredReply{false, message::error_body(*failure)}
                                      : journal::StoredReply{true, message::Body::object()});
        }
        return {};
      }));
  return answer(message::Body::object(), [over, keeps_base](RunState& state) {
    if (!keeps_base) state.ended_as(over);
  });
}

Result<void> store_failure(const Tools& tools, const Occasion& occasion, const Error& error) {
  return tools.journal.transact(
      "step-failed", [&](journal::Transaction& transaction) -> Result<void> {
        transaction.store_reply(occasion.key(), {false, message::error_body(error)});
        return {};
      });
}

}  // namespace lockstep::snapshot
