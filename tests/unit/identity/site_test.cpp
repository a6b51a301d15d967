#include "common/identity/site.hpp"

#include <catch2/catch.hpp>

using namespace lockstep::identity;

namespace {

const Decision kFirst{1, "p1", "north", "", "", false};
const std::vector<std::string> kOthers{"north", "south"};

Record known_record() {
  Record record = begin_record("control", "life1");
  Record north = begin_record("north", "life2");
  Record south = begin_record("south", "life3");
  learn(record, teach(north, "control", "life1"), kOthers, kFirst);
  learn(record, teach(south, "control", "life1"), kOthers, kFirst);
  return record;
}

Decision second(const std::string& promotion) { return {2, promotion, "south", "user", "", false}; }

}  // namespace

TEST_CASE("A site that has lost its record does not vote until it has learned from both others") {
  Record lost = begin_record("control", "life9");
  CHECK_FALSE(prepare(lost, kFirst, {1, "a"}).granted);
  Record north = known_record();
  north.site = "north";
  decide(north, second("p2"));
  CHECK_FALSE(learn(lost, teach(north, "control", "life9"), kOthers, kFirst));
  CHECK_FALSE(accept(lost, second("p2"), {1, "a"}, {3, "p3", "north", "", "", false}).granted);
  Record south = known_record();
  south.site = "south";
  CHECK(learn(lost, teach(south, "control", "life9"), kOthers, kFirst));
  CHECK(lost.last()->promotion == "p2");
  CHECK(north.incarnations.at("control") == "life9");
}

TEST_CASE("What was promised and accepted is learned again with the decisions") {
  Record north = known_record();
  north.site = "north";
  Record south = north;
  south.site = "south";
  REQUIRE(prepare(north, kFirst, {4, "a"}).granted);
  REQUIRE(accept(south, kFirst, {3, "b"}, second("p2")).granted);
  Record lost = begin_record("control", "life9");
  learn(lost, teach(north, "control", "life9"), kOthers, kFirst);
  REQUIRE(learn(lost, teach(south, "control", "life9"), kOthers, kFirst));
  CHECK(lost.vote.promised == Ballot{4, "a"});
  CHECK(lost.vote.accepted->decision.promotion == "p2");
}

TEST_CASE("A site holds one promotion for a number, for ever, and keeps the other as a clash") {
  Record record = known_record();
  CHECK(decide(record, second("p2")) == Taken::fresh);
  CHECK(decide(record, second("p2")) == Taken::held);
  CHECK(decide(record, second("other")) == Taken::clash);
  CHECK(decide(record, second("other")) == Taken::clash);
  CHECK(record.last()->promotion == "p2");
  CHECK(record.clashes.size() == 1);
}

TEST_CASE("Nothing below a promise is taken, and a ballot is promised once") {
  Record record = known_record();
  CHECK(prepare(record, kFirst, {2, "b"}).granted);
  CHECK_FALSE(prepare(record, kFirst, {2, "b"}).granted);
  CHECK_FALSE(prepare(record, kFirst, {2, "a"}).granted);
  CHECK_FALSE(accept(record, kFirst, {1, "z"}, second("p2")).granted);
  CHECK(accept(record, kFirst, {2, "b"}, second("p2")).granted);
  CHECK(record.number() == 1);  // an acceptance is no decision
}

TEST_CASE("One of the founders that never knew more joins by the word of one") {
  Record control = begin_record("control", "life1");
  Record north = begin_record("north", "life2");
  Record south = begin_record("south", "life3");
  learn(control, teach(north, "control", "life1"), kOthers, kFirst);
  learn(control, teach(south, "control", "life1"), kOthers, kFirst);
  REQUIRE(control.known);
  CHECK(learn(north, teach(control, "north", "life2"), {"control", "south"}, kFirst));
  // Another life of the same site may have forgotten something.
  Record again = begin_record("south", "life7");
  CHECK_FALSE(learn(again, teach(control, "south", "life7"), {"control", "north"}, kFirst));
}

TEST_CASE("A person's word makes a site known by what it has learned, or by the beginning") {
  Record lost = begin_record("control", "life9");
  Record north = known_record();
  north.site = "north";
  decide(north, second("p2"));
  learn(lost, teach(north, "control", "life9"), kOthers, kFirst);
  force_known(lost, kFirst);
  CHECK(lost.known);
  CHECK(lost.number() == 2);
  Record bare = begin_record("south", "life8");
  force_known(bare, kFirst);
  CHECK(bare.number() == 1);
}
