#include "common/identity/proposal.hpp"

#include <catch2/catch.hpp>

using namespace lockstep::identity;

namespace {

const Decision kFirst{1, "p1", "north", "", "", false};
const Decision kWanted{2, "p2", "south", "user", "", false};

Answer answer(const std::string& site, const Incarnations& knows, bool granted = true) {
  Answer out;
  out.site = site;
  out.incarnation = "life-" + site;
  out.incarnations = knows;
  out.known = true;
  out.granted = granted;
  return out;
}
const Incarnations kAll{
    {"control", "life-control"}, {"north", "life-north"}, {"south", "life-south"}};

}  // namespace

TEST_CASE("Two promises and two acceptances decide") {
  Proposal proposal(kWanted, kFirst, {1, "a"});
  proposal.promised(answer("control", kAll));
  CHECK(proposal.phase() == Proposal::Phase::promises);
  proposal.promised(answer("south", kAll));
  REQUIRE(proposal.phase() == Proposal::Phase::accepting);
  proposal.accepted(answer("control", kAll));
  CHECK(proposal.phase() == Proposal::Phase::accepting);
  proposal.accepted(answer("north", kAll));
  CHECK(proposal.phase() == Proposal::Phase::decided);
  CHECK(proposal.decision() == kWanted);
}

TEST_CASE("What a site had accepted before is carried to its end") {
  Proposal proposal(kWanted, kFirst, {5, "a"});
  Answer bound = answer("control", kAll);
  bound.accepted = Accepted{{3, "b"}, {2, "other", "north", "", "", false}};
  proposal.promised(bound);
  proposal.promised(answer("south", kAll));
  CHECK(proposal.decision().promotion == "other");
}

TEST_CASE("The promise of a life that was forgotten since does not count") {
  Proposal proposal(kWanted, kFirst, {1, "a"});
  proposal.promised(answer("south", kAll));
  Incarnations knows = kAll;
  knows["south"] = "a-later-life";
  proposal.promised(answer("control", knows));
  CHECK(proposal.phase() == Proposal::Phase::promises);
  proposal.promised(answer("north", knows));
  CHECK(proposal.phase() == Proposal::Phase::accepting);
}

TEST_CASE("A number that was decided ends the try, a higher promise or silence asks for another") {
  Proposal late(kWanted, kFirst, {1, "a"});
  Answer decided = answer("north", kAll, false);
  decided.decided = Decision{2, "p9", "south", "", "", false};
  late.promised(decided);
  CHECK(late.phase() == Proposal::Phase::overtaken);
  CHECK(late.overtaken_by().promotion == "p9");

  Proposal outbid(kWanted, kFirst, {1, "a"});
  Answer refused = answer("north", kAll, false);
  refused.promised = {7, "z"};
  outbid.promised(refused);
  outbid.silent("south");
  CHECK(outbid.phase() == Proposal::Phase::outbid);
  CHECK(outbid.highest_round() == 7);
}
