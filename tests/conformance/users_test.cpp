// The component of user data: what every component's pins must do, and how its versions are kept.
#include "common/components/users/users.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "common/component/user_capture.hpp"
#include "common/os/disk.hpp"
#include "common/os/durable.hpp"
#include "common/os/processes.hpp"
#include "common/os/whole_file.hpp"
#include "common/users/embedded/embedded.hpp"
#include "tests/conformance/snapshots_suite.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using component::Action;
using component::Entry;
using component::Version;

namespace {

constexpr const char* kRun = "01930000-0000-7000-8000-000000000001";
constexpr const char* kHash = "{SSHA512}nobody-may-see-this";

// A primary with a directory, and a secondary.
struct Site {
  test::Scratch scratch;
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::unique_ptr<os::Processes> processes = os::make_system_processes();
  std::unique_ptr<Clock> clock = make_system_clock();
  component::Surroundings surroundings{*disk, *processes, *clock, scratch / "state"};
  std::unique_ptr<users::Store> store = users::make_embedded(scratch / "users.db");
  std::unique_ptr<component::Component> primary = user_data::make_users(
      surroundings, [this] { return users::make_embedded(scratch / "users.db"); });
  std::unique_ptr<component::Component> secondary = user_data::make_users(surroundings);
  component::DataSet set{{"orders", component::kUserDataSet},
                         component::kUserData,
                         {scratch / "north/.lockstep", {}},
                         {}};
  component::DataSet target{{"orders", component::kUserDataSet},
                            component::kUserData,
                            {scratch / "south/.lockstep", {}},
                            {}};

  Site() { become({person("anna"), person("bob")}); }

  static users::Record person(const std::string& name) {
    users::Record out;
    out.id = out.name = name;
    out.passwords = {kHash};
    return out;
  }

  users::State now() {
    auto read = store->read();
    if (!read) FAIL(read.error().text());
    return *read;
  }
  void become(const std::vector<users::Record>& people) {
    users::State wanted;
    for (const auto& one : people) wanted.emplace(one.id, one);
    const users::State present = now();
    REQUIRE(
        store->apply(present, users::diff(present, wanted, {}), [](std::size_t) { return true; }));
  }
  std::string content(component::Component& of, const Version& version) {
    auto read = os::read_file(*disk, of.target()->path_of(version), 1 << 20);
    if (!read) FAIL(read.error().text());
    return *read;
  }
  component::Context context(const std::string& run = kRun) {
    component::Context out;
    out.run = run;
    return out;
  }

  // What a transfer does with a document.
  Version carried(const std::string& document, const std::string& run = kRun) {
    auto staging = secondary->target()->stage(context(run), {target, std::nullopt, false});
    if (!staging) FAIL(staging.error().text());
    Entry entry;
    entry.mode = 0600;
    entry.size = document.size();
    REQUIRE((*staging)->begin(entry, Action::create));
    REQUIRE((*staging)->write(0, std::as_bytes(std::span(document))));
    REQUIRE((*staging)->finish());
    REQUIRE((*staging)->checkpoint());
    auto sealed = (*staging)->seal();
    if (!sealed) FAIL(sealed.error().text());
    return *sealed;
  }
};

}  // namespace

TEST_CASE("user data is pinned as every component pins") {
  Site site;
  const auto live = [&] { return users::to_document(site.now(), "embedded"); };
  test::run_snapshots_suite(
      {*site.primary->snapshots(), site.set, *site.clock,
       [&] {
         site.become({Site::person("anna"), Site::person("cleo")});
       },
       live, [&](const Version& version) { return site.content(*site.primary, version); }});
}

TEST_CASE("a settled pin says what was read and when, and no more, after a restart too") {
  Site site;
  auto& snapshots = *site.primary->snapshots();
  auto armed = snapshots.arm(site.context(), site.set, site.clock->utc());
  REQUIRE(armed);
  const UtcNanos before = site.clock->utc();
  auto pinned = (*armed)->pin();
  REQUIRE(pinned);
  CHECK_FALSE(pinned->durable);
  auto version = (*armed)->settle(site.context());
  REQUIRE(version);
  const UtcNanos after = site.clock->utc();
  const auto& captures = dynamic_cast<const component::CapturesUsers&>(snapshots);
  const auto capture = captures.capture_of(*version);
  REQUIRE(capture);
  CHECK(capture->store == "embedded");
  CHECK(capture->records == std::map<std::string, std::uint64_t>{{"user", 2}});
  CHECK(capture->digest == users::digest_of(site.content(*site.primary, *version)));
  CHECK(before <= capture->captured.requested);
  CHECK(capture->captured.requested <= capture->captured.acknowledged);
  CHECK(capture->captured.acknowledged <= after);
  CHECK(version->native.find("SSHA512") == std::string::npos);
  CHECK_FALSE(captures.capture_of(pinned->version));  // it was not read then
  struct stat status {};
  REQUIRE(::stat(site.primary->target()->path_of(*version).c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a directory that cannot be read is not armed; what is not settled is found") {
  Site site;
  REQUIRE(os::write_durably(*site.disk, site.scratch / "other.db", "no database at all", {}));
  for (const char* path : {"other.db", "none/users.db"}) {
    auto lost = user_data::make_users(
        site.surroundings, [&site, path] { return users::make_embedded(site.scratch / path); });
    CHECK_FALSE(lost->snapshots()->arm(site.context(), site.set, site.clock->utc()));
    CHECK_FALSE(lost->health(site.set).good);
  }
  CHECK(site.secondary->snapshots() == nullptr);  // of an agent that reaches no directory

  auto& snapshots = *site.primary->snapshots();
  auto armed = snapshots.arm(site.context(), site.set, site.clock->utc());
  REQUIRE(armed);
  CHECK_FALSE((*armed)->settle(site.context()));  // nothing is pinned
  REQUIRE((*armed)->pin());
  CHECK_FALSE((*armed)->pin());
  armed->reset();
  const auto half = snapshots.find(site.context(), site.set);
  REQUIRE(half);
  REQUIRE(*half);
  REQUIRE(snapshots.drop(site.context(), **half));
  const auto found = snapshots.find(site.context(), site.set);
  REQUIRE(found);
  CHECK_FALSE(*found);
}

TEST_CASE("a version is kept whole, given back, and gone when it is dropped") {
  Site site;
  auto& target = *site.secondary->target();
  const std::string document = users::to_document(site.now(), "embedded");
  const Version version = site.carried(document);
  CHECK(site.content(*site.secondary, version) == document);
  REQUIRE(target.check_version(version));
  CHECK(site.carried(document).native == version.native);  // done again: found made
  const auto found = target.find(site.context(), site.target);
  REQUIRE(found);
  REQUIRE(*found);

  const std::string place = site.scratch / "restored/user-data";
  REQUIRE(target.restore(site.context(), version, {place, {}}, "", false));
  const auto again = target.restore(site.context(), version, {place, {}}, "", false);
  REQUIRE_FALSE(again);
  CHECK(again.error().code == ErrorCode::place_not_empty);
  const auto replaced = target.restore(site.context(), version, {place, {}}, "", true);
  REQUIRE(replaced);
  CHECK(os::exists(*site.disk, replaced->moved_aside));

  REQUIRE(os::write_durably(*site.disk, target.path_of(version), document.substr(3), {}));
  CHECK_FALSE(target.check_version(version));
  REQUIRE(target.drop(site.context(), version));
  REQUIRE(target.drop(site.context(), version));
  const auto left = target.list(site.target);
  REQUIRE(left);
  CHECK(left->empty());
}

TEST_CASE("a change of a base needs the base; an attempt that goes on keeps what it had") {
  Site site;
  auto& target = *site.secondary->target();
  const std::string document = users::to_document(site.now(), "embedded");
  const Version base = site.carried(document);
  const std::string run = "01930000-0000-7000-8000-000000000002";
  {
    auto staging = target.stage(site.context(run), {site.target, base, false});
    REQUIRE(staging);
    Entry entry;
    entry.mode = 0600;
    entry.size = document.size();
    REQUIRE((*staging)->begin(entry, Action::patch));
    const std::string patch = "X";
    REQUIRE((*staging)->write(0, std::as_bytes(std::span(patch))));
    REQUIRE((*staging)->checkpoint());  // and then the process died
  }
  auto staging = target.stage(site.context(run), {site.target, base, true});
  REQUIRE(staging);
  Entry entry;
  entry.mode = 0600;
  entry.size = document.size();
  REQUIRE((*staging)->begin(entry, Action::patch));
  REQUIRE((*staging)->finish());
  const auto sealed = (*staging)->seal();
  REQUIRE(sealed);
  CHECK(site.content(*site.secondary, *sealed) == "X" + document.substr(1));
  CHECK(site.content(*site.secondary, base) == document);
  const auto none = target.stage(site.context("01930000-0000-7000-8000-000000000003"),
                                 {site.target, std::nullopt, false});
  REQUIRE(none);
  CHECK_FALSE((*none)->begin(entry, Action::patch));
  CHECK_FALSE((*none)->seal());
  REQUIRE((*none)->abandon());
}

TEST_CASE("hostile peers and strange versions are refused") {
  Site site;
  auto& target = *site.secondary->target();
  auto staging = target.stage(site.context(), {site.target, std::nullopt, false});
  REQUIRE(staging);
  Entry entry;
  entry.path = "../../escaped";
  CHECK_FALSE((*staging)->begin(entry, Action::create));
  entry.path = "";
  entry.size = 1ULL << 40;
  CHECK_FALSE((*staging)->begin(entry, Action::create));
  entry.size = 4;
  entry.mode = 04777;
  REQUIRE((*staging)->begin(entry, Action::create));
  const std::string more = "12345";
  CHECK_FALSE((*staging)->write(0, std::as_bytes(std::span(more))));
  CHECK_FALSE((*staging)->write(~0ULL, std::as_bytes(std::span(more))));
  CHECK_FALSE((*staging)->seal());
  REQUIRE((*staging)->finish());
  const auto sealed = (*staging)->seal();
  REQUIRE(sealed);
  struct stat status {};
  REQUIRE(::stat(target.path_of(*sealed).c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);

  REQUIRE(os::make_directories(*site.disk, site.scratch / "precious"));
  for (const std::string& native :
       {std::string("{\"hold\": \"" + (site.scratch / "precious") + "\"}"), std::string("{}"),
        std::string("no JSON"), std::string("[]")}) {
    const Version strange{site.target.id, component::kUserData, kRun, native};
    CHECK_FALSE(target.drop(site.context(), strange));
    CHECK_FALSE(site.secondary->sources()->open(strange));
  }
  CHECK(os::exists(*site.disk, site.scratch / "precious"));
}
