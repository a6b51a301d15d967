// What the scheduler journals, it finds again.
#include "services/scheduler/store.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/record_body.hpp"

using namespace lockstep;
using namespace lockstep::scheduler;

namespace {

struct Place {
  Place() {
    char name[] = "/tmp/lockstep-scheduler-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Place() { std::filesystem::remove_all(path); }
  std::string path;
};

std::unique_ptr<journal::Journal> open_journal(const Place& place, const Clock& clock) {
  journal::OpenOptions options;
  options.path = place.path + "/scheduler.db";
  options.source = "scheduler";
  options.migrations = store_migrations();
  auto opened = journal::open(options, clock);
  REQUIRE(opened);
  return std::move(opened).value();
}

Origin origin() {
  Origin one;
  const auto policy = policy::parse(
      "service: orders\nmode: pull\nconsistency: bounded\n"
      "data_sets:\n  - {name: invoices, component: files, path: /srv/invoices}\n",
      "orders.yaml");
  REQUIRE(policy);
  one.policy = policy.value();
  one.version = 3;
  one.primary = "north";
  one.secondary = "south";
  one.sets = message::Body::array({{{"name", "invoices"}}});
  return one;
}

run::Plan plan(const std::string& name) {
  run::Plan one;
  one.run = name;
  one.service = "orders";
  one.scheduled = 17;
  one.mode = run::Mode::pull;
  one.members = {{"invoices", "north-snapshot", true, 3, {"ledger"}}};
  one.raise_lead = 5;
  return one;
}

constexpr const char* kRun = "0193a000-0000-7000-8000-000000000001";

}  // namespace

TEST_CASE("a run is found again as it was journaled, every kind of record") {
  const Place place;
  const auto clock = make_system_clock();
  const run::StepKey pin{run::Act::pin, 1, "north-snapshot"};
  const run::StepKey seal{run::Act::seal, 0, "south-transfer"};
  const run::HostClock host{"b00", true, 7, -3};
  const std::string bytes = "caf\xe9";  // not UTF-8
  run::Pinned pinned{
      host, {{"invoices", {10, 20}, false, true, false, "copy", {bytes}, {"files", kRun, bytes}}}};
  const std::vector<run::Record> records = {
      {1, run::MomentFixed{99}},
      {2, run::Entered{run::Phase::pin}},
      {3, run::Asked{pin, 2}},
      {4, run::Done{pin, pinned}},
      {5, run::Asked{seal, 1}},
      {6, run::StepFailed{seal, {"unreachable", "nobody", bytes, "wait", false}, 44}},
      {7, run::Retimed{seal, 45}},
      {8, run::Judged{{true, "", "", "", 5, 6}}},
      {9, run::Turned{run::Phase::failed, {"deadline", "late", "", "", true}}},
      {10, run::LetGo{seal}},
  };
  {
    const auto journal = open_journal(place, *clock);
    Store store(*journal);
    Store::Change change;
    change.runs.push_back({origin(), plan(kRun)});
    change.considered["orders"] = {17};
    REQUIRE(store.apply("test", change));
    StoredRun before{origin(), run::planned(plan(kRun)), 0};
    run::State after = before.state;
    for (const run::Record& record : records) run::fold(after, record);
    Store::Change more;
    more.records.push_back({&before, after, records});
    REQUIRE(store.apply("test", more));
  }
  const auto journal = open_journal(place, *clock);
  Store store(*journal);
  const auto open = store.open_runs();
  REQUIRE(open);
  REQUIRE(open.value().size() == 1);
  const StoredRun& found = open.value().front();
  CHECK(found.records == records.size());
  CHECK(found.origin.version == 3);
  CHECK(found.origin.secondary == "south");
  CHECK(found.origin.policy.service == "orders");
  CHECK(plan_to_body(found.state.plan) == plan_to_body(plan(kRun)));
  CHECK(found.state.moment == 99);
  CHECK(found.state.phase == run::Phase::pin);
  CHECK(found.state.ending == run::Phase::failed);
  const run::StepState* step = found.state.find(pin);
  REQUIRE(step != nullptr);
  CHECK(step->attempt == 2);
  CHECK(facts_to_body(step->facts) == facts_to_body(pinned));
  CHECK(std::get<run::Pinned>(step->facts).sets[0].version.native == bytes);
  REQUIRE(found.state.find(seal) != nullptr);
  CHECK(found.state.find(seal)->failure.where == bytes);
  CHECK_FALSE(found.state.find(seal)->failure.reached);
  CHECK(found.state.find(seal)->retry_at == 45);
  CHECK(found.state.find(seal)->status == run::StepState::Status::let_go);
  CHECK(store.considered("orders").value() == UtcNanos{17});
  CHECK_FALSE(store.considered("stock").value());
}

TEST_CASE("a pin that was journaled before anything was said of quiet is read, and not as quiet") {
  const run::HostClock host{"b00", true, 7, -3};
  const run::Pinned pinned{
      host, {{"invoices", {10, 20}, false, true, true, "copy", {}, {"files", kRun, "n"}}}};
  message::Body body = facts_to_body(pinned);
  auto found = facts_from_body(run::Act::pin, body);
  REQUIRE(found);
  CHECK(std::get<run::Pinned>(*found).sets.at(0).quiet);
  REQUIRE(body["sets"][0].erase("quiet") == 1);
  found = facts_from_body(run::Act::pin, body);
  REQUIRE(found);
  CHECK_FALSE(std::get<run::Pinned>(*found).sets.at(0).quiet);
  CHECK_FALSE(std::get<run::Pinned>(*found).sets.at(0).one_instant);
}

TEST_CASE("one run for a service, scheduled instant and attempt") {
  const Place place;
  const auto clock = make_system_clock();
  const auto journal = open_journal(place, *clock);
  Store store(*journal);
  Store::Change change;
  change.runs.push_back({origin(), plan(kRun)});
  REQUIRE(store.apply("test", change));
  Store::Change twice;
  twice.considered["orders"] = {99};
  twice.runs.push_back({origin(), plan("0193a000-0000-7000-8000-000000000002")});
  const auto refused = store.apply("test", twice);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::run_busy);
  CHECK_FALSE(store.considered("orders").value());  // nothing of the transaction stands
}

TEST_CASE("old runs are forgotten, those that are not over never") {
  const Place place;
  const auto clock = make_system_clock();
  const auto journal = open_journal(place, *clock);
  Store store(*journal);
  for (int i = 1; i <= 4; ++i) {
    run::Plan one = plan("0193a000-0000-7000-8000-00000000000" + std::to_string(i));
    one.scheduled = i;
    Store::Change change;
    change.runs.push_back({origin(), one});
    REQUIRE(store.apply("test", change));
    if (i == 1) continue;  // the oldest is still under way
    StoredRun before{origin(), run::planned(one), 0};
    run::State after = before.state;
    const run::Record ended{5, run::Entered{run::Phase::failed}};
    run::fold(after, ended);
    Store::Change more;
    more.records.push_back({&before, after, {ended}});
    REQUIRE(store.apply("test", more));
  }
  REQUIRE(store.forget_old_runs(1));
  const auto left = store.newest_runs("orders", 10);
  REQUIRE(left);
  REQUIRE(left.value().size() == 2);
  CHECK(left.value()[0].state.plan.scheduled == 4);
  CHECK(left.value()[1].state.plan.scheduled == 1);
}

TEST_CASE("the catalog is what a cluster's registrar told last; a pruning outlives a crash") {
  const Place place;
  const auto clock = make_system_clock();
  const auto journal = open_journal(place, *clock);
  Store store(*journal);
  const auto point = [](const std::string& id, const std::string& moment) {
    return message::Body{{"id", id}, {"service", "orders"}, {"moment", moment}};
  };
  REQUIRE(store.replace_points(
      "south", {point(kRun, "2026-01-01T00:00:00Z"), point("b", "2026-01-02T00:00:00Z")}));
  REQUIRE(store.replace_points("north", {point("c", "2026-01-03T00:00:00Z")}));
  CHECK(store.points("orders", "").value().size() == 3);
  REQUIRE(store.replace_points("north", {}));
  REQUIRE(store.points("orders", "").value().size() == 2);
  CHECK(store.points("orders", "").value()[0].at("id") == "b");
  CHECK(store.points("stock", "").value().empty());

  const Pruning pruning{kRun, "orders", "south", "old"};
  REQUIRE(store.intend_pruning({pruning}));
  CHECK(store.open_prunings().value().size() == 1);
  REQUIRE(store.end_pruning(pruning, std::nullopt, {5}));
  CHECK(store.open_prunings().value().empty());
  CHECK(store.points("orders", "south").value().size() == 1);
}

TEST_CASE("an answer that lacks what its step needs is an error, not a guess") {
  const auto facts = facts_from_body(run::Act::pin, message::Body{{"sets", nullptr}});
  REQUIRE_FALSE(facts);
  CHECK(facts.error().code == ErrorCode::message_schema);
}

TEST_CASE("a message that began a run is known by its id, and leads to the run's last attempt") {
  const Place place;
  const auto clock = make_system_clock();
  const auto journal = open_journal(place, *clock);
  Store store(*journal);
  CHECK(store.run_begun_by("message-1").value().empty());
  Store::Change change;
  change.runs.push_back({origin(), plan(kRun)});
  change.asked_by = "message-1";
  REQUIRE(store.apply("test", change));
  CHECK(store.run_begun_by("message-1").value() == kRun);
  CHECK(store.run_begun_by("message-2").value().empty());
  run::Plan again = plan("0193a000-0000-7000-8000-000000000002");
  again.attempt = 2;
  Store::Change successor;
  successor.runs.push_back({origin(), again});
  REQUIRE(store.apply("test", successor));
  CHECK(store.run_begun_by("message-1").value() == again.run);
}

namespace {

struct Prunings {
  const Place place;
  const std::unique_ptr<Clock> clock = make_system_clock();
  const std::unique_ptr<journal::Journal> journal = open_journal(place, *clock);
  Store store{*journal};
  const Pruning pruning{kRun, "orders", "south", "no rule keeps it"};
};

}  // namespace

TEST_CASE_METHOD(Prunings, "a point that is pruned by two jobs at once is told of once") {
  REQUIRE(store.intend_pruning({pruning}));
  REQUIRE(store.intend_pruning({pruning}));
  REQUIRE(store.end_pruning(pruning, std::nullopt, {1}));
  REQUIRE(store.end_pruning(pruning, std::nullopt, {2}));
  CHECK(journal->last_event() == 1);
  CHECK(store.open_prunings().value().empty());
}

TEST_CASE_METHOD(Prunings,
                 "a point that was pruned is not told of again by a job whose list was older") {
  REQUIRE(store.intend_pruning({pruning}));
  REQUIRE(store.end_pruning(pruning, std::nullopt, {1}));
  REQUIRE(store.intend_pruning({pruning}));
  CHECK(store.open_prunings().value().empty());
  REQUIRE(store.end_pruning(pruning, std::nullopt, {2}));
  CHECK(journal->last_event() == 1);
  // One that failed is tried again, and told of.
  const Pruning other{"01936f3a-5b00-7000-8000-00000000abcd", "orders", "south",
                      "no rule keeps it"};
  REQUIRE(store.intend_pruning({other}));
  REQUIRE(store.end_pruning(other, make_error(ErrorCode::unreachable, "away"), {3}));
  REQUIRE(store.intend_pruning({other}));
  CHECK(store.open_prunings().value().size() == 1);
  REQUIRE(store.end_pruning(other, std::nullopt, {4}));
  CHECK(journal->last_event() == 2);
}
