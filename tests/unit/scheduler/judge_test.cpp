// The judge against docs/point-format.md, "The certificate".
#include "services/scheduler/run/judge.hpp"

#include <catch2/catch.hpp>

using namespace lockstep::run;

namespace {

constexpr Instant kMoment = 1'000 * kSecond;

Plan plan_of(Consistency consistency, int sets) {
  Plan plan;
  plan.consistency = consistency;
  for (int i = 0; i < sets; ++i)
    plan.members.push_back(
        {"set" + std::to_string(i), "agent" + std::to_string(i), true, 5 * kSecond, {}});
  return plan;
}

// Everything as it should be: fences up 10 ms before the moment, pins of 2 ms, fences down after.
std::vector<Evidence> good_evidence(const Plan& plan) {
  std::vector<Evidence> all;
  for (const Member& member : plan.members) {
    Evidence one;
    one.member = &member;
    one.pinned = true;
    one.pin.name = member.name;
    one.pin.pinned = {kMoment, kMoment + 2 * kMillisecond};
    if (member.fenced) {
      one.raised = one.lowered = true;
      one.raise = {
          member.name, "own_lock", {kMoment - 10 * kMillisecond, kMoment - 9 * kMillisecond}};
      one.lower = {member.name, {kMoment + 5 * kMillisecond, kMoment + 6 * kMillisecond}, true, ""};
    }
    const HostClock clock{"boot", true, kMillisecond, 0};
    one.looks = {{clock, kMoment - kSecond}, {clock, kMoment + 3 * kMillisecond}};
    all.push_back(one);
  }
  return all;
}

void give_own_boot_ids(std::vector<Evidence>& all, Span error) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (Evidence::Look& look : all[i].looks) {
      look.clock.boot_id = "boot" + std::to_string(i);
      look.clock.error = error;
    }
  }
}

}  // namespace

TEST_CASE("a run as it should be is good, with its skew and lateness") {
  const Plan plan = plan_of(Consistency::fenced, 3);
  auto all = good_evidence(plan);
  all[1].pin.pinned = {kMoment + kMillisecond, kMoment + 4 * kMillisecond};
  const Verdict verdict = judge(plan, kMoment, all);
  CHECK(verdict.good);
  CHECK(verdict.skew == 4 * kMillisecond);
  CHECK(verdict.lateness == 4 * kMillisecond);
}

TEST_CASE("across hosts the clock errors widen the skew and narrow the fences") {
  const Plan plan = plan_of(Consistency::fenced, 2);
  auto all = good_evidence(plan);
  give_own_boot_ids(all, kMillisecond);
  const Verdict verdict = judge(plan, kMoment, all);
  CHECK(verdict.good);
  CHECK(verdict.skew == 4 * kMillisecond);  // 2 ms, and 1 ms at each end

  SECTION("a raised fence must be clear of every request by both errors") {
    all[0].raise.raised.acknowledged = kMoment - 2 * kMillisecond;  // + e == requested - e
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
    all[0].raise.raised.acknowledged -= 1;
    CHECK(judge(plan, kMoment, all).good);
  }
  SECTION("and every acknowledgement of every release") {
    all[1].lower.lowered.requested = kMoment + 4 * kMillisecond;
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
    all[1].lower.lowered.requested += 1;
    CHECK(judge(plan, kMoment, all).good);
  }
  SECTION("a host that is not synchronised, or too unsure, is refused") {
    all[0].looks[0].clock.synchronised = false;
    CHECK(judge(plan, kMoment, all).code == "clock-unfit");
    all[0].looks[0].clock.synchronised = true;
    all[0].looks[0].clock.error = plan.max_skew / 2;
    CHECK(judge(plan, kMoment, all).code == "clock-unfit");
  }
}

TEST_CASE("on one host the inequalities are strict without an error") {
  const Plan plan = plan_of(Consistency::fenced, 2);
  auto all = good_evidence(plan);
  all[0].raise.raised.acknowledged = kMoment;
  CHECK(judge(plan, kMoment, all).code == "fence-failed");
  all[0].raise.raised.acknowledged = kMoment - 1;
  CHECK(judge(plan, kMoment, all).good);
  all[1].lower.lowered.requested = kMoment + 2 * kMillisecond;
  CHECK(judge(plan, kMoment, all).code == "fence-failed");
  all[1].lower.lowered.requested += 1;
  CHECK(judge(plan, kMoment, all).good);
}

TEST_CASE("a fence that broke, was never raised, or nobody lowered, fails the run") {
  const Plan plan = plan_of(Consistency::fenced, 2);
  auto all = good_evidence(plan);
  SECTION("broke") {
    all[0].lower.held = false;
    all[0].lower.detail = "the hook died";
    const Verdict verdict = judge(plan, kMoment, all);
    CHECK(verdict.code == "fence-failed");
    CHECK(verdict.reason.find("the hook died") != std::string::npos);
    CHECK(verdict.where == "set0");
  }
  SECTION("never raised") {
    all[0].raised = all[0].lowered = false;
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
  }
  SECTION("never lowered") {
    all[0].lowered = false;
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
  }
  SECTION("broken fences fail the other consistencies too") {
    Plan bounded = plan_of(Consistency::bounded, 2);
    auto evidence = good_evidence(bounded);
    evidence[0].lower.held = false;
    CHECK(judge(bounded, kMoment, evidence).code == "fence-failed");
  }
}

TEST_CASE("one set may go without a fence, if it is pinned at one instant inside the others'") {
  Plan plan = plan_of(Consistency::fenced, 3);
  plan.members[2].fenced = false;
  auto all = good_evidence(plan);
  CHECK(judge(plan, kMoment, all).good);
  SECTION("not at one instant") {
    all[2].pin.one_instant = false;
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
  }
  SECTION("before the fences") {
    all[2].pin.pinned.requested = kMoment - 20 * kMillisecond;
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
  }
  SECTION("after them") {
    all[2].pin.pinned.acknowledged = kMoment + 7 * kMillisecond;
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
  }
  SECTION("two") {
    plan.members[1].fenced = false;
    all = good_evidence(plan);
    CHECK(judge(plan, kMoment, all).code == "fence-failed");
  }
}

TEST_CASE("a pin that stands by its fence counts at its request, for the skew alone") {
  const Plan plan = plan_of(Consistency::fenced, 2);
  auto all = good_evidence(plan);
  all[0].pin.one_instant = false;
  all[0].pin.pinned.acknowledged = kMoment + 3 * kSecond;
  for (Evidence& one : all) one.lower.lowered = {kMoment + 4 * kSecond, kMoment + 4 * kSecond};
  const Verdict verdict = judge(plan, kMoment, all);
  CHECK(verdict.good);
  CHECK(verdict.skew == 2 * kMillisecond);
  for (Evidence& one : all) one.lower.lowered.requested = kMoment + 2 * kSecond;
  CHECK(judge(plan, kMoment, all).code == "fence-failed");  // its end counts for the fences
}

TEST_CASE("without a fence a tree that was proven quiet counts at its request too") {
  Plan plan = plan_of(Consistency::bounded, 1);
  plan.members[0].fenced = false;
  auto all = good_evidence(plan);
  all[0].pin.one_instant = false;
  all[0].pin.quiet = true;
  all[0].pin.pinned.acknowledged = kMoment + 3 * plan.max_skew;
  const Verdict verdict = judge(plan, kMoment, all);
  CHECK(verdict.good);
  CHECK(verdict.skew == 0);
  all[0].pin.one_instant = true;
  CHECK(judge(plan, kMoment, all).code == "judge-skew");
}

TEST_CASE("an unfenced pin that stretches over a time counts over all of it") {
  Plan plan = plan_of(Consistency::bounded, 2);
  plan.members[0].fenced = false;
  auto all = good_evidence(plan);
  all[0].pin.one_instant = false;  // an HBase table: nobody proved that it was quiet
  all[0].pin.pinned.acknowledged = kMoment + 600 * kMillisecond;
  const Verdict verdict = judge(plan, kMoment, all);
  CHECK(verdict.good);
  CHECK(verdict.skew == 600 * kMillisecond);
  CHECK(verdict.lateness == 600 * kMillisecond);
  SECTION("a longer one than max_skew fails the run") {
    plan.max_skew = 600 * kMillisecond - 1;
    CHECK(judge(plan, kMoment, all).code == "judge-skew");
    all[0].pin.quiet = true;
    CHECK(judge(plan, kMoment, all).skew == 2 * kMillisecond);
  }
  SECTION("across hosts with its clock's error at both ends") {
    give_own_boot_ids(all, kMillisecond);
    CHECK(judge(plan, kMoment, all).skew == 602 * kMillisecond);
  }
  SECTION("the fence of another set does not make it quiet") {
    REQUIRE(all[1].raised);
    all[1].lower.lowered = {kMoment + kSecond, kMoment + kSecond};
    CHECK(judge(plan, kMoment, all).skew == 600 * kMillisecond);
  }
  SECTION("its own fence does") {
    plan.members[0].fenced = true;
    all = good_evidence(plan);
    all[0].pin.one_instant = false;
    all[0].pin.pinned.acknowledged = kMoment + 600 * kMillisecond;
    all[0].lower.lowered = {kMoment + kSecond, kMoment + kSecond};
    CHECK(judge(plan, kMoment, all).skew == 2 * kMillisecond);
  }
}

TEST_CASE("skew and lateness have their limits") {
  Plan plan = plan_of(Consistency::bounded, 2);
  auto all = good_evidence(plan);
  plan.max_skew = 2 * kMillisecond;
  CHECK(judge(plan, kMoment, all).good);
  plan.max_skew -= 1;
  CHECK(judge(plan, kMoment, all).code == "judge-skew");
  plan.max_skew = kSecond;
  plan.max_lateness = 2 * kMillisecond - 1;
  CHECK(judge(plan, kMoment, all).code == "judge-lateness");
  CHECK(judge(plan, kMoment + kMillisecond, all).good);  // a pin may lie before the moment too
}

TEST_CASE("ordered: a referrer's acknowledgement lies before its referee's request") {
  Plan plan = plan_of(Consistency::ordered, 2);
  plan.members[0].refers_to = {"set1"};
  auto all = good_evidence(plan);
  all[1].pin.pinned = {kMoment + 2 * kMillisecond + 1, kMoment + 3 * kMillisecond};
  CHECK(judge(plan, kMoment, all).good);
  all[1].pin.pinned.requested = kMoment + 2 * kMillisecond;
  CHECK(judge(plan, kMoment, all).code == "judge-order");
  all[1].pin.pinned = {kMoment + 4 * kMillisecond, kMoment + 4 * kMillisecond};
  give_own_boot_ids(all, kMillisecond);
  for (Evidence& one : all) one.lower.lowered = {kMoment + kSecond, kMoment + kSecond};
  CHECK(judge(plan, kMoment, all).code == "judge-order");  // 2 ms apart, 1 ms of error on each side
  all[1].pin.pinned = {kMoment + 4 * kMillisecond + 1, kMoment + 5 * kMillisecond};
  CHECK(judge(plan, kMoment, all).good);
}

TEST_CASE("a clock that was set, or a host that was restarted, drops the set") {
  const Plan plan = plan_of(Consistency::bounded, 1);
  auto all = good_evidence(plan);
  SECTION("set") {
    all[0].looks[1].clock.offset = 300 * kMillisecond;
    CHECK(judge(plan, kMoment, all).code == "judge-clock");
    all[0].looks[1].clock.offset = -300 * kMillisecond;
    CHECK(judge(plan, kMoment, all).code == "judge-clock");
  }
  SECTION("slewed within what NTP may do") {
    all[0].looks[1].clock.offset = kMillisecond;
    CHECK(judge(plan, kMoment, all).good);
  }
  SECTION("restarted") {
    all[0].looks[1].clock.boot_id = "other";
    CHECK(judge(plan, kMoment, all).code == "judge-clock");
  }
}

TEST_CASE("a member that was not pinned fails the run") {
  const Plan plan = plan_of(Consistency::bounded, 2);
  auto all = good_evidence(plan);
  all[1].pinned = false;
  CHECK(judge(plan, kMoment, all).code == "pin-failed");
  CHECK(judge(plan, kMoment, {}).code == "pin-failed");
}

TEST_CASE("across hosts a clock of another source, or with too large an error, is refused") {
  Plan plan = plan_of(Consistency::fenced, 2);
  plan.clock_sources = {"192.0.2.1", "GPS"};
  plan.max_clock_error = 2 * kMillisecond;
  auto all = good_evidence(plan);
  CHECK(judge_clocks(plan, all).good);  // one boot: whatever the clock follows
  give_own_boot_ids(all, kMillisecond);
  CHECK(judge_clocks(plan, all).code == "clock-unfit");
  for (Evidence& member : all)
    for (Evidence::Look& look : member.looks) look.clock.source = "GPS";
  CHECK(judge_clocks(plan, all).good);
  all[1].looks[0].clock.source = "192.0.2.9";
  Verdict verdict = judge_clocks(plan, all);
  CHECK(verdict.code == "clock-unfit");
  CHECK(verdict.where == "agent1");
  CHECK(verdict.reason.find("192.0.2.9, not the site's source 192.0.2.1") != std::string::npos);
  all[1].looks[0].clock.source = "GPS";
  all[0].looks[1].clock.error = 2 * kMillisecond + 1;
  verdict = judge_clocks(plan, all);
  CHECK(verdict.code == "clock-unfit");
  CHECK(verdict.where == "agent0");
}

TEST_CASE("clocks that lie farther apart than their errors allow are refused") {
  Plan plan = plan_of(Consistency::fenced, 2);
  auto all = good_evidence(plan);
  const auto apart = [&](std::size_t member, std::size_t look, Span least, Span most) {
    all[member].looks[look].clock.apart = {least, most};
  };
  apart(0, 0, -kMillisecond, kMillisecond);
  apart(1, 0, 300 * kMillisecond, 301 * kMillisecond);
  CHECK(judge_clocks(plan, all).good);  // one boot: both are one clock, whatever was measured
  give_own_boot_ids(all, kMillisecond);
  const Verdict verdict = judge_clocks(plan, all);
  CHECK(verdict.code == "clock-unfit");
  CHECK(verdict.where == "agent1");
  CHECK(verdict.reason.find("at least 299.0 ms ahead of that of agent0") != std::string::npos);
  CHECK_FALSE(judge(plan, kMoment, all).good);
  // As far as the errors allow, it is fit; how long the exchange took is no reason to refuse.
  apart(1, 0, 3 * kMillisecond, 301 * kMillisecond);
  CHECK(judge_clocks(plan, all).good);
  apart(1, 0, 3 * kMillisecond + 1, 301 * kMillisecond);
  CHECK_FALSE(judge_clocks(plan, all).good);
  // What was measured before the pin is not held against what was measured after it.
  all[1].looks[0].before_pin = false;
  CHECK(judge_clocks(plan, all).good);
}

TEST_CASE("user data has to be pinned, and neither fences nor skew nor clocks ask for more of it") {
  Plan plan = plan_of(Consistency::fenced, 2);
  plan.members.push_back({"user-data", "agent9", false, 5 * kSecond, {}, true});
  auto all = good_evidence(plan);
  const Verdict alone = judge(plan, kMoment, {all[0], all[1]});
  REQUIRE(alone.good);
  // Read for long after the moment, on a host whose clock is worth nothing.
  all[2].pin.pinned = {kMoment + 20 * kSecond, kMoment + 90 * kSecond};
  all[2].pin.one_instant = false;
  for (auto& look : all[2].looks) look.clock = {"elsewhere", false, 3600 * kSecond, 0};
  const Verdict verdict = judge(plan, kMoment, all);
  CHECK(verdict.good);
  CHECK(verdict.skew == alone.skew);
  CHECK(verdict.lateness == alone.lateness);
  CHECK(judge_clocks(plan, all).good);
  all[2].pinned = false;
  const Verdict missing = judge(plan, kMoment, all);
  CHECK_FALSE(missing.good);
  CHECK(missing.where == "user-data");
  // A data set of the service is asked for all of it.
  plan.members[2].beside = false;
  all[2].pinned = true;
  CHECK_FALSE(judge(plan, kMoment, all).good);
}
