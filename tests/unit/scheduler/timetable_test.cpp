#include "services/scheduler/timetable.hpp"

#include <catch2/catch.hpp>

using namespace lockstep;
using namespace lockstep::scheduler;

namespace {

// Fires every `period` seconds of UTC.
NextMoment every(std::int64_t period, int* asked = nullptr) {
  return [period, asked](UtcNanos after) -> Result<std::optional<UtcNanos>> {
    if (asked != nullptr) ++*asked;
    const std::int64_t span = period * run::kSecond;
    return std::optional<UtcNanos>{UtcNanos{(after.count / span + 1) * span}};
  };
}

UtcNanos at(std::int64_t second) { return {second * run::kSecond}; }

run::State state(const std::string& name, const std::string& service, run::Instant scheduled) {
  run::Plan plan;
  plan.run = name;
  plan.service = service;
  plan.scheduled = scheduled;
  plan.sender = "sender";
  plan.registrar = plan.receiver = "receiver";
  return run::planned(plan);
}

run::State waiting(const std::string& name, const std::string& service, run::Instant scheduled) {
  run::State one = state(name, service, scheduled);
  one.phase = run::Phase::transfer;
  one.steps[{run::Act::transfer, 0, "sender"}].failures = 1;
  return one;
}

Standing standing(const run::State& one, int max_pending = 3) {
  return {&one, {"north", "south"}, max_pending};
}

}  // namespace

TEST_CASE("a moment is planned as long before it as asked, and not twice") {
  const auto early = due(every(60), at(0), at(50), seconds(2)).value();
  CHECK(early.what == Due::What::nothing);
  CHECK(early.look_again == at(58));
  const auto now = due(every(60), at(0), at(58), seconds(2)).value();
  CHECK(now.what == Due::What::plan);
  CHECK(now.moment == at(60));
  CHECK(due(every(60), at(60), at(58), seconds(2)).value().look_again == at(118));
}

TEST_CASE("of moments that passed unnoticed the newest is missed, found without walking a year") {
  int asked = 0;
  const std::int64_t year = 366LL * 86400;
  const auto found = due(every(1, &asked), at(0), at(year), seconds(2)).value();
  CHECK(found.what == Due::What::missed);
  CHECK(found.moment == at(year));
  CHECK(asked < 200);
  CHECK(due(every(3600), at(0), at(100 * 3600 + 5), seconds(2)).value().moment == at(100 * 3600));
}

TEST_CASE("a schedule that never fires again is left alone") {
  const NextMoment never = [](UtcNanos) -> Result<std::optional<UtcNanos>> {
    return std::optional<UtcNanos>{};
  };
  const auto found = due(never, at(0), at(50), seconds(2)).value();
  CHECK(found.what == Due::What::nothing);
  CHECK_FALSE(found.look_again);
}

TEST_CASE("one run of a service at a time, so many in a cluster, the earliest first") {
  run::State late = state("a", "orders", 20);
  run::State early = state("b", "orders", 10);
  run::State stock = state("c", "stock", 15);
  run::State third = state("d", "third", 16);
  const std::vector<Standing> all = {standing(late), standing(early), standing(stock),
                                     standing(third)};
  CHECK(turns(all, 100, 2).begin == std::vector<std::string>{"b", "c"});
  early.phase = run::Phase::pin;
  CHECK(turns(all, 100, 2).begin == std::vector<std::string>{"c"});
  CHECK(turns(all, 100, 3).begin == std::vector<std::string>{"c", "d"});
  stock.plan.begin_at = 200;
  CHECK(turns(all, 100, 2).begin == std::vector<std::string>{"d"});
  CHECK(turns(all, 100, 2).look_again == 200);
}

TEST_CASE("runs that wait for the other cluster let others begin, up to max_pending") {
  const run::State first = waiting("a", "orders", 10);
  const run::State second = waiting("b", "orders", 20);
  run::State next = state("c", "orders", 30);
  CHECK(turns({standing(first), standing(second), standing(next)}, 100, 1).begin ==
        std::vector<std::string>{"c"});
  const Turns full = turns({standing(first, 2), standing(second, 2), standing(next, 2)}, 100, 1);
  CHECK(full.begin.empty());
  REQUIRE(full.refuse.size() == 1);
  CHECK(full.refuse[0].first == "c");
  CHECK(full.refuse[0].second.code == "max-pending");
  CHECK(full.may_transfer == std::set<std::string>{"a"});  // in the order of their moments
}
