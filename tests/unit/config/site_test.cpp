#include "common/config/site.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/config/reader.hpp"
#include "common/os/disk.hpp"
#include "common/transport/keys.hpp"
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
  CHECK(site->control.size() == 3);
  // No `here`: everything runs here. No `registrar`: the only transfer-agent is it.
  CHECK(site->here.size() == 7);
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
  CHECK(site->here == std::vector<std::string>{"policy", "scheduler", "health-monitor", "gateway"});
  REQUIRE(site->gateway);
  CHECK(site->gateway->feed == "tcp://192.0.2.1:7443");
  CHECK(site->gateway->http == "127.0.0.1:9480");
  CHECK(site->clock.sources == std::vector<std::string>{"192.0.2.1", "7F7F0101"});
  CHECK(site->clock.max_error == milliseconds(50));
  CHECK(site->log_format == "json");
  const auto& hdfs = site->clusters.at("south").hdfs;
  REQUIRE(hdfs);
  CHECK(hdfs->namenodes ==
        std::vector<std::string>{"https://192.0.2.25:9871", "https://192.0.2.26:9871"});
  CHECK(hdfs->ca == kSamples + "/hadoop-ca.pem");
  CHECK(hdfs->user == "hdfs");
  CHECK(hdfs->connections == 16);
  CHECK(hdfs->patience == seconds(60));
  CHECK(hdfs->filesystem == "hdfs://south");
  REQUIRE(hdfs->distcp);
  CHECK(hdfs->distcp->classpath == "/etc/hadoop/conf:/opt/hadoop/share/hadoop/common/*");
  CHECK(hdfs->distcp->resourcemanagers == std::vector<std::string>{"https://192.0.2.25:8090"});
  CHECK(hdfs->distcp->java == "/opt/java/bin/java");
  CHECK(hdfs->distcp->queue == "backup");
  CHECK(hdfs->distcp->maps == 40);
  CHECK(hdfs->distcp->bandwidth == 50);
  CHECK(hdfs->distcp->from == std::uint64_t{1} << 40U);
  const auto& other = site->clusters.at("north").hdfs;
  REQUIRE(other);
  CHECK(other->filesystem == "hdfs://192.0.2.15:8020");
  CHECK_FALSE(other->distcp);
  const auto& hbase = site->clusters.at("south").hbase;
  REQUIRE((hbase && hbase->exportsnapshot));
  CHECK(hbase->rootdir == "/apps/hbase");
  CHECK(hbase->exportsnapshot->classpath == "/etc/hbase/conf:/opt/hbase/lib/*");
  CHECK(hbase->exportsnapshot->resourcemanagers ==
        std::vector<std::string>{"https://192.0.2.25:8090"});
  CHECK(hbase->exportsnapshot->queue == "backup");
  const auto& plain = site->clusters.at("north").hbase;
  REQUIRE(plain);
  CHECK(plain->rootdir == "/hbase");
  CHECK_FALSE(plain->exportsnapshot);
}

Hadoop hadoop_of(const std::string& yaml, Report& report) {
  const auto document = read_document(yaml, report);
  REQUIRE(document);
  auto cluster = document->map();
  REQUIRE(cluster);
  return read_hadoop(*cluster, [](const auto& path) { return path->text().value_or(""); });
}

TEST_CASE("the ca of NameNodes without TLS is that of the ResourceManagers, where they have it") {
  const auto read = [](const std::string& distcp, const std::string& exported, Report& report) {
    return hadoop_of(
        "hdfs: {namenodes: [\"http://nn:9870\"], filesystem: hdfs://nn, ca: ca.pem, "
        "distcp: {classpath: /c, resourcemanagers: [\"" +
            distcp +
            "://rm:8088\"]}}\n"
            "hbase: {classpath: /h, exportsnapshot: {resourcemanagers: [\"" +
            exported + "://rm:8088\"]}}\n",
        report);
  };
  Report good{"f"};
  const auto hdfs = read("https", "http", good).hdfs;
  CHECK(read("http", "https", good).hbase);
  CHECK(good.clean());
  REQUIRE((hdfs && hdfs->distcp));
  CHECK(hdfs->ca == "ca.pem");
  CHECK(hdfs->distcp->java == "java");
  CHECK(hdfs->distcp->queue == "default");
  CHECK(hdfs->distcp->maps == 20);
  CHECK(hdfs->distcp->bandwidth == 100);
  CHECK(hdfs->distcp->from == std::uint64_t{64} << 30U);
  Report bad{"f"};
  CHECK(read("http", "http", bad).hdfs);
  CHECK_FALSE(bad.clean());
}

TEST_CASE("ExportSnapshot needs no YARN, and has HBase's classes unless it is given others") {
  const auto read = [](const std::string& keys) {
    Report report{"f"};
    const auto hadoop = hadoop_of(
        "hdfs: {namenodes: [\"http://nn:9870\"], filesystem: hdfs://nn}\n"
        "hbase: {classpath: /h, exportsnapshot: {" +
            keys + "}}\n",
        report);
    CHECK(report.clean());
    REQUIRE((hadoop.hbase && hadoop.hbase->exportsnapshot));
    return *hadoop.hbase->exportsnapshot;
  };
  const auto local = read("maps: 3, bandwidth: 7, from: 1GiB, java: /opt/java/bin/java");
  CHECK(local.classpath == "/h");
  CHECK(local.resourcemanagers.empty());
  CHECK(local.java == "/opt/java/bin/java");
  CHECK(local.maps == 3);
  CHECK(local.bandwidth == 7);
  CHECK(local.from == std::uint64_t{1} << 30U);
  const auto yarn = read("classpath: /c, resourcemanagers: [\"http://rm:8088\"]");
  CHECK(yarn.classpath == "/c");
  CHECK(yarn.resourcemanagers == std::vector<std::string>{"http://rm:8088"});
  CHECK(yarn.java == "java");
  CHECK(yarn.queue == "default");
  CHECK(yarn.maps == 20);
  CHECK(yarn.bandwidth == 100);
  CHECK(yarn.from == std::uint64_t{64} << 30U);
}

TEST_CASE(
    "only where the file allows it, and only `from`, is led to where injection stands between") {
  const auto loaded = load_site(kSamples + "/site-one-machine.yaml");
  REQUIRE(loaded);
  Site site = *loaded;
  site.injection.through = {{"scheduler", "north-snapshot", "ipc:///run/between"}};
  const auto asked_at = [&](const std::string& from) {
    return site.directory(from)->find("north-snapshot")->endpoint;
  };
  const std::string real = asked_at("scheduler");
  CHECK(real != "ipc:///run/between");
  site.injection.allowed = true;
  CHECK(asked_at("scheduler") == "ipc:///run/between");
  CHECK(asked_at("user") == real);
  // It binds where it always did.
  CHECK(asked_at("north-snapshot") == real);
}

TEST_CASE("with bind_all a service listens at every address, and others ask it where it is") {
  const auto loaded = load_site(kSamples + "/site-one-machine.yaml");
  REQUIRE(loaded);
  Site site = *loaded;
  site.bind_all = true;
  site.insecure = true;
  for (auto& service : site.control) service.endpoint = "tcp://" + service.name + ":7401";
  CHECK(site.directory("policy")->find("policy")->endpoint == "tcp://0.0.0.0:7401");
  CHECK(site.directory("policy")->find("scheduler")->endpoint == "tcp://scheduler:7401");
  CHECK(site.directory("user")->find("policy")->endpoint == "tcp://policy:7401");
  // A socket in the file system has no address.
  CHECK(site.directory("policy")->find("policy")->events.starts_with("ipc://"));
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

TEST_CASE("the directory of a site without keys") {
  const auto site = load_site(kSamples + "/site-one-machine.yaml");
  REQUIRE(site);
  const auto directory = site->directory("scheduler");
  if (!directory) FAIL(directory.error().text());
  CHECK(directory->parties.size() == 8);  // three services, four agents, the user
  CHECK(directory->me().endpoint.ends_with("/run/scheduler"));
  CHECK(directory->secret_key.empty());
  const auto* agent = directory->find("north-transfer");
  REQUIRE(agent != nullptr);
  CHECK(agent->role == transport::Role::transfer_agent);
  CHECK(agent->cluster == "north");
  CHECK(agent->registrar);
  CHECK_FALSE(agent->bulk.empty());
  REQUIRE(directory->find("user") != nullptr);
  CHECK(directory->find("user")->role == transport::Role::user);
  const auto nobody = site->directory("nobody");
  REQUIRE_FALSE(nobody);
  CHECK(nobody.error().code == ErrorCode::not_found);
}

TEST_CASE("the directory of a site with keys has every public key and one's own secret one") {
  std::string pattern = "/tmp/lockstep-site-XXXXXX";
  REQUIRE(::mkdtemp(pattern.data()) != nullptr);
  const std::filesystem::path home{pattern};
  struct Cleanup {
    std::filesystem::path path;
    ~Cleanup() { std::filesystem::remove_all(path); }
  } const cleanup{home};
  std::filesystem::copy(kSamples + "/site-one-machine.yaml", home / "lockstep.yaml");
  std::ofstream{home / "lockstep.yaml", std::ios::app} << "keys: keys\n";
  std::filesystem::create_directory(home / "keys");

  const auto site = load_site((home / "lockstep.yaml").string());
  if (!site) FAIL(site.error().text());
  const auto missing = site->directory("policy");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == ErrorCode::key_unreadable);

  const auto disk = os::make_kernel_disk();
  for (const char* name : {"policy", "scheduler", "health-monitor", "north-snapshot",
                           "north-transfer", "south-snapshot", "south-transfer", "user"}) {
    REQUIRE(transport::write_key_files(*disk, site->keys, name, transport::make_key_pair()));
  }
  const auto directory = site->directory("policy");
  if (!directory) FAIL(directory.error().text());
  CHECK(transport::public_key_of(directory->secret_key) == directory->me().public_key);
  for (const auto& [name, party] : directory->parties) CHECK(transport::is_key(party.public_key));

  std::filesystem::permissions(home / "keys/policy.key", std::filesystem::perms::group_read,
                               std::filesystem::perm_options::add);
  const auto readable = site->directory("policy");
  REQUIRE_FALSE(readable);
  CHECK(readable.error().code == ErrorCode::key_mode);
  std::filesystem::remove(home / "keys/scheduler.key");
  std::filesystem::copy(home / "keys/user.key", home / "keys/scheduler.key");
  const auto swapped = site->directory("scheduler");
  REQUIRE_FALSE(swapped);
  CHECK(swapped.error().code == ErrorCode::key_unreadable);
}

}  // namespace
}  // namespace lockstep::config
