#include <catch2/catch.hpp>
#include <random>

#include "common/policy/policy.hpp"
#include "tests/unit/config/samples.hpp"

namespace lockstep::policy {
namespace {

const std::string kSamples = LOCKSTEP_SOURCE "/docs/samples";

Policy sample(const std::string& name) {
  for (const auto& one : test::samples(kSamples, "policy-")) {
    if (one.name != name) continue;
    auto policy = parse(one.text, one.name);
    if (!policy) FAIL(policy.error().text());
    return std::move(policy).value();
  }
  FAIL("no sample " << name);
  return {};
}

TEST_CASE("the sample of an order service says what it says") {
  const Policy policy = sample("policy-orders.yaml");
  CHECK(policy.service == "orders");
  CHECK(policy.mode == Mode::push);
  CHECK(policy.consistency == Consistency::fenced);
  CHECK(policy.max_skew == seconds(1));
  CHECK(policy.rpo == seconds(26 * 3600));
  CHECK(policy.schedule.zone == "Europe/Paris");
  REQUIRE(policy.data_sets.size() == 2);
  const auto& invoices = policy.data_sets[0];
  CHECK(invoices.fence.kind == Fence::Kind::hook);
  CHECK(invoices.fence.hook == "orders-pause");
  CHECK(invoices.fence.timeout == seconds(5));
  CHECK(invoices.to.component == "files");
  CHECK(invoices.to.place.location.empty());
  const auto& ledger = policy.data_sets[1];
  CHECK(ledger.fence.kind == Fence::Kind::own_lock);
  CHECK(ledger.refers_to == std::vector<std::string>{"invoices"});
  CHECK(ledger.to.place.location == "/srv/standby/ledger.db");
  CHECK(policy.retention.last == 24);
  CHECK(policy.retention.monthly == 0);
  CHECK(check(policy).empty());
}

TEST_CASE("the sample with every key says what it says") {
  const Policy policy = sample("policy-everything.yaml");
  CHECK(policy.primary == "north");
  CHECK(policy.mode == Mode::pull);
  CHECK(policy.bandwidth == 50'000'000);
  CHECK(policy.user_data);
  REQUIRE(policy.before);
  CHECK(policy.before->argv == std::vector<std::string>{"/usr/local/bin/warm-up", "--quietly"});
  CHECK(policy.before->timeout == seconds(30));
  REQUIRE(policy.after);
  CHECK(policy.after->timeout == seconds(60));
  CHECK(policy.schedule.every == seconds(3600));
  CHECK(policy.schedule.moments.size() == 1);
  CHECK(policy.schedule.missed == Schedule::Missed::skip);
  REQUIRE(policy.drill);
  CHECK(policy.drill->check == std::vector<std::string>{"/usr/local/bin/archive-check", "--quick"});
  CHECK(policy.drill->schedule.cron == "0 5 * * sun");
  CHECK(policy.drill->schedule.missed == Schedule::Missed::skip);
  CHECK(policy.drill->timeout == seconds(1800));
  CHECK(policy.drill->max_age == seconds(15 * 86400));
  REQUIRE(policy.data_sets.size() == 4);
  CHECK(policy.data_sets[0].fence.kind == Fence::Kind::own_lock);
  CHECK(policy.data_sets[0].fence.timeout == seconds(2));
  CHECK(policy.data_sets[0].allow_writer_stall);
  CHECK(policy.data_sets[1].fence.kind == Fence::Kind::cgroup);
  CHECK(policy.data_sets[1].exclude.size() == 3);
  CHECK(policy.data_sets[1].on_base_lost == DataSet::OnBaseLost::fail);
  CHECK(policy.data_sets[2].on_base_lost == DataSet::OnBaseLost::full);
  CHECK(policy.data_sets[2].fence.kind == Fence::Kind::none);
  CHECK(policy.data_sets[2].engine == DataSet::Engine::stream);
  CHECK(policy.data_sets[3].engine == DataSet::Engine::automatic);
  for (const auto& finding : check(policy)) {
    INFO(finding.where << " " << finding.what);
    CHECK(finding.warning);
  }
}

TEST_CASE("every valid sample goes through its body unchanged and is valid by the schema") {
  for (const auto& one : test::samples(kSamples, "policy-")) {
    INFO(one.name);
    const auto policy = parse(one.text, one.name);
    if (!policy) FAIL(policy.error().text());
    const auto body = to_body(*policy);
    const auto valid = message::check_schema("policy", body);
    if (!valid) FAIL(valid.error().text());
    const auto back = from_body(body);
    if (!back) FAIL(back.error().text());
    CHECK(to_body(*back) == body);
    // What travels is MessagePack.
    const auto unpacked = message::unpack_body(message::pack_body(body));
    REQUIRE(unpacked);
    CHECK(*unpacked == body);
  }
}

TEST_CASE("each engine goes through a body, in which the stream, the default, is not named") {
  for (const std::string word : {"stream", "distcp", "exportsnapshot", "auto"}) {
    const auto policy = parse(
        "service: orders\ndata_sets: [{name: trail, component: hdfs, path: /t, engine: " + word +
            "}]\n",
        "file.yaml");
    REQUIRE(policy);
    CHECK(engine_name(policy->data_sets[0].engine) == word);
    const auto body = to_body(*policy);
    CHECK(body.at("data_sets")[0].value("engine", "") == (word == "stream" ? "" : word));
    const auto back = from_body(body);
    REQUIRE(back);
    CHECK(back->data_sets[0].engine == policy->data_sets[0].engine);
  }
}

TEST_CASE("a body that is no policy is refused") {
  CHECK_FALSE(from_body(message::Body::object()));
  auto body = to_body(sample("policy-orders.yaml"));
  body["consistency"] = "sometimes";
  CHECK_FALSE(from_body(body));
}

TEST_CASE("every invalid sample is refused at the place and for the reason that it names") {
  for (const auto& one : test::samples(kSamples + "/invalid", "policy-")) {
    const auto policy = parse(one.text, one.name);
    INFO(one.name);
    REQUIRE_FALSE(policy);
    test::check_first_finding(one, policy.error());
  }
}

TEST_CASE("no damage to a document ends in anything but a policy or a placed error") {
  std::mt19937 random{20261121};
  const std::string bytes = "{}[]:,\"'#*&!|>%@-? \n\t0aZ~\\\x80\xff";
  const auto roll = [&random](std::size_t below) {
    return std::uniform_int_distribution<std::size_t>{0, below - 1}(random);
  };
  int good = 0;
  for (const auto& one : test::samples(kSamples, "policy-")) {
    for (int round = 0; round < 800; ++round) {
      std::string text = one.text;
      for (std::size_t changes = 1 + roll(4); changes > 0; --changes) {
        const std::size_t at = roll(text.size());
        switch (roll(4)) {
          case 0:
            text[at] = bytes[roll(bytes.size())];
            break;
          case 1:
            text.insert(at, 1, bytes[roll(bytes.size())]);
            break;
          case 2:
            text.erase(at, 1 + roll(8));
            break;
          default:
            text.insert(at, one.text.substr(roll(one.text.size()), roll(40)));
        }
      }
      const auto policy = parse(text, "f");
      if (policy) {
        ++good;
        (void)check(*policy);
        REQUIRE(from_body(to_body(*policy)));
      } else if (!policy.error().where.starts_with("f:")) {
        FAIL(policy.error().text() << "\n" << text);
      }
    }
  }
  CHECK(good > 0);
}

}  // namespace
}  // namespace lockstep::policy
