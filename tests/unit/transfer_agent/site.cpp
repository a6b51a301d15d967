#include "tests/unit/transfer_agent/site.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <signal.h>

#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "common/components/files/files.hpp"
#include "common/components/sqlite/sqlite.hpp"
#include "common/message/uuid.hpp"
#include "common/service/service.hpp"
#include "tests/support/transfer_bodies.hpp"

namespace lockstep::test {

namespace fs = std::filesystem;

namespace {

const char* kYaml = R"(lockstep: 1
site: here
state: STATE
first_promotion: 01936f3a-5b00-7000-8000-000000000001
control:
  policy:    {endpoint: "ipc://run/p", events: "ipc://run/p-e"}
  scheduler: {endpoint: "ipc://run/s", events: "ipc://run/s-e"}
clusters:
  north:
    root: north
    identity: primary
    agents:
      north-snapshot: {role: snapshot-agent, endpoint: "ipc://run/ns", events: "ipc://run/ns-e"}
      north-transfer: {role: transfer-agent, endpoint: "ipc://run/nt", bulk: "ipc://run/nt-b", events: "ipc://run/nt-e"}
  south:
    root: south
    identity: secondary
    lock: LOCK
    agents:
      south-snapshot: {role: snapshot-agent, endpoint: "ipc://run/ss", events: "ipc://run/ss-e"}
      south-transfer: {role: transfer-agent, endpoint: "ipc://run/st", bulk: "ipc://run/st-b", events: "ipc://run/st-e"}
)";

std::vector<std::string> names_of(const Body& transferred) {
  std::vector<std::string> names;
  for (const auto& set : transferred.at("sets")) names.push_back(set.at("name"));
  return names;
}

}  // namespace

void write_file(const std::string& path, const std::string& content) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string noise(std::size_t size, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::string out;
  while (out.size() < size) {
    const std::uint64_t word = engine();
    out.append(reinterpret_cast<const char*>(&word), 8);
  }
  out.resize(size);
  return out;
}

TransferSite::TransferSite(const std::string& lock) {
  mount.emplace("btrfs", "1G", "commit=2");
  if (mount->mounted()) {
    top = mount->path();
  } else {
    WARN("a btrfs over a loop device cannot be mounted here: on /tmp instead");
    plain.emplace();
    top = plain->path();
  }
  for (const char* part : {"/north/orders", "/south", "/run", "/pins"}) {
    fs::create_directories(top + part);
  }
  std::string yaml = kYaml;
  // Apart from the data, so that filling its disk does not stop the journals.
  yaml.replace(yaml.find("STATE"), 5, state.path());
  yaml.replace(yaml.find("LOCK"), 4, lock);
  write_file(top + "/lockstep.yaml", yaml);
  auto loaded = config::load_site(top + "/lockstep.yaml");
  if (!loaded) FAIL(loaded.error().text());
  site = std::move(*loaded);
  epoch = service::first_epoch(site);
  auto parties = site.directory("scheduler");
  if (!parties) FAIL(parties.error().text());
  directory = std::move(*parties);
  surroundings_ = std::make_unique<component::Surroundings>(
      component::Surroundings{*disk, *processes, *clock, top + "/pins"});
  components.add(files::make_files(*surroundings_));
  components.add(sqlite::make_sqlite(*surroundings_));

  write_file(north("/files/a"), "first");
  write_file(north("/files/deep/b"), noise(300'000, 1));
  fs::create_hard_link(north("/files/a"), north("/files/same as a"));
  fs::create_symlink("a", north("/files/link"));
  SQLite::Database ledger(north("/ledger.db"), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  ledger.exec("PRAGMA journal_mode = WAL");
  ledger.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)");
  ledger.exec("INSERT INTO orders (what) VALUES ('one'), ('two')");
}

TransferSite::~TransferSite() {
  for (auto& [name, agent] : agents_) {
    agent.process->signal(SIGTERM);
    (void)agent.process->wait();
  }
}

void TransferSite::start(const std::string& agent,
                         const std::map<std::string, std::string>& environment, bool wait) {
  os::Command command;
  command.argv = {TRANSFER_AGENT, "--config", top + "/lockstep.yaml", "--name", agent};
  command.environment = environment;
  command.output_file = top + "/" + agent + ".log";
  command.die_with_parent = true;
  auto started = processes->start(command);
  if (!started) FAIL(started.error().text());
  agents_[agent].process = std::move(*started);
  if (!wait) return;
  auto answer = call(agent, "ping", "", "", Body::object(), 1, seconds(20));
  if (!answer) FAIL(answer.error().text() << "\n" << read_text(top + "/" + agent + ".log"));
}

void TransferSite::kill(const std::string& agent) {
  agents_.at(agent).process->signal(SIGKILL);
  (void)agents_.at(agent).process->wait();
  agents_.erase(agent);
}

int TransferSite::wait_for_end(const std::string& agent) {
  const int status = agents_.at(agent).process->wait();
  agents_.erase(agent);
  return status;
}

std::string TransferSite::new_run() const { return message::make_uuid7(clock->utc()); }

Body TransferSite::set(const std::string& name) const {
  const std::string kind = name == "ledger" ? "sqlite" : "files";
  const std::string file = name == "ledger" ? "/ledger.db" : "/" + name;
  return set_body(name, kind, north(file), top + "/south/orders" + file);
}

void TransferSite::pin(const std::string& run, const std::string& name) {
  const Body description = set(name);
  component::DataSet data;
  data.id = {"orders", name};
  data.component = description.at("from").at("component").get<std::string>();
  data.place.location = description.at("from").at("location").get<std::string>();
  data.fence_timeout = seconds(60);
  component::Context context;
  context.run = run;
  auto* snapshots = components.find(data.component)->snapshots();
  auto armed = snapshots->arm(context, data, clock->utc());
  if (!armed) FAIL(armed.error().text());
  auto pinned = (*armed)->pin();
  if (!pinned) FAIL(pinned.error().text());
  auto settled = (*armed)->settle(context);
  if (!settled) FAIL(settled.error().text());
  pins[{run, name}] = *settled;
}

Result<Body> TransferSite::call(const std::string& to, const std::string& type,
                                const std::string& run, const std::string& step, const Body& body,
                                int attempt, Nanos deadline) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.run = run;
  envelope.step = step;
  envelope.attempt = attempt;
  envelope.epoch = epoch;
  envelope.body = body;
  transport::RequestOptions options;
  options.silence = milliseconds(300);
  options.stall = deadline;
  options.deadline = deadline;
  // One of its own for each call: tests call from several threads.
  return transport::make_caller(directory, *clock)->call(to, envelope, options);
}

Result<Body> TransferSite::transfer(const std::string& run, const std::vector<std::string>& sets,
                                    const std::string& base, bool push, int attempt) {
  Body list = Body::array();
  for (const auto& name : sets) {
    Body one = set(name);
    const auto& version = pins.at({run, name});
    one["version"] = {
        {"component", version.component}, {"name", version.name}, {"native", version.native}};
    if (!base.empty()) one["base"] = base;
    list.push_back(std::move(one));
  }
  return call(push ? "north-transfer" : "south-transfer",
              push ? "instruction.push" : "instruction.pull", run, "transfer",
              instruction_body(clock->utc(), push ? "south-transfer" : "north-transfer", bandwidth,
                               stall, list),
              attempt);
}

Body TransferSite::seal_body(const std::string& run, const Body& transferred) const {
  std::vector<Body> sets;
  for (const auto& one : transferred.at("sets")) sets.push_back(set(one.at("name")));
  return test::seal_body(run, epoch, clock->utc(), sets, transferred);
}

Result<Body> TransferSite::seal(const std::string& run, const Body& transferred, int attempt) {
  return call("south-transfer", "point.seal", run, "seal", seal_body(run, transferred), attempt);
}

Result<Body> TransferSite::drop(const std::string& agent, const std::string& run,
                                const std::vector<std::string>& sets) {
  Body list = Body::array();
  for (const auto& name : sets) list.push_back(set(name));
  return call(agent, "transfer.drop", run, "drop-transfer",
              {{"service", "orders"}, {"sets", list}});
}

std::string TransferSite::make_point(const std::vector<std::string>& sets, const std::string& base,
                                     bool push) {
  const std::string run = new_run();
  for (const auto& name : sets) pin(run, name);
  auto transferred = transfer(run, sets, base, push);
  if (!transferred) FAIL(transferred.error().text());
  REQUIRE(names_of(*transferred) == sets);
  auto sealed = seal(run, *transferred);
  if (!sealed) FAIL(sealed.error().text());
  INFO(sealed->dump());
  REQUIRE(sealed->at("state") == "sealed");
  return run;
}

std::string TransferSite::independent_problems(const std::string& run) const {
  os::Command command;
  command.argv = {"/usr/bin/python3", std::string(LOCKSTEP_SOURCE_DIR) + "/tests/compare/point.py",
                  record_path(run)};
  auto finished = processes->run(command, seconds(60), {});
  if (!finished) return finished.error().text();
  return finished->exit_status == 0 ? std::string{} : finished->output;
}

std::vector<std::string> TransferSite::traces(const std::string& cluster,
                                              const std::string& run) const {
  std::vector<std::string> found;
  for (auto at = fs::recursive_directory_iterator(top + "/" + cluster,
                                                  fs::directory_options::skip_permission_denied);
       at != fs::recursive_directory_iterator(); ++at) {
    const std::string path = at->path().string();
    if (at->path().filename().string().starts_with(run) &&
        path.find("/pins/") == std::string::npos) {
      found.push_back(path);
    }
  }
  return found;
}

}  // namespace lockstep::test
