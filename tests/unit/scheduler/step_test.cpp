// The run logic, one path at a time; the simulation takes all of them.
#include "services/scheduler/run/step.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

#include "services/scheduler/run/certificate.hpp"
#include "services/scheduler/run/successor.hpp"

using namespace lockstep::run;

namespace {

constexpr Instant kStart = 5'000 * kSecond;

Plan plan_now() {
  Plan plan;
  plan.run = "run";
  plan.service = "orders";
  plan.now = true;
  plan.scheduled = plan.begin_at = kStart;
  plan.sender = "sender";
  plan.receiver = plan.registrar = "receiver";
  plan.members = {{"invoices", "north", true, 5 * kSecond, {}},
                  {"ledger", "other", true, 5 * kSecond, {"invoices"}}};
  return plan;
}

// Drives one run: keeps its journal, what was asked, and a clock.
struct Driver {
  explicit Driver(Plan plan) : state(planned(std::move(plan))) {}

  State state;
  std::vector<Record> journal;
  std::vector<Ask> asked;
  Instant now = kStart;
  bool may_transfer = true;

  void feed(decltype(Input::what) what) {
    auto [next, effects] = step(state, {now, may_transfer, std::move(what)});
    state = std::move(next);
    for (Record& record : effects.records) journal.push_back(record);
    for (Ask& ask : effects.asks) asked.push_back(std::move(ask));
  }
  void restart() {
    State again = planned(state.plan);
    for (const Record& record : journal) fold(again, record);
    REQUIRE(again.phase == state.phase);
    state = std::move(again);
    asked.clear();
    feed(Restarted{});
  }
  std::vector<Ask> take(Act act) {
    std::vector<Ask> taken;
    for (const Ask& ask : asked)
      if (ask.key.act == act) taken.push_back(ask);
    std::erase_if(asked, [&](const Ask& ask) { return ask.key.act == act; });
    return taken;
  }
  void answer(Act act, const std::function<Facts(const Ask&)>& facts) {
    for (const Ask& ask : take(act)) feed(Answer{ask.key, ask.attempt, facts(ask)});
  }
  void fail(Act act, const std::string& code, bool reached = true) {
    for (const Ask& ask : take(act))
      feed(Answer{ask.key, ask.attempt, Failure{code, "it failed", ask.key.agent, "", reached}});
  }

  HostClock clock() const { return {"boot", true, 0, 0}; }
  std::vector<std::string> own(const Ask& ask) const {
    std::vector<std::string> names;
    for (const Member& member : state.plan.members) {
      if (member.agent == ask.key.agent &&
          (ask.sets.empty() ||
           std::find(ask.sets.begin(), ask.sets.end(), member.name) != ask.sets.end()))
        names.push_back(member.name);
    }
    return names;
  }

  void arm() {
    feed(Begin{});
    now += 20 * kMillisecond;
    answer(Act::arm, [this](const Ask&) { return Armed{clock(), {}}; });
  }
  void raise() {
    answer(Act::raise, [this](const Ask& ask) {
      Raised raised{clock(), {}};
      for (const std::string& name : own(ask))
        raised.sets.push_back({name, "own_lock", {ask.at, ask.at + kMillisecond}});
      now = std::max(now, ask.at + 2 * kMillisecond);
      return raised;
    });
  }
  void pin() {
    answer(Act::pin, [this](const Ask& ask) {
      Pinned pinned{clock(), {}};
      const Instant at = std::max(ask.at, now);
      for (const std::string& name : own(ask))
        pinned.sets.push_back({name,
                               {at, at + kMillisecond},
                               true,
                               false,
                               true,
                               "test",
                               {},
                               {"files", "run", "native of " + name}});
      now = at + 2 * kMillisecond;
      return pinned;
    });
  }
  void lower(bool held = true) {
    answer(Act::lower, [this, held](const Ask& ask) {
      Lowered lowered{clock(), {}};
      for (const std::string& name : own(ask))
        lowered.sets.push_back({name, {now, now + 1}, held, ""});
      now += kMillisecond;
      return lowered;
    });
  }
  void commit(bool committed = true) {
    answer(Act::commit, [committed](const Ask&) { return Committed{committed, {}}; });
  }
  void transfer() {
    answer(Act::transfer, [this](const Ask&) {
      Transferred moved;
      for (const Member& member : state.plan.members)
        moved.sets.push_back({member.name, "root", 1, 2, 3, 0, {}, {"a caveat"}});
      return moved;
    });
  }
  void seal(bool sealed) {
    answer(Act::seal, [this, sealed](const Ask&) { return Sealed{sealed, "digest", now, ""}; });
  }
  void nothing(Act act) {
    answer(act, [](const Ask&) { return Nothing{}; });
  }
  void to_transfer() {
    arm();
    raise();
    pin();
    lower();
    commit();
  }
};

}  // namespace

TEST_CASE("a commit that gets nowhere fails the run; one whose agent fell silent is asked again") {
  const Failure stuck{"stalled", "commit made no progress for 60s", "north", "", true};
  const Failure silent{"stalled", "'north' has been silent", "", "", false};
  for (const bool answers : {true, false}) {
    Driver run(plan_now());
    run.arm();
    run.raise();
    run.pin();
    run.lower();
    const auto asks = run.take(Act::commit);
    REQUIRE(asks.size() == 2);
    CHECK(asks[0].stall == run.state.plan.stall);
    run.feed(Answer{asks[0].key, asks[0].attempt, answers ? stuck : silent});
    if (answers) {
      CHECK(run.state.phase == Phase::drop);
      CHECK(run.state.failure->code == "stalled");
    } else {
      CHECK(run.state.phase == Phase::commit);
      run.now = *next_wake(run.state);
      run.feed(Tick{});
      const auto again = run.take(Act::commit);
      REQUIRE(again.size() == 1);
      CHECK(again[0].attempt == asks[0].attempt);
    }
  }
}

TEST_CASE("a good run passes every step once, and its certificate tells of them") {
  Driver run(plan_now());
  run.arm();
  CHECK(run.state.phase == Phase::raise);
  run.raise();
  CHECK(run.state.phase == Phase::pin);
  run.pin();
  CHECK(run.state.phase == Phase::lower);
  run.lower();
  CHECK(run.state.phase == Phase::commit);
  REQUIRE(run.state.verdict);
  CHECK(run.state.verdict->good);
  run.commit();
  CHECK(run.state.phase == Phase::transfer);
  run.transfer();
  CHECK(run.state.phase == Phase::seal);
  const Certificate certificate = certify(run.state);
  REQUIRE(certificate.sets.size() == 2);
  CHECK(certificate.sets[1].fence);
  CHECK(certificate.sets[1].moved.bytes_sent == 3);
  CHECK(certificate.sets[1].caveats == std::vector<std::string>{"a caveat"});
  CHECK(version_of(run.state, "ledger").native == "native of ledger");
  run.seal(true);
  CHECK(run.state.phase == Phase::keep);
  run.nothing(Act::keep);
  run.nothing(Act::keep_manifest);
  CHECK(run.state.phase == Phase::complete);
  CHECK(run.asked.empty());
  CHECK_FALSE(has_chores(run.state));
  CHECK_FALSE(deserves_successor(run.state));
}

TEST_CASE("the state is the fold of the journal at every point") {
  Driver run(plan_now());
  run.to_transfer();
  run.fail(Act::transfer, "stream-peer-lost");
  State again = planned(run.state.plan);
  for (const Record& record : run.journal) fold(again, record);
  CHECK(again.phase == run.state.phase);
  CHECK(again.moment == run.state.moment);
  CHECK(again.steps.size() == run.state.steps.size());
  for (const auto& [key, step] : run.state.steps) {
    REQUIRE(again.find(key) != nullptr);
    CHECK(again.find(key)->status == step.status);
    CHECK(again.find(key)->retry_at == step.retry_at);
  }
}

TEST_CASE("ordered pins referrers before referees") {
  Plan plan = plan_now();
  plan.consistency = Consistency::ordered;
  CHECK(pin_stages(plan) == std::vector<std::vector<std::string>>{{"ledger"}, {"invoices"}});
  Driver run(plan);
  run.arm();
  run.raise();
  auto first = run.take(Act::pin);
  REQUIRE(first.size() == 1);
  CHECK(first[0].key.agent == "other");
  CHECK(step_name(first[0].key) == "pin");
  run.asked = first;
  run.pin();
  const auto second = run.take(Act::pin);
  REQUIRE(second.size() == 1);
  CHECK(second[0].key.agent == "north");
  CHECK(step_name(second[0].key) == "pin.2");
}

TEST_CASE("an answer that comes twice, late or for another attempt changes nothing") {
  Driver run(plan_now());
  run.feed(Begin{});
  const auto arms = run.take(Act::arm);
  REQUIRE(arms.size() == 2);
  run.feed(Answer{arms[0].key, arms[0].attempt + 1, Facts{Armed{}}});
  run.feed(Answer{{Act::seal, 0, "receiver"}, 1, Facts{Sealed{true, "", 0, ""}}});
  CHECK(run.state.phase == Phase::arm);
  const auto records = run.journal.size();
  run.feed(Answer{arms[0].key, 1, Facts{Armed{run.clock(), {}}}});
  CHECK(run.journal.size() == records + 1);
  run.feed(Answer{arms[0].key, 1, Facts{Armed{run.clock(), {}}}});
  CHECK(run.journal.size() == records + 1);
}

TEST_CASE("arming that outlasts the moment moves it, for all agents") {
  Driver run(plan_now());
  run.feed(Begin{});
  const Instant first = run.state.moment;
  run.now += 3 * kSecond;
  run.answer(Act::arm, [&](const Ask&) { return Armed{run.clock(), {}}; });
  CHECK(run.state.moment > run.now);
  CHECK(run.state.moment > first);
  const auto again = run.take(Act::arm);
  REQUIRE(again.size() == 2);
  CHECK(again[0].attempt == 2);
}

TEST_CASE("what fails before commit drops every member, and another run may follow") {
  Driver run(plan_now());
  run.arm();
  run.raise();
  SECTION("a member's pin") {
    run.fail(Act::pin, "set-changed");
    CHECK(run.state.phase == Phase::drop);
    CHECK(run.take(Act::drop).size() == 2);
  }
  SECTION("the judgement") {
    run.pin();
    run.lower(false);
    CHECK(run.state.phase == Phase::drop);
    CHECK(run.state.failure->code == "fence-failed");
    CHECK(run.take(Act::drop).size() == 2);
  }
  SECTION("the lease") {
    run.pin();
    run.lower();
    run.commit(false);
    CHECK(run.state.failure->code == "pin-expired");
  }
  run.asked.clear();
  for (const char* agent : {"north", "other"})
    run.feed(Answer{{Act::drop, 0, agent}, 1, Facts{Nothing{}}});
  CHECK(run.state.phase == Phase::failed);
  REQUIRE(deserves_successor(run.state));
  const Plan next = successor(run.state, "next", run.now);
  CHECK(next.attempt == 2);
  CHECK(next.scheduled == kStart);
  CHECK(next.now);
  CHECK(next.begin_at > run.now);
  run.state.plan.attempt = run.state.plan.attempts;
  CHECK_FALSE(deserves_successor(run.state));
}

TEST_CASE("what will not be different next time is not tried again") {
  Driver run(plan_now());
  run.feed(Begin{});
  run.fail(Act::arm, "set-missing");
  run.nothing(Act::drop);
  CHECK(run.state.phase == Phase::failed);
  CHECK_FALSE(deserves_successor(run.state));
}

TEST_CASE("a pin is never resumed") {
  Driver run(plan_now());
  run.arm();
  run.raise();
  run.restart();
  CHECK(run.state.phase == Phase::drop);
  CHECK(run.state.failure->code == "pin-failed");
  CHECK(run.take(Act::pin).empty());
}

TEST_CASE("after commit a restart goes on with the same run") {
  Driver run(plan_now());
  run.to_transfer();
  const auto before = run.take(Act::transfer);
  run.asked = before;
  run.restart();
  const auto after = run.take(Act::transfer);
  REQUIRE(after.size() == 1);
  CHECK(after[0].attempt == before[0].attempt);
}

TEST_CASE("a transfer is tried again: the same attempt where nobody answered, else a higher one") {
  Driver run(plan_now());
  run.to_transfer();
  run.fail(Act::transfer, "unreachable", false);
  CHECK(run.state.phase == Phase::transfer);
  CHECK(pending(run.state));
  REQUIRE(next_wake(run.state));
  run.now = *next_wake(run.state);
  run.may_transfer = false;
  run.feed(Tick{});
  CHECK(run.take(Act::transfer).empty());  // it is another run's turn
  run.may_transfer = true;
  run.feed(Tick{});
  auto again = run.take(Act::transfer);
  REQUIRE(again.size() == 1);
  CHECK(again[0].attempt == 1);
  run.asked = again;
  run.fail(Act::transfer, "stream-peer-lost", true);
  run.feed(Nudge{});
  again = run.take(Act::transfer);
  REQUIRE(again.size() == 1);
  CHECK(again[0].attempt == 2);
}

TEST_CASE("a full disk ends the run at once, and both sides drop what they have") {
  Driver run(plan_now());
  run.to_transfer();
  run.fail(Act::transfer, "no-space");
  CHECK(run.state.phase == Phase::drop);
  CHECK(run.take(Act::drop).size() == 2);
  CHECK(run.take(Act::drop_transfer).size() == 2);
  CHECK_FALSE(deserves_successor(run.state));  // it was committed
}

TEST_CASE("a seal in doubt is repeated for ever; neither deadline nor user ends it") {
  Driver run(plan_now());
  run.to_transfer();
  run.transfer();
  for (int n = 0; n < 50; ++n) {
    CHECK(in_doubt(run.state));
    run.fail(Act::seal, n % 2 == 0 ? "unreachable" : "target-write", n % 2 != 0);
    run.now += run.state.plan.deadline;
    run.feed(Abort{});
    run.feed(Tick{});
    REQUIRE(run.state.phase == Phase::seal);
  }
  SECTION("sealed") {
    run.seal(true);
    CHECK(run.state.phase == Phase::keep);
  }
  SECTION("refused") {
    run.seal(false);
    CHECK(run.state.phase == Phase::drop);
    CHECK(run.state.failure->code == "seal-refused");
  }
}

TEST_CASE("the deadline ends a run that waits, and says for what") {
  Driver run(plan_now());
  run.to_transfer();
  run.fail(Act::transfer, "unreachable", false);
  run.now = kStart + run.state.plan.deadline;
  run.feed(Tick{});
  CHECK(run.state.phase == Phase::drop);
  CHECK(run.state.failure->code == "deadline");
  CHECK(run.state.failure->what.find("transfer of sender") != std::string::npos);
}

TEST_CASE("a drop that nobody hears is repeated after the run has ended") {
  Driver run(plan_now());
  run.feed(Begin{});
  run.feed(Abort{});
  run.fail(Act::drop, "unreachable", false);
  CHECK(run.state.phase == Phase::aborted);
  CHECK(has_chores(run.state));
  const Instant ended = run.state.ended_at;
  run.now = *next_wake(run.state) + 10 * kSecond;
  run.feed(Tick{});
  run.nothing(Act::drop);
  CHECK_FALSE(has_chores(run.state));
  CHECK(run.state.phase == Phase::aborted);
  CHECK(run.state.ended_at == ended);
}

TEST_CASE("a moment that passed is missed, never fired") {
  Plan plan = plan_now();
  plan.now = false;
  plan.catch_up = true;
  plan.scheduled = kStart + 10 * kSecond;
  Driver run(plan);
  SECTION("before its turn came") {
    CHECK(next_wake(run.state) == plan.scheduled + 1);
    run.now = plan.scheduled + 1;
    run.feed(Tick{});
    CHECK(run.state.phase == Phase::missed);
    CHECK(run.asked.empty());
  }
  SECTION("while the scheduler was not running") {
    run.feed(Begin{});
    run.now = plan.scheduled + 60 * kSecond;
    run.restart();
    run.nothing(Act::drop);
    CHECK(run.state.phase == Phase::missed);
  }
  REQUIRE(deserves_successor(run.state));
  const Plan next = successor(run.state, "next", run.now);
  CHECK(next.now);
  CHECK(next.begin_at == run.now);
  run.state.plan.catch_up = false;
  CHECK_FALSE(deserves_successor(run.state));
}

TEST_CASE("hooks come first and last, after a failure too") {
  Plan plan = plan_now();
  plan.before_hook = plan.after_hook = true;
  Driver run(plan);
  run.feed(Begin{});
  CHECK(run.state.phase == Phase::before);
  SECTION("before fails: nothing else was done") {
    run.fail(Act::before, "hook-failed");
    CHECK(run.take(Act::arm).empty());
    run.nothing(Act::after);
    CHECK(run.state.phase == Phase::failed);
    CHECK_FALSE(deserves_successor(run.state));
  }
  SECTION("after fails: the result stays") {
    run.nothing(Act::before);
    run.feed(Abort{});
    run.nothing(Act::drop);
    CHECK(run.state.phase == Phase::after);
    run.fail(Act::after, "hook-failed");
    CHECK(run.state.phase == Phase::aborted);
  }
}
