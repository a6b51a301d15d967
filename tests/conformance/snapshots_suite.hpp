// What every component's Snapshots must do, whatever it pins (common/component/snapshots.hpp). A
// component's conformance test hands in a subject and runs the suite once for each place it is
// built for.
#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "common/clock/clock.hpp"
#include "common/component/snapshots.hpp"

namespace lockstep::test {

struct SnapshotsSubject {
  component::Snapshots& snapshots;
  component::DataSet set;  // exists, holds something, is quiet
  const Clock& clock;
  std::function<void()> change;                                 // something that a user would see
  std::function<std::string()> live;                            // what the set shows now
  std::function<std::string(const component::Version&)> shown;  // what the version shows
};

inline component::Context context_of(const std::string& run) {
  component::Context context;
  context.run = run;
  return context;
}

// arm, [raise], pin, [lower], settle.
inline component::Pinned pin_as(SnapshotsSubject& subject, const std::string& run) {
  const component::Context context = context_of(run);
  auto armed = subject.snapshots.arm(context, subject.set, subject.clock.utc());
  if (!armed) FAIL(armed.error().text());
  const component::Estimate estimate = (*armed)->estimate();
  if (estimate.has_own_fence) {
    auto raised = (*armed)->raise_fence(seconds(5));
    if (!raised) FAIL(raised.error().text());
  }
  auto pinned = (*armed)->pin();
  if (!pinned) FAIL(pinned.error().text());
  if (estimate.has_own_fence) {
    auto lowered = (*armed)->lower_fence();
    if (!lowered) FAIL(lowered.error().text());
    CHECK(lowered->held);
    CHECK(pinned->interval.acknowledged <= lowered->lowered.requested);
  }
  auto settled = (*armed)->settle(context);
  if (!settled) FAIL(settled.error().text());
  CHECK(settled->name == run);
  CHECK(pinned->one_instant == estimate.one_instant);
  CHECK(pinned->method == estimate.method);
  pinned->version = *settled;
  return std::move(*pinned);
}

inline void run_snapshots_suite(SnapshotsSubject subject) {
  component::Snapshots& snapshots = subject.snapshots;
  const std::string one = "01930000-0000-7000-8000-000000000001";
  const std::string two = "01930000-0000-7000-8000-000000000002";

  INFO("a pin shows the set as it was, and later changes do not reach it");
  const std::string before = subject.live();
  const UtcNanos begun = subject.clock.utc();
  const component::Pinned first = pin_as(subject, one);
  CHECK(begun <= first.interval.requested);
  CHECK(first.interval.requested <= first.interval.acknowledged);
  CHECK(first.interval.acknowledged <= subject.clock.utc());
  CHECK(subject.shown(first.version) == before);
  CHECK(subject.live() == before);
  subject.change();
  const std::string after = subject.live();
  REQUIRE(after != before);
  CHECK(subject.shown(first.version) == before);

  INFO("it is found and listed by its name");
  auto found = snapshots.find(context_of(one), subject.set);
  REQUIRE(found);
  REQUIRE(found->has_value());
  CHECK((*found)->name == one);
  auto missing = snapshots.find(context_of(two), subject.set);
  REQUIRE(missing);
  CHECK_FALSE(missing->has_value());

  INFO("pins lie side by side, and dropping one leaves the other");
  const component::Pinned second = pin_as(subject, two);
  CHECK(subject.shown(second.version) == after);
  CHECK(subject.shown(first.version) == before);
  auto listed = snapshots.list(subject.set);
  REQUIRE(listed);
  CHECK(listed->size() == 2);
  auto dropped = snapshots.drop(context_of(one), first.version);
  if (!dropped) FAIL(dropped.error().text());
  CHECK(subject.shown(second.version) == after);

  INFO("dropping again succeeds, and what find() showed can be dropped");
  CHECK(snapshots.drop(context_of(one), first.version));
  found = snapshots.find(context_of(two), subject.set);
  REQUIRE(found);
  REQUIRE(found->has_value());
  REQUIRE(snapshots.drop(context_of(two), **found));
  listed = snapshots.list(subject.set);
  REQUIRE(listed);
  CHECK(listed->empty());
  CHECK(subject.live() == after);

  INFO("armed and never pinned: nothing is left");
  {
    auto armed = snapshots.arm(context_of(one), subject.set, subject.clock.utc());
    if (!armed) FAIL(armed.error().text());
  }
  listed = snapshots.list(subject.set);
  REQUIRE(listed);
  CHECK(listed->empty());
  CHECK(subject.live() == after);

  INFO("a set that is not there is named");
  component::DataSet nowhere = subject.set;
  nowhere.place.location += "-nowhere";
  auto refused = snapshots.arm(context_of(one), nowhere, subject.clock.utc());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::set_missing);
  CHECK(refused.error().where.find("-nowhere") != std::string::npos);
}

}  // namespace lockstep::test
