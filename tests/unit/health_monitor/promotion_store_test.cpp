#include "services/health-monitor/promotion_store.hpp"

#include <catch2/catch.hpp>

#include "tests/support/scratch.hpp"

namespace lockstep::health {
namespace {

constexpr const char* kSecond = "01936f3a-5b00-7000-8000-000000000002";

std::unique_ptr<journal::Journal> open_journal(const std::string& directory, const Clock& clock) {
  journal::OpenOptions options;
  options.path = directory + "/health-monitor.db";
  options.source = "health-monitor";
  options.migrations = {kPromotionTable};
  auto opened = journal::open(options, clock);
  REQUIRE(opened);
  return std::move(opened).value();
}

Job change_to_south(How how, Stage stage) {
  Job job;
  job.how = how;
  job.wanted = {2, kSecond, "south", "user", "2026-11-20T10:00:00Z", false};
  job.old = "north";
  job.stage = stage;
  return job;
}

TEST_CASE("a promotion is complete once its last stage stands in the journal") {
  const test::Scratch scratch;
  const auto clock = make_system_clock();
  const auto journal = open_journal(scratch.path(), *clock);
  CHECK_FALSE(*is_complete(*journal, kSecond));
  REQUIRE(keep_job(*journal, change_to_south(How::switchover, Stage::switched), false));
  CHECK_FALSE(*is_complete(*journal, kSecond));
  CHECK(open_job(*journal)->has_value());
  REQUIRE(keep_job(*journal, change_to_south(How::switchover, Stage::complete), false));
  CHECK(*is_complete(*journal, kSecond));
  CHECK_FALSE(open_job(*journal)->has_value());
}

TEST_CASE("a cluster may have diverged after a promotion, not after a switchover") {
  const test::Scratch scratch;
  const auto clock = make_system_clock();
  const auto journal = open_journal(scratch.path(), *clock);
  const Job switchover = change_to_south(How::switchover, Stage::complete);
  CHECK(*may_have_diverged(*journal, "north", switchover.wanted));  // nobody knows how it came
  REQUIRE(keep_job(*journal, switchover, false));
  CHECK_FALSE(*may_have_diverged(*journal, "north", switchover.wanted));
  REQUIRE(keep_job(*journal, change_to_south(How::promotion, Stage::complete), false));
  CHECK(*may_have_diverged(*journal, "north", switchover.wanted));
}

}  // namespace
}  // namespace lockstep::health
