#include "common/identity/application_client.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <string>
#include <vector>

using namespace lockstep::identity;

namespace {

constexpr Identity kIdentities[] = {Identity::primary, Identity::secondary, Identity::unknown};
constexpr Health kHealths[] = {Health::healthy, Health::degraded, Health::failed,
                               Health::unreachable};

std::vector<Sight> all_sights() {
  std::vector<Sight> out;
  for (const Identity identity : kIdentities) {
    for (const Health health : kHealths) out.push_back({identity, health});
  }
  return out;
}

std::string name_of(const Sight& sight) {
  return std::string(identity_name(sight.identity)) + ", " + health_name(sight.health);
}

std::string shown(Choice choice) {
  switch (choice) {
    case Choice::first:
      return "north";
    case Choice::second:
      return "south";
    case Choice::newer:
      return "newer!";
    case Choice::before:
      return "before";
    case Choice::none:
      return "none";
  }
  return "";
}

// The table of docs/operations.md, line by line.
std::vector<std::string> table() {
  const auto sights = all_sights();
  std::string head = "| north sees \\ south sees |";
  std::string rule = "|---|";
  for (const Sight& south : sights) {
    head += " " + name_of(south) + " |";
    rule += "---|";
  }
  std::vector<std::string> lines{head, rule};
  for (const Sight& north : sights) {
    std::string line = "| " + name_of(north) + " |";
    for (const Sight& south : sights) line += " " + shown(application_client(north, south)) + " |";
    lines.push_back(line);
  }
  return lines;
}

Choice mirrored(Choice choice) {
  if (choice == Choice::first) return Choice::second;
  if (choice == Choice::second) return Choice::first;
  return choice;
}

}  // namespace

TEST_CASE("The choice of the application's client is symmetrical in every row") {
  for (const Sight& one : all_sights()) {
    for (const Sight& other : all_sights()) {
      INFO(name_of(one) << " / " << name_of(other));
      CHECK(application_client(other, one) == mirrored(application_client(one, other)));
    }
  }
}

TEST_CASE("The rule: a primary that is secondary now or failed, and a secondary that is primary") {
  for (const Sight& primary : all_sights()) {
    const bool gone = primary.identity == Identity::secondary || primary.health == Health::failed;
    if (!gone) continue;
    for (const Health health : {Health::healthy, Health::degraded}) {
      INFO(name_of(primary));
      CHECK(application_client(primary, {Identity::primary, health}) == Choice::second);
    }
  }
}

TEST_CASE("No fault of a cluster changes the application's client by itself") {
  for (const Health north : kHealths) {
    for (const Health south : kHealths) {
      CHECK(application_client({Identity::primary, north}, {Identity::secondary, south}) ==
            Choice::first);
      CHECK(application_client({Identity::unknown, north}, {Identity::secondary, south}) ==
            Choice::first);
    }
  }
}

TEST_CASE("Every row stands in docs/operations.md as the program has it") {
  std::ifstream file(std::string(LOCKSTEP_SOURCE) + "/docs/operations.md");
  REQUIRE(file);
  std::vector<std::string> page;
  for (std::string line; std::getline(file, line);) page.push_back(line);
  std::string wanted;
  for (const std::string& line : table()) {
    wanted += line + "\n";
    if (std::find(page.begin(), page.end(), line) == page.end()) FAIL_CHECK("not there: " << line);
  }
  INFO("the whole table:\n" << wanted);
  CHECK(wanted.size() > 1000);
}
