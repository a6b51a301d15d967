#include "common/config/site.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/unit/config/samples.hpp"

namespace lockstep::config {
namespace {

const std::string kSamples = LOCKSTEP_SOURCE "/docs/samples";

TEST_CASE("the sample of one machine says what it says") {
  const auto site = load_site(kSamples + "/site-one-machine.yaml");
  if (!site) FAIL(site.error().text());
  CHECK(site->name == "here");
  CHECK(site->state == std::filesystem::canonical(kSamples).string() + "/var");
  CHECK(site->keys.empty());
  CHECK(site->clusters.size() == 2);
  CHECK(site->clusters.at("north").initially_primary);
  CHECK_FALSE(site->clusters.at("south").initially_primary);
  CHECK(site->clusters.at("south").lock == seconds(3600));
  CHECK(site->clusters.at("north").root ==
        std::filesystem::canonical(kSamples).string() + "/north");
  CHECK(site->control.size() == 2);
  // No `here`: everything runs here. No `registrar`: the only transfer-agent is it.
  CHECK(site->here.size() == 6);
  REQUIRE(site->registrar("south") != nullptr);
  CHECK(site->registrar("south")->name == "south-transfer");
  CHECK(site->clusters_share_host());
  const Cluster* cluster = nullptr;
  REQUIRE(site->find_agent("north-snapshot", &cluster) != nullptr);
  CHECK(cluster->name == "north");
  CHECK(site->find_agent("nobody") == nullptr);
}

TEST_CASE("the sample of three hosts may use one root twice") {
  const auto site = load_site(kSamples + "/site-three-hosts.yaml");
  if (!site) FAIL(site.error().text());
  CHECK_FALSE(site->clusters_share_host());
  CHECK(site->keys == "/etc/lockstep/keys");
  CHECK(site->users == std::vector<std::string>{"user", "anna", "on-call"});
  CHECK(site->subscribers == std::vector<std::string>{"monitoring"});
  CHECK(site->here == std::vector<std::string>{"policy", "scheduler"});
  CHECK(site->log_format == "json");
}

TEST_CASE("every invalid sample is refused at the place and for the reason that it names") {
  for (const auto& sample : test::samples(kSamples + "/invalid", "site-")) {
    const auto site = parse_site(sample.text, "/etc/lockstep/" + sample.name, sample.name);
    INFO(sample.name);
    REQUIRE_FALSE(site);
    test::check_first_finding(sample, site.error());
  }
}

TEST_CASE("all findings of a document are told, the first one first") {
  const auto site =
      parse_site("lockstep: 1\nsite: here\nstat: var\nlogs: {}\n", "/x/y.yaml", "y.yaml");
  REQUIRE_FALSE(site);
  CHECK(site.error().where == "y.yaml:1:1");
  CHECK(site.error().hint.find("also y.yaml:3:1: unknown key `stat` (did you mean `state`?)") !=
        std::string::npos);
  CHECK(site.error().hint.find("also y.yaml:4:1: unknown key `logs` (did you mean `log`?)") !=
        std::string::npos);
}

TEST_CASE("a file that is not there, or is none, is named") {
  const auto missing = load_site("/nowhere/lockstep.yaml");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::config_unreadable);
  CHECK(missing.error().where == "/nowhere/lockstep.yaml");
  const auto device = load_site("/dev/null");
  REQUIRE_FALSE(device);
  CHECK(device.error().code == ErrorCode::config_unreadable);
}

}  // namespace
}  // namespace lockstep::config
