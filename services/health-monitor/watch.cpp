#include "services/health-monitor/watch.hpp"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>
#include <spdlog/spdlog.h>

#include "common/message/bytes.hpp"
#include "common/service/identity_body.hpp"
#include "common/service/log.hpp"

namespace lockstep::health {

using identity::Choice;
using identity::Health;
using identity::Identity;
using message::Body;

const char* const kWatchTable = R"sql(
CREATE TABLE application (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1), cluster TEXT NOT NULL) STRICT;
)sql";

namespace {

constexpr Nanos kLookEvery = seconds(1);
constexpr unsigned kPointsEvery = 5;  // looks
constexpr Nanos kPoliciesEvery = seconds(5);
constexpr transport::RequestOptions kPatience{milliseconds(700), milliseconds(1500),
                                              milliseconds(1500)};

bool silence(const Error& error) {
  return error.code == ErrorCode::unreachable || error.code == ErrorCode::transport ||
         error.code == ErrorCode::stalled || error.code == ErrorCode::deadline;
}

}  // namespace

Watch::Watch(service::Surroundings& here, service::IdentitySite& site) : here_(here), site_(site) {
  for (const auto& [name, cluster] : here.site.clusters) clients_[name].since = here.clock.utc();
}

Watch::~Watch() {
  if (timer_) here_.reactor.cancel(*timer_);
  if (policies_timer_) here_.reactor.cancel(*policies_timer_);
}

Result<void> Watch::start() {
  LOCKSTEP_CHECK(here_.journal.read([&](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT cluster FROM application");
    if (query.executeStep()) application_ = query.getColumn(0).getString();
    return {};
  }));
  keep_policies_fresh();
  look();
  return {};
}

Result<void> Watch::keep(const std::function<void(journal::Transaction&)>& what) {
  auto kept = here_.journal.transact("watch.change",
                                     [&](journal::Transaction& transaction) -> Result<void> {
                                       what(transaction);
                                       return {};
                                     });
  if (!kept) {
    service::log_error(kept.error());
    if (kept.error().code == ErrorCode::journal_write) here_.fail(kept.error());
  }
  here_.events.flush();
  return kept;
}

void Watch::look_soon() {
  for (auto& [name, client] : clients_) {
    if (client.outstanding == 0) look_at(name);
  }
}

void Watch::look() {
  look_soon();
  timer_ = here_.reactor.after(kLookEvery, [this] {
    timer_.reset();
    look();
  });
}

void Watch::look_at(const std::string& cluster) {
  Client& client = clients_.at(cluster);
  client.next = {};
  const auto ask = [&](const std::string& party, const char* type, Body body, auto then) {
    ++client.outstanding;
    message::Envelope envelope;
    envelope.type = type;
    envelope.body = std::move(body);
    here_.client.request(party, std::move(envelope), kPatience, {},
                         [this, cluster, then](const Result<Body>& end) {
                           then(end);
                           if (--clients_.at(cluster).outstanding == 0) answered(cluster);
                         });
  };
  for (const auto& agent : here_.site.clusters.at(cluster).agents) {
    ask(agent.name, "ping", Body::object(), [&client, name = agent.name](const Result<Body>& end) {
      client.next.agents.push_back({name, end || !silence(end.error())});
    });
  }
  const auto* registrar = here_.site.registrar(cluster);
  ask(registrar->name, "identity.show", Body::object(),
      [&client, cluster](const Result<Body>& end) {
        if (!end || end->at("decided").is_null()) return;
        client.epoch = service::decision_from(end->at("decided"));
        client.told = true;
        client.claims = client.epoch.primary == cluster && end->at("active").get<bool>();
        client.next.registrar_answers = true;
      });
  ask(registrar->name, "cluster.health", {{"sets", sets_of(cluster)}},
      [&client](const Result<Body>& end) {
        if (!end) {
          client.next.stores.push_back(
              {"registrar", false,
               "it did not tell in time how root, stores and data sets are: " +
                   end.error().text()});
          return;
        }
        client.next.pending = end->value("pending", false);
        for (const Body& store : end->at("stores")) {
          client.next.stores.push_back({store.at("name").get<std::string>(),
                                        store.at("good").get<bool>(),
                                        message::bytes_of(store.at("detail"))});
        }
      });
  if (client.looks++ % kPointsEvery != 0) return;
  ask(registrar->name, "point.list", Body::object(), [this, cluster](const Result<Body>& end) {
    if (end) points_[cluster] = end->at("points");
  });
}

// A whole look: its verdict counts by the hysteresis, and may change the application's client.
void Watch::answered(const std::string& cluster) {
  Client& client = clients_.at(cluster);
  client.finding = std::move(client.next);
  client.next = {};
  const Health before = client.condition.counts().health;
  const bool first = !client.condition.known();
  const Verdict verdict = judge(client.finding);
  if (client.finding.pending && verdict.health == Health::healthy) return choose();
  const bool changed = client.condition.take(verdict);
  const UtcNanos now = here_.clock.utc();
  const Verdict& counts = client.condition.counts();
  if (counts.health == Health::healthy) client.last_healthy = now;
  if (changed && (first || counts.health != before)) {
    client.since = now;
    spdlog::info("{} is {}{}", cluster, identity::health_name(counts.health),
                 counts.reason.empty() ? "" : ": " + counts.reason);
    const auto newest = site_.current();
    const bool fault = (counts.health == Health::failed || counts.health == Health::unreachable) &&
                       newest && newest->primary == cluster;
    (void)keep([&](journal::Transaction& transaction) {
      transaction.emit("cluster.health", cluster,
                       {{"cluster", cluster},
                        {"health", identity::health_name(counts.health)},
                        {"reason", message::text_or_bytes(counts.reason)},
                        {"since", to_rfc3339(now)}});
      if (fault) transaction.emit("fault.prompt", cluster, prompt());
    });
    if (fault && on_fault) on_fault(cluster);
  }
  choose();
}

// A claim under an older epoch than the newest decided is no claim.
identity::Sight Watch::sight_of(const std::string& cluster) const {
  const Client& client = clients_.at(cluster);
  identity::Sight sight;
  sight.health = client.condition.counts().health;
  const auto newest = site_.current();
  if (newest && client.told) {
    const bool of_now = client.epoch.number >= newest->number;
    // One that was decided to be the primary is it once its data sets are live: until it says so,
    // and even while it has not heard of the decision, nobody is to use it.
    sight.identity = client.claims && of_now ? Identity::primary : Identity::secondary;
  }
  return sight;
}

void Watch::choose() {
  if (!site_.current()) return;
  for (const auto& [name, client] : clients_) {
    if (!client.condition.known()) return;
  }
  const std::string first = clients_.begin()->first;
  const std::string second = clients_.rbegin()->first;
  const Choice choice = identity::application_client(sight_of(first), sight_of(second));
  std::string chosen = application_;
  loud_ = choice == Choice::newer;
  switch (choice) {
    case Choice::first:
      chosen = first;
      break;
    case Choice::second:
      chosen = second;
      break;
    case Choice::newer: {
      const auto one = clients_.at(first).epoch.number;
      const auto other = clients_.at(second).epoch.number;
      if (one != other) chosen = one > other ? first : second;
      spdlog::error("both clusters claim to be the primary; applications are to use {}", chosen);
      break;
    }
    case Choice::before:
      if (chosen.empty()) chosen = site_.current()->primary;
      break;
    case Choice::none:
      chosen.clear();
      break;
  }
  if (chosen == application_) return;
  application_ = chosen;
  spdlog::info("the application's client is {}", chosen.empty() ? "none" : chosen);
  (void)keep([&](journal::Transaction& transaction) {
    SQLite::Statement put(transaction.database(),
                          "INSERT INTO application VALUES (1, ?)"
                          " ON CONFLICT DO UPDATE SET cluster = excluded.cluster");
    put.bind(1, chosen);
    put.exec();
    transaction.emit("client.changed", chosen.empty() ? "none" : chosen,
                     {{"application", chosen}, {"epoch", service::body_of(*site_.current())}});
  });
  for (const auto& call : on_application) call();
}

void Watch::refresh_policies(std::function<void(Result<void>)> then) {
  message::Envelope envelope;
  envelope.type = "policy.all";
  here_.client.request("policy", std::move(envelope), kPatience, {},
                       [this, then = std::move(then)](const Result<Body>& end) {
                         if (!end) return then(end.error());
                         std::map<std::string, policy::Policy> fresh;
                         for (const Body& one : end->at("policies")) {
                           if (auto read = policy::from_body(one.at("policy"))) {
                             fresh.emplace(read->service, *read);
                           }
                         }
                         policies_ = std::move(fresh);
                         then({});
                       });
}

void Watch::keep_policies_fresh() {
  refresh_policies([this](const Result<void>&) {
    policies_timer_ = here_.reactor.after(kPoliciesEvery, [this] {
      policies_timer_.reset();
      keep_policies_fresh();
    });
  });
}

// The live places in the primary; in the secondary nothing is live. Sets of a cluster with several
// snapshot-agents may lie on another host than the registrar's: those are not looked at.
Body Watch::sets_of(const std::string& cluster) const {
  Body sets = Body::array();
  const auto newest = site_.current();
  if (!newest || newest->primary != cluster || !clients_.at(cluster).claims) return sets;
  const auto& own = here_.site.clusters.at(cluster);
  int pinning = 0;
  for (const auto& agent : own.agents) {
    pinning += agent.role == transport::Role::snapshot_agent ? 1 : 0;
  }
  if (pinning != 1) return sets;
  for (const auto& [service, policy] : policies_) {
    std::string source = policy.primary;
    for (const auto& [name, other] : here_.site.clusters) {
      if (source.empty() && other.initially_primary) source = name;
    }
    for (const auto& set : policy.data_sets) {
      const bool here = source == cluster;
      sets.push_back(
          {{"service", service},
           {"name", set.name},
           {"component", here || set.to.component.empty() ? set.component : set.to.component},
           {"location", message::text_or_bytes(
                            here ? set.place.location
                                 : policy::target_location(set, here_.site.clusters.at(source).root,
                                                           own.root))}});
    }
  }
  return sets;
}

// What a person is told when the primary is in trouble.
Body Watch::prompt() const {
  const auto newest = site_.current();
  if (!newest) return nullptr;
  const std::string& primary = newest->primary;
  const Client& client = clients_.at(primary);
  const Verdict& counts = client.condition.counts();
  if (!client.condition.known() ||
      (counts.health != Health::failed && counts.health != Health::unreachable)) {
    return nullptr;
  }
  std::string other;
  for (const auto& [name, one] : clients_) {
    if (name != primary) other = name;
  }
  Body services = Body::array();
  const auto known = points_.find(other);
  for (const auto& [service, policy] : policies_) {
    Body row{{"service", service}};
    if (known != points_.end()) {
      for (const Body& point : known->second) {
        if (point.at("service") != service || !point.value("verified_ok", true)) continue;
        row["point"] = point.at("id");
        row["moment"] = point.at("moment");
        break;
      }
    }
    services.push_back(std::move(row));
  }
  Body out{{"cluster", primary},
           {"health", identity::health_name(counts.health)},
           {"reason", message::text_or_bytes(counts.reason)},
           {"since", to_rfc3339(client.since)},
           {"services", std::move(services)},
           {"command", "lockstep promote " + other}};
  if (client.last_healthy) out["last_healthy"] = to_rfc3339(*client.last_healthy);
  return out;
}

Body Watch::body() const {
  const auto newest = site_.current();
  Body clusters = Body::array();
  for (const auto& [name, client] : clients_) {
    Body agents = Body::array();
    for (const auto& agent : client.finding.agents) {
      agents.push_back({{"name", agent.name}, {"answers", agent.answers}});
    }
    Body stores = Body::array();
    for (const auto& store : client.finding.stores) {
      stores.push_back({{"name", store.name},
                        {"good", store.good},
                        {"detail", message::text_or_bytes(store.detail)}});
    }
    const Verdict& counts = client.condition.counts();
    clusters.push_back({{"name", name},
                        {"identity", identity::identity_name(sight_of(name).identity)},
                        {"epoch", client.told ? client.epoch.number : 0},
                        {"health", identity::health_name(counts.health)},
                        {"reason", message::text_or_bytes(counts.reason)},
                        {"since", to_rfc3339(client.since)},
                        {"agents", std::move(agents)},
                        {"stores", std::move(stores)}});
  }
  Body clashes = Body::array();
  for (const auto& clash : site_.record().clashes) clashes.push_back(service::body_of(clash));
  return {{"application", application_},
          {"two_primaries", loud_},
          {"decided", newest ? service::body_of(*newest) : Body(nullptr)},
          {"clashes", std::move(clashes)},
          {"clusters", std::move(clusters)},
          {"prompt", prompt()}};
}

}  // namespace lockstep::health
