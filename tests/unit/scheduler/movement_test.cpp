#include "services/scheduler/movement.hpp"

#include <catch2/catch.hpp>

using namespace lockstep;
using scheduler::Movement;

namespace {

transport::Reply progress(std::uint64_t bytes) {
  return {transport::Reply::Stage::progress,
          {{"sets", {{{"name", "ledger"}, {"entries", 0}, {"bytes", bytes}}}}}};
}

run::Ask commit(Nanos stall) {
  run::Ask ask;
  ask.key = {run::Act::commit, 0, "north-snapshot"};
  ask.stall = stall.count;
  return ask;
}

}  // namespace

TEST_CASE(
    "a step whose agent answers but does not get on is stalled, and says what it waited for") {
  const MonoNanos start{1'000'000'000};
  Movement movement(commit(seconds(10)), start);
  const transport::Reply accepted{transport::Reply::Stage::accepted, message::Body::object()};
  CHECK_FALSE(movement.look(accepted, start + seconds(9)));
  CHECK_FALSE(movement.look(progress(1), start + seconds(9)));
  CHECK_FALSE(movement.look(progress(1), start + seconds(18)));
  CHECK_FALSE(movement.look(progress(2), start + seconds(19)));
  CHECK_FALSE(movement.look(accepted, start + seconds(28)));
  const auto stalled = movement.look(progress(2), start + seconds(29));
  REQUIRE(stalled);
  CHECK(stalled->code == "stalled");
  CHECK(stalled->reached);
  CHECK(stalled->where == "north-snapshot");
  CHECK(stalled->what.find("ledger") != std::string::npos);
}

TEST_CASE("a step without a stall of its own is never stalled here") {
  const MonoNanos start{1'000'000'000};
  Movement movement(commit(Nanos{}), start);
  CHECK_FALSE(movement.watched());
  CHECK_FALSE(movement.look(progress(1), start + seconds(1'000'000)));
}
