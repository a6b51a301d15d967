#include "services/health-monitor/condition.hpp"

#include <catch2/catch.hpp>

using namespace lockstep::health;
using lockstep::identity::Health;

namespace {

Finding well() {
  Finding finding;
  finding.agents = {{"north-snapshot", true}, {"north-transfer", true}};
  finding.registrar_answers = true;
  finding.stores = {{"root", true, ""}, {"orders/ledger", true, ""}};
  return finding;
}

}  // namespace

TEST_CASE("What a client finds becomes one of four healths, with the reason") {
  CHECK(judge(well()).health == Health::healthy);
  Finding finding = well();
  finding.agents[0].answers = false;
  CHECK(judge(finding).health == Health::degraded);
  CHECK(judge(finding).reason.find("north-snapshot") != std::string::npos);
  finding.stores[1] = {"orders/ledger", false, "malformed"};
  CHECK(judge(finding).health == Health::failed);
  CHECK(judge(finding).reason == "orders/ledger: malformed");
  finding = well();
  finding.registrar_answers = false;
  CHECK(judge(finding).health == Health::failed);
  for (auto& agent : finding.agents) agent.answers = false;
  CHECK(judge(finding).health == Health::unreachable);
}

TEST_CASE("One look that fails is no fault, and one that succeeds no recovery") {
  Condition condition;
  CHECK(condition.take({Health::healthy, ""}));
  for (int i = 1; i < kWorseAfter; ++i) CHECK_FALSE(condition.take({Health::failed, "gone"}));
  CHECK_FALSE(condition.take({Health::healthy, ""}));
  for (int i = 1; i < kWorseAfter; ++i) CHECK_FALSE(condition.take({Health::failed, "gone"}));
  CHECK(condition.take({Health::failed, "gone"}));
  CHECK(condition.counts().reason == "gone");
  for (int i = 1; i < kBetterAfter; ++i) CHECK_FALSE(condition.take({Health::healthy, ""}));
  CHECK(condition.take({Health::healthy, ""}));
}

TEST_CASE("The reason of a health that lasts is the newest one") {
  Condition condition;
  for (int i = 1; i < kWorseAfter; ++i) CHECK_FALSE(condition.take({Health::degraded, "one"}));
  CHECK_FALSE(condition.known());
  CHECK(condition.take({Health::degraded, "one"}));
  CHECK_FALSE(condition.take({Health::degraded, "two"}));
  CHECK(condition.counts().reason == "two");
}
