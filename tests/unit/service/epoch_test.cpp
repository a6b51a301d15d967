#include "common/service/epoch.hpp"

#include <catch2/catch.hpp>

using namespace lockstep;
using namespace lockstep::service;
using message::Epoch;

TEST_CASE("a command's epoch against the one held") {
  const Epoch held{7, "a"};
  CHECK(compare_epochs(held, {7, "a"}) == EpochVerdict::current);
  CHECK(compare_epochs(held, {8, "b"}) == EpochVerdict::newer);
  CHECK(compare_epochs(held, {6, "a"}) == EpochVerdict::older);
  CHECK(compare_epochs(held, {7, "b"}) == EpochVerdict::contradicting);
  CHECK(compare_epochs(held, {0, ""}) == EpochVerdict::none);
  CHECK(compare_epochs(held, {0, "a"}) == EpochVerdict::older);
}

TEST_CASE("an older or a contradicting epoch is refused, and no other") {
  const Epoch held{7, "a"};
  CHECK(check_epoch(held, {6, "z"}).error().code == ErrorCode::epoch_old);
  CHECK(check_epoch(held, {7, "z"}).error().code == ErrorCode::epoch_old);
  CHECK(check_epoch(held, {7, "a"}).has_value());
  CHECK(check_epoch(held, {8, "b"}).has_value());
  CHECK(check_epoch(held, {0, ""}).has_value());
}
