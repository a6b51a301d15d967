#include "services/policy/book.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>

#include "services/policy/site_check.hpp"

namespace lockstep::policy_service {
namespace {

const Actor kAnna{"anna", "anna's key"};

std::string yaml_of(const std::string& service, const std::string& path,
                    const std::string& more = {}) {
  return "service: " + service +
         "\nretention: {last: 3}\ndata_sets:\n  - {name: docs, component: files, path: " + path +
         ", fence: {hook: pause}}\n" + more;
}

struct Fixture {
  std::string directory = "/tmp/lockstep-book-XXXXXX";
  std::unique_ptr<Clock> clock = make_system_clock();
  std::unique_ptr<journal::Journal> journal;

  Fixture() {
    REQUIRE(::mkdtemp(directory.data()) != nullptr);
    open();
  }
  ~Fixture() {
    journal.reset();
    std::filesystem::remove_all(directory);
  }
  void open() {
    journal.reset();
    journal::OpenOptions options;
    options.path = directory + "/policy.journal";
    options.source = "policy";
    options.migrations = migrations();
    auto opened = journal::open(options, *clock);
    if (!opened) FAIL(opened.error().text());
    journal = std::move(opened).value();
  }
  Book book() { return Book{*journal, *clock}; }

  Book::Applied apply(const std::string& yaml) {
    const auto policy = policy::parse(yaml, "file.yaml");
    if (!policy) FAIL(policy.error().text());
    const auto applied = book().apply(*policy, yaml, "file.yaml", kAnna);
    if (!applied) FAIL(applied.error().text());
    return *applied;
  }
  // "type subject" of all events.
  std::string events() {
    std::string out;
    const auto all = journal->events_after(0, 100);
    REQUIRE(all);
    for (const auto& event : *all) {
      out += event.type + " " + event.subject + "; ";
      const auto valid = message::check_schema("events/" + event.type, event.data);
      if (!valid) FAIL(valid.error().text());
    }
    return out;
  }
  std::string audit() {
    std::string out;
    REQUIRE(journal->read([&](SQLite::Database& database) -> Result<void> {
      SQLite::Statement select{
          database, "SELECT actor, key, act, service, version FROM audit ORDER BY number"};
      while (select.executeStep()) {
        for (int i = 0; i < 5; ++i) out += select.getColumn(i).getString() + (i < 4 ? " " : "; ");
      }
      return {};
    }));
    return out;
  }
};

TEST_CASE_METHOD(Fixture, "versions count up, the same text again changes nothing") {
  const auto first = yaml_of("orders", "/srv/orders");
  CHECK(apply(first).version == 1);
  const auto again = apply(first);
  CHECK(again.version == 1);
  CHECK_FALSE(again.changed);
  CHECK(apply(first + "# another comment\n").version == 2);
  const auto entry = book().find("orders");
  REQUIRE(entry);
  CHECK(entry->version == 2);
  CHECK(entry->yaml == first + "# another comment\n");
  const auto policy = policy::from_body(entry->body);
  REQUIRE(policy);
  CHECK(policy->data_sets[0].place.location == "/srv/orders");
  CHECK(events() == "policy.applied orders; policy.applied orders; ");
  CHECK(audit() == "anna anna's key apply orders 1; anna anna's key apply orders 2; ");
}

TEST_CASE_METHOD(Fixture, "what applied is there after a restart") {
  apply(yaml_of("orders", "/srv/orders"));
  apply(yaml_of("bills", "/srv/bills"));
  REQUIRE(book().set_paused("bills", true, kAnna));
  open();
  const auto all = book().all();
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].service == "bills");
  CHECK((*all)[0].paused);
  CHECK_FALSE((*all)[1].paused);
}

TEST_CASE_METHOD(Fixture, "a pause outlives a new version, and ends once") {
  apply(yaml_of("orders", "/srv/orders"));
  REQUIRE(book().set_paused("orders", true, kAnna));
  REQUIRE(book().set_paused("orders", true, kAnna));
  apply(yaml_of("orders", "/srv/other"));
  CHECK(book().find("orders")->paused);
  REQUIRE(book().set_paused("orders", false, kAnna));
  CHECK_FALSE(book().find("orders")->paused);
  CHECK(events() ==
        "policy.applied orders; policy.paused orders; policy.applied orders; policy.resumed "
        "orders; ");
}

TEST_CASE_METHOD(Fixture,
                 "a policy that was removed is unknown, and comes back as its next version") {
  const auto text = yaml_of("orders", "/srv/orders");
  apply(text);
  REQUIRE(book().set_paused("orders", true, kAnna));
  REQUIRE(book().remove("orders", kAnna));
  for (const auto& result :
       {book().remove("orders", kAnna), book().set_paused("orders", true, kAnna)}) {
    auto copy = result;
    REQUIRE_FALSE(copy);
    CHECK(copy.error().code == ErrorCode::policy_unknown);
  }
  CHECK_FALSE(book().find("orders"));
  CHECK_FALSE(book().find(""));
  CHECK(book().all()->empty());
  const auto back = apply(text);
  CHECK(back.version == 2);
  CHECK(back.changed);
  CHECK_FALSE(book().find("orders")->paused);
}

config::Site site() {
  const std::string file = LOCKSTEP_SOURCE "/docs/samples/site-three-hosts.yaml";
  auto loaded = config::load_site(file);
  if (!loaded) FAIL(loaded.error().text());
  return std::move(loaded).value();
}

policy::Policy parsed(const std::string& yaml) {
  auto policy = policy::parse(yaml, "file.yaml");
  if (!policy) FAIL(policy.error().text());
  return std::move(policy).value();
}

TEST_CASE("the agents that a policy names belong to the site") {
  const auto none = judge(parsed(yaml_of("orders", "/data/orders")), {}, site());
  REQUIRE(none.findings.size() == 1);
  CHECK(none.findings[0].where == "data_sets[0].agent");
  CHECK(none.own == 1);
  CHECK(refuses(none.findings));
  const auto wrong =
      judge(parsed(yaml_of("orders", "/data/orders, agent: north-flies")), {}, site());
  REQUIRE(wrong.findings.size() == 1);
  CHECK(wrong.findings[0].hint == "did you mean `north-files`?");
  const auto right = judge(
      parsed(yaml_of("orders", "/data/orders, agent: north-files, to: {agent: south-transfer}")),
      {}, site());
  CHECK(right.findings.empty());
  const auto far =
      judge(parsed(yaml_of("orders", "/data/orders, agent: north-databases")), {}, site());
  REQUIRE(far.findings.size() == 1);
  CHECK(far.findings[0].warning);
  CHECK(far.findings[0].what.find("192.0.2.11") != std::string::npos);
  const auto role = judge(
      parsed(yaml_of("orders", "/data/orders, agent: north-files, to: {agent: south-snapshot}")),
      {}, site());
  CHECK(refuses(role.findings));
}

// What is told of a set with an engine: the lack, and '?' where it is only a warning.
std::string told_of_engine(const config::Site& site, const std::string& mode,
                           const std::string& set) {
  const auto verdict =
      judge(parsed("service: orders\nretention: {last: 3}\nmode: " + mode +
                   "\ndata_sets:\n  - {name: trail, agent: north-files, fence: {hook: pause}, " +
                   set + "}\n"),
            {}, site);
  std::string out;
  for (const auto& finding : verdict.findings) {
    CHECK(finding.where == "data_sets[0].engine");
    out += finding.what.substr(0, finding.what.find(", which")) + (finding.warning ? "?\n" : "\n");
  }
  return out;
}

TEST_CASE("an engine has what it needs in the clusters, also after a change of roles") {
  const auto told = [](const config::Site& site, const std::string& mode) {
    return told_of_engine(site, mode, "component: hdfs, path: /trail, engine: auto");
  };
  config::Site both = site();  // south has `distcp` and drives a pull
  CHECK(told(both, "pull") == "the cluster `north` has no `hdfs.distcp`?\n");
  CHECK(told(both, "push") == "the cluster `north` has no `hdfs.distcp`\n");
  auto& north = *both.clusters.at("north").hdfs;
  north.distcp = both.clusters.at("south").hdfs->distcp;
  CHECK(told(both, "pull").empty());
  CHECK(told(both, "push").empty());
  north.filesystem.clear();
  CHECK(told(both, "pull") == "the cluster `north` has no `hdfs.filesystem`\n");
}

TEST_CASE("an engine for tables is that of HBase, on an HDFS that both clusters name") {
  for (const std::string engine : {"exportsnapshot", "auto"}) {
    const auto told = [&engine](const config::Site& site, const std::string& mode) {
      return told_of_engine(site, mode, "component: hbase, path: /orders/*, engine: " + engine);
    };
    config::Site both = site();  // south has `exportsnapshot`
    CHECK(told(both, "pull") == "the cluster `north` has no `hbase.exportsnapshot`?\n");
    CHECK(told(both, "push") == "the cluster `north` has no `hbase.exportsnapshot`\n");
    auto& north = both.clusters.at("north");
    north.hbase->exportsnapshot = both.clusters.at("south").hbase->exportsnapshot;
    both.clusters.at("south").hdfs->distcp.reset();  // DistCp's are none of its
    CHECK(told(both, "pull").empty());
    CHECK(told(both, "push").empty());
    both.clusters.at("south").hdfs->filesystem.clear();
    CHECK(told(both, "push") == "the cluster `south` has no `hdfs.filesystem`\n");
  }
  // Told once, of the policy alone.
  CHECK(told_of_engine(site(), "push", "component: hbase, path: /orders/*, engine: distcp") ==
        "DistCp carries only `hdfs` that is kept as `hdfs`, not `hbase` as `hbase`\n");
}

TEST_CASE("only conflicts that a policy brings in are told") {
  const std::string agent = ", agent: north-files";
  const auto orders = parsed(yaml_of("orders", "/data/orders" + agent));
  const auto inside = parsed(yaml_of("inside", "/data/orders/new" + agent));
  const auto bills = parsed(yaml_of("bills", "/data/bills" + agent));
  const auto verdict = judge(inside, {orders}, site());
  CHECK(verdict.own == 0);
  REQUIRE(refuses(verdict.findings));
  CHECK(verdict.findings[0].where == "inside.data_sets[0].path");
  // The other two are at odds already; bills is not to blame.
  CHECK(judge(bills, {orders, inside}, site()).findings.empty());
}

}  // namespace
}  // namespace lockstep::policy_service
