#include "services/scheduler/users.hpp"

#include <SQLiteCpp/Database.h>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "common/service/identity_body.hpp"
#include "common/service/log.hpp"
#include "common/users/shown.hpp"
#include "services/scheduler/body_column.hpp"

namespace lockstep::scheduler {

const char* const kUserDataTable = R"sql(
    CREATE TABLE user_data (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      outcome BLOB NOT NULL             -- of the last time that it was applied, or was not
    ) STRICT;
  )sql";

using message::Body;
using transport::Request;

namespace {

constexpr std::size_t kChunk = 512 * 1024;
constexpr Nanos kTryAgain = seconds(60);
constexpr transport::RequestOptions kPatience{seconds(2), seconds(60), seconds(86400)};

}  // namespace

struct UserData::Job {
  std::optional<Request> request;  // nothing: after a run
  std::string transfer = {};
  message::Epoch epoch = {};
  const config::Cluster* primary = nullptr;
  const config::Cluster* secondary = nullptr;
  bool push = true;
  std::string point = {};  // not empty: whose user data, neither pushed nor reconciled
  bool dry_run = false;
  const char* how() const { return !point.empty() ? "point" : push ? "push" : "reconcile"; }
  bool only_compare = false;
  std::string from = {};  // documents, where they are read here
  std::string to = {};
  std::string base = {};  // digest of the secondary's, which is to be the same still
};

Result<UserData::JobPtr> UserData::plan(const Body& wish) const {
  LOCKSTEP_TRY(const identity::Decision decision, identity_.known());
  auto job = std::make_shared<Job>();
  for (const auto& [name, cluster] : here_.site.clusters) {
    (name == decision.primary ? job->primary : job->secondary) = &cluster;
  }
  if (job->primary == nullptr || job->secondary == nullptr || !job->primary->directory ||
      !job->secondary->directory) {
    return make_error(ErrorCode::not_found, "the clusters of this site have no `directory`",
                      here_.site.file, "docs/users.md says how they are named in lockstep.yaml");
  }
  job->epoch = service::epoch_of(decision);
  job->transfer = message::make_uuid7(here_.clock.utc());
  job->push = here_.site.user_data.push;
  if (wish.contains("how")) job->push = wish.at("how") == "push";
  job->point = wish.value("point", "");
  job->dry_run = wish.value("dry_run", false);
  return job;
}

void UserData::diff(const Request& request) {
  const auto job = plan(request.body());
  if (!job) return request.failed(job.error());
  (*job)->request = request;
  (*job)->only_compare = true;
  request.accepted();
  reconcile(*job);
}

void UserData::sync(const Request& request) {
  const auto job = plan(request.body());
  if (!job) return request.failed(job.error());
  if (under_way_) {
    return request.failed(
        make_error(ErrorCode::run_busy, "user data is being applied already", here_.name));
  }
  (*job)->request = request;
  request.accepted();
  begin(*job);
}

void UserData::begin(const JobPtr& job) {
  under_way_ = true;
  if (!job->point.empty()) return take_from_point(job, 0);
  job->push ? push(job) : reconcile(job);
}

Result<void> UserData::start() {
  return here_.journal.read([this](SQLite::Database& database) -> Result<void> {
    SQLite::Statement query(database, "SELECT outcome FROM user_data");
    if (!query.executeStep()) return {};
    LOCKSTEP_TRY(outcome_, column_body(query, 0));
    return {};
  });
}

std::optional<Body> UserData::outcome() const {
  if (!here_.site.has_directories()) return std::nullopt;
  Body told = outcome_;
  told.erase("epoch");
  // Of an older epoch it was the other directory that followed.
  const auto decision = identity_.known();
  if (decision && decision->number != outcome_.value("epoch", std::uint64_t{0})) {
    return Body::object();
  }
  return told;
}

// A success that changes nothing has no event, and what failed before it reached the secondary's
// agent has none either: who watches needs both.
void UserData::note(const JobPtr& job, const Result<Body>& result) {
  const std::string now = to_rfc3339(here_.clock.utc());
  Body outcome{{"epoch", job->epoch.number}, {"ended_at", now}, {"how", job->how()}};
  if (result) {
    outcome["good_at"] = now;
  } else {
    const bool same = outcome_.value("epoch", std::uint64_t{0}) == job->epoch.number;
    if (same && outcome_.contains("good_at")) outcome["good_at"] = outcome_.at("good_at");
    outcome["error"] = message::error_body(result.error());
  }
  outcome_ = std::move(outcome);
  const auto written = here_.journal.transact(
      "users.outcome", [this](journal::Transaction& transaction) -> Result<void> {
        SQLite::Statement put(transaction.database(),
                              "INSERT OR REPLACE INTO user_data VALUES (1, ?)");
        bind_body(put, 1, outcome_);
        put.exec();
        return {};
      });
  if (written) return;
  if (written.error().code == ErrorCode::journal_write) {
    here_.fail(written.error());
  } else {
    service::log_error(written.error());
  }
}

void UserData::sync_in_the_end() {
  if (!here_.site.has_directories()) return;
  wanted_ = true;
  again();
}

void UserData::again() {
  if (under_way_ || timer_ || !wanted_) return;  // its end comes here again
  const auto job = plan(Body::object());
  if (job) {
    wanted_ = false;
    return begin(*job);
  }
  service::log_error(job.error());
  timer_ = here_.reactor.after(kTryAgain, [this] {
    timer_.reset();
    again();
  });
}

void UserData::push(const JobPtr& job) {
  ask(job, job->primary->directory->agent, "instruction.users",
      {{"transfer", job->transfer}, {"peer", job->secondary->directory->agent}},
      [this, job](const Body& sent) { apply(job, sent.at("digest")); });
}

// The secondary's points first; after a promotion those that the new primary keeps.
void UserData::take_from_point(const JobPtr& job, std::size_t keeper) {
  const config::Cluster& cluster = keeper == 0 ? *job->secondary : *job->primary;
  const config::Agent* registrar = here_.site.registrar(cluster.name);
  send(job, registrar->name, "point.users", {{"id", job->point}, {"offset", job->from.size()}},
       [this, job, keeper, &cluster](const Result<Body>& part) {
         if (part) return point_part(job, cluster, *part);
         if (part.error().code == ErrorCode::point_missing && keeper == 0) {
           return take_from_point(job, 1);
         }
         end(job, part.error());
       });
}

void UserData::point_part(const JobPtr& job, const config::Cluster& keeper, const Body& part) {
  const std::string bytes = message::bytes_of(part.at("bytes"));
  job->from += bytes;
  const auto total = part.at("total").get<std::size_t>();
  if (job->from.size() < total && !bytes.empty()) {
    return take_from_point(job, &keeper == job->secondary ? 0 : 1);
  }
  if (users::digest_of(job->from) != part.at("digest").get<std::string>()) {
    return end(job, make_error(ErrorCode::point_damaged,
                               "what lies there is not the user data that was pinned", job->point,
                               "`lockstep verify` shows what else is damaged"));
  }
  // From the cluster that was read to the one that keeps the point.
  const std::string from = part.at("from").get<std::string>();
  job->secondary = &keeper;
  job->primary = &here_.site.clusters.at(here_.site.clusters.contains(from) ? from : keeper.name);
  put(job, 0);
}

void UserData::reconcile(const JobPtr& job) {
  fetch(job, job->primary->directory->agent, job->from, [this, job] {
    fetch(job, job->secondary->directory->agent, job->to, [this, job] { compare(job); });
  });
}

void UserData::fetch(const JobPtr& job, const std::string& agent, std::string& into,
                     std::function<void()> then) {
  ask(job, agent, "users.read", Body::object(),
      [this, job, agent, &into, then = std::move(then)](const Body& part) {
        fetch_rest(job, agent, part, into, then);
      });
}

// `into` is the job's.
void UserData::fetch_rest(const JobPtr& job, const std::string& agent, const Body& part,
                          std::string& into, std::function<void()> then) {
  const std::string bytes = message::bytes_of(part.at("bytes"));
  into += bytes;
  if (into.size() >= part.at("total").get<std::size_t>()) {
    if (users::digest_of(into) != part.at("digest").get<std::string>()) {
      return end(job, make_error(ErrorCode::message_malformed,
                                 "the user data that was read is not whole", agent));
    }
    return then();
  }
  if (bytes.empty()) {
    return end(job, make_error(ErrorCode::message_malformed, "an empty part of user data", agent));
  }
  ask(job, agent, "users.read", {{"token", part.at("token")}, {"offset", into.size()}},
      [this, job, agent, &into, then = std::move(then)](const Body& next) {
        fetch_rest(job, agent, next, into, then);
      });
}

void UserData::compare(const JobPtr& job) {
  const auto from = users::from_document(job->from);
  if (!from) return end(job, from.error());
  const auto to = users::from_document(job->to);
  if (!to) return end(job, to.error());
  if (from->store != to->store) {
    return end(job, make_error(ErrorCode::guard, "the directories are of different kinds",
                               from->store + ", " + to->store));
  }
  const auto scope = users::scope_for(from->store, here_.site.user_data.attributes,
                                      job->secondary->directory->own);
  const auto changes = users::diff(to->state, from->state, scope);
  if (job->only_compare || changes.empty()) {
    return end(job, Body{{"records", from->state.size()},
                         {"counts", users::counts_of(changes)},
                         {"changes", users::changes_shown(changes, to->state, from->state)},
                         {"more", changes.size() > 500}});
  }
  const auto adjusted = users::carry_out(to->state, changes);
  if (!adjusted) return end(job, adjusted.error());
  job->base = users::digest_of(job->to);
  job->to.clear();
  job->from = users::to_document(*adjusted, from->store);
  put(job, 0);
}

void UserData::put(const JobPtr& job, std::size_t offset) {
  if (offset >= job->from.size()) return apply(job, users::digest_of(job->from));
  const auto part = std::string_view(job->from).substr(offset, kChunk);
  ask(job, job->secondary->directory->agent, "users.put",
      {{"transfer", job->transfer},
       {"offset", offset},
       {"bytes", Body::binary({part.begin(), part.end()})}},
      [this, job](const Body& taken) { put(job, taken.at("have")); });
}

void UserData::apply(const JobPtr& job, const std::string& digest) {
  Body body{{"transfer", job->transfer},
            {"digest", digest},
            {"from", job->primary->name},
            {"how", job->how()},
            {"dry_run", job->dry_run}};
  if (!job->point.empty()) body["point"] = job->point;
  if (!job->base.empty()) body["base"] = job->base;
  if (job->request && job->request->body().contains("removals")) {
    body["removals"] = job->request->body().at("removals");
  }
  ask(job, job->secondary->directory->agent, "users.apply", std::move(body),
      [this, job](const Body& done) { end(job, done); });
}

void UserData::end(const JobPtr& job, const Result<Body>& result) {
  if (!job->only_compare) under_way_ = false;
  // What `status` and alerts tell is how well the secondary follows the primary.
  if (!job->only_compare && !job->dry_run && job->point.empty()) note(job, result);
  if (job->request && !result) job->request->failed(result.error());
  if (job->request && result) {
    Body body = *result;
    body["primary"] = job->primary->name;
    body["secondary"] = job->secondary->name;
    body["how"] = job->how();
    job->request->done(body);
  }
  if (!job->request && !result) {
    service::log_error(result.error());
    // What the guard refuses waits for a person, or for the next run.
    if (result.error().code != ErrorCode::guard) wanted_ = true;
    if (wanted_ && !timer_) {
      timer_ = here_.reactor.after(kTryAgain, [this] {
        timer_.reset();
        again();
      });
    }
  }
  again();
}

void UserData::ask(const JobPtr& job, const std::string& to, const std::string& type, Body body,
                   Then then) {
  send(job, to, type, std::move(body),
       [this, job, then = std::move(then)](const Result<Body>& end_of) {
         if (!end_of) return end(job, end_of.error());
         then(*end_of);
       });
}

void UserData::send(const JobPtr& job, const std::string& to, const std::string& type, Body body,
                    std::function<void(const Result<Body>&)> end) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.epoch = job->epoch;
  envelope.body = std::move(body);
  here_.client.request(
      to, std::move(envelope), kPatience,
      [job](const transport::Reply& reply) {
        if (!job->request) return;
        job->request->progress(reply.body.contains("of") ? reply.body
                                                         : Body{{"done", 0}, {"of", 0}});
      },
      std::move(end));
}

}  // namespace lockstep::scheduler
