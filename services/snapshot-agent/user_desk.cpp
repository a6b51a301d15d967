#include "services/snapshot-agent/user_desk.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "common/service/log.hpp"
#include "common/users/edit.hpp"
#include "common/users/shown.hpp"
#include "services/snapshot-agent/user_aside.hpp"

namespace lockstep::snapshot {

using message::Body;
using transport::Request;
using transport::Role;

namespace {

constexpr Nanos kTellProgress = seconds(5);
constexpr Nanos kForget = seconds(60);
constexpr Nanos kIdentityPatience = seconds(20);
constexpr Nanos kIdentityAgain = milliseconds(100);
constexpr transport::RequestOptions kPatience{seconds(2), seconds(60), seconds(3600)};

users::Values values_of(const Body& array) {
  users::Values out;
  for (const Body& value : array) out.insert(message::bytes_of(value));
  return out;
}

users::Edit edit_of(const Body& body, const Clock& clock) {
  users::Edit out;
  const std::string how = body.at("how");
  out.how = how == "add"      ? users::Edit::How::add
            : how == "remove" ? users::Edit::How::remove
                              : users::Edit::How::change;
  out.kind = users::kind_from_name(body.at("kind").get<std::string>()).value_or(users::Kind::user);
  out.name = message::bytes_of(body.at("name"));
  out.id = message::make_uuid7(clock.utc());
  if (body.contains("rename")) out.rename = message::bytes_of(body.at("rename"));
  if (body.contains("set")) {
    for (const auto& [attribute, values] : body.at("set").items()) {
      out.set[attribute] = values_of(values);
    }
  }
  if (body.contains("locked")) out.locked = body.at("locked").get<bool>();
  if (body.contains("passwords")) out.passwords = values_of(body.at("passwords"));
  if (body.contains("join")) out.join = values_of(body.at("join"));
  if (body.contains("leave")) out.leave = values_of(body.at("leave"));
  return out;
}

}  // namespace

UserDesk::UserDesk(service::Surroundings& here, std::unique_ptr<users::Store> store, Agent agent)
    : here_(here),
      cluster_(here.directory.me().cluster),
      store_(std::move(store)),
      agent_(std::move(agent)),
      documents_(here.clock),
      worker_([this](const std::stop_token& stop) {
        std::unique_lock lock(guard_);
        while (more_.wait(lock, stop, [this] { return !work_.empty(); })) {
          const auto next = std::move(work_.front());
          work_.pop_front();
          lock.unlock();
          next();
          lock.lock();
        }
      }) {}

UserDesk::~UserDesk() {
  worker_.request_stop();
  worker_.join();
}

void UserDesk::serve() {
  const auto on = [this](const char* type, std::set<Role> roles, Handler handler) {
    here_.server.on(type, std::move(roles), [this, handler](const Request& request) {
      if (auto admitted = agent_.admit(request.envelope().epoch); !admitted) {
        return request.failed(admitted.error());
      }
      when_known(request, here_.clock.mono() + kIdentityPatience, handler);
    });
  };
  on("users.read", {Role::scheduler, Role::user}, &UserDesk::read);
  on("instruction.users", {Role::scheduler}, &UserDesk::send);
  on("users.put", {Role::scheduler, Role::snapshot_agent}, &UserDesk::take);
  on("users.apply", {Role::scheduler}, &UserDesk::apply);
  on("users.edit", {Role::user}, &UserDesk::edit);
  here_.reactor.every(kTellProgress, [this] { tell_progress(); });
  here_.reactor.every(kForget, [this] { documents_.forget_old(); });
}

// The command may be of an epoch of which this agent has heard, but not yet who is the primary in
// it: a moment after the start, or a promotion.
void UserDesk::when_known(const Request& request, MonoNanos until, Handler handler) {
  const std::uint64_t wanted = std::max<std::uint64_t>(request.envelope().epoch.number, 1);
  if (agent_.primary().first < wanted && request.peer().role == Role::scheduler) {
    if (here_.clock.mono() >= until) {
      return request.failed(make_error(ErrorCode::unreachable,
                                       "which cluster is the primary is not known here yet",
                                       cluster_, "see whether its registrar answers"));
    }
    here_.reactor.after(kIdentityAgain,
                        [this, request, until, handler] { when_known(request, until, handler); });
    return;
  }
  (this->*handler)(request);
}

void UserDesk::begin(const Request& request, Work work, Then then) {
  request.accepted();
  const auto progress = std::make_shared<Progress>();
  jobs_.push_back({request, progress});
  const auto job = std::prev(jobs_.end());
  auto task = [this, job, progress, work = std::move(work), then = std::move(then)] {
    auto answer = work(*progress);
    here_.reactor.post([this, job, then, answer = std::move(answer)]() mutable {
      jobs_.erase(job);
      then(std::move(answer));
    });
  };
  const std::scoped_lock lock(guard_);
  work_.push_back(std::move(task));
  more_.notify_one();
}

void UserDesk::tell_progress() {
  for (const auto& job : jobs_) {
    if (job.request.envelope().type == "users.read") continue;
    job.request.progress({{"done", job.progress->done.load()}, {"of", job.progress->of.load()}});
  }
}

Body UserDesk::chunk(const std::string& document, std::size_t offset) const {
  const auto part = std::string_view(document).substr(offset, kUsersChunk);
  return Body::binary({part.begin(), part.end()});
}

// A person gets no hashes. The document is read once; its chunks are asked for by its token.
void UserDesk::read(const Request& request) {
  const Body& body = request.body();
  const std::size_t offset = body.value("offset", std::size_t{0});
  const auto answer = [this, request](const std::string& token, std::size_t from) {
    const std::string* document = documents_.find(token);
    if (document == nullptr || from > document->size()) {
      return request.failed(make_error(ErrorCode::not_found,
                                       "what was read of the user data is not kept any more",
                                       cluster_, "read it again"));
    }
    request.done({{"token", token},
                  {"total", document->size()},
                  {"digest", users::digest_of(*document)},
                  {"bytes", chunk(*document, from)}});
  };
  const bool secret = request.peer().role == Role::scheduler;
  const std::string prefix = secret ? "read-" : "shown-";  // a person's token opens no other
  if (body.contains("token")) {
    const std::string token = body.at("token");
    if (!token.starts_with(prefix)) {
      return request.failed(make_error(ErrorCode::role_refused, "not a token of this reader"));
    }
    return answer(token, offset);
  }
  const std::string token = prefix + message::make_uuid7(here_.clock.utc());
  auto document = std::make_shared<std::string>();
  begin(
      request,
      [this, secret, document](Progress&) -> Answer {
        LOCKSTEP_TRY(users::State state, store_->read());
        if (!secret) state = users::without_secrets(std::move(state));
        *document = users::to_document(state, store_->kind());
        return Body::object();
      },
      [this, request, token, document, answer](const Answer& end) {
        if (!end) return request.failed(end.error());
        documents_.put(token, std::move(*document));
        answer(token, 0);
      });
}

// instruction.users: this cluster's user data, to the other one's agent.
void UserDesk::send(const Request& request) {
  if (agent_.primary().second != cluster_) {
    return request.failed(make_error(
        ErrorCode::guard, "user data is sent by the primary, which this cluster is not", cluster_));
  }
  const std::string peer = request.body().at("peer");
  const auto* party = here_.directory.find(peer);
  if (party == nullptr || party->role != Role::snapshot_agent || party->cluster == cluster_) {
    return request.failed(
        make_error(ErrorCode::not_found, "not a snapshot-agent of the other cluster", peer));
  }
  const std::string transfer = request.body().at("transfer");
  auto document = std::make_shared<std::string>();
  begin(
      request,
      [this, document](Progress&) -> Answer {
        LOCKSTEP_TRY(const users::State state, store_->read());
        *document = users::to_document(state, store_->kind());
        return Body{{"records", state.size()},
                    {"total", document->size()},
                    {"digest", users::digest_of(*document)}};
      },
      [this, request, transfer, document](const Answer& end) {
        if (!end) return request.failed(end.error());
        documents_.put(transfer, std::move(*document));
        send_chunk(request, transfer, 0, *end);
      });
}

void UserDesk::send_chunk(const Request& request, const std::string& transfer, std::size_t offset,
                          const Body& done) {
  const std::string* document = documents_.find(transfer);
  if (document == nullptr) {
    return request.failed(make_error(ErrorCode::cancelled, "another transfer took its place"));
  }
  if (offset >= document->size()) {
    documents_.forget(transfer);
    return request.done(done);
  }
  message::Envelope envelope;
  envelope.type = "users.put";
  envelope.epoch = request.envelope().epoch;
  envelope.body = {{"transfer", transfer}, {"offset", offset}, {"bytes", chunk(*document, offset)}};
  request.progress({{"done", offset}, {"of", document->size()}});
  here_.client.request(request.body().at("peer"), std::move(envelope), kPatience, {},
                       [this, request, transfer, done](const Answer& end) {
                         if (!end) {
                           documents_.forget(transfer);
                           return request.failed(end.error());
                         }
                         send_chunk(request, transfer, end->at("have"), done);
                       });
}

// What is taken changes nothing before the control device says `users.apply`.
void UserDesk::take(const Request& request) {
  if (request.peer().role == Role::snapshot_agent && request.peer().cluster == cluster_) {
    return request.failed(make_error(ErrorCode::role_refused, "not the other cluster's agent"));
  }
  const Body& body = request.body();
  const auto have =
      documents_.append("put-" + body.at("transfer").get<std::string>(),
                        body.at("offset").get<std::size_t>(), message::bytes_of(body.at("bytes")));
  if (!have) return request.failed(have.error());
  request.done({{"have", *have}});
}

// What became of `request`, as an event and a row of the journal: {cluster, from, how, point?} and
// what stands in `data`.
Result<void> UserDesk::tell(const char* event, const Request& request, Body data) {
  data["cluster"] = cluster_;
  for (const char* key : {"from", "how", "point"}) {
    if (request.body().contains(key)) data[key] = request.body().at(key);
  }
  return here_.journal.transact(event, [&](journal::Transaction& transaction) -> Result<void> {
    transaction.emit(event, cluster_, std::move(data));
    return {};
  });
}

void UserDesk::apply(const Request& request) {
  const Body& body = request.body();
  const bool dry_run = body.at("dry_run");
  // Of a point, by a person's word: also after a promotion, of points that this cluster keeps.
  if (agent_.primary().second == cluster_ && body.at("how") != "point") {
    return request.failed(make_error(
        ErrorCode::guard, "this cluster is the primary: its user data is not changed by another's",
        cluster_));
  }
  const std::string name = "put-" + body.at("transfer").get<std::string>();
  const std::string* found = documents_.find(name);
  if (found == nullptr || users::digest_of(*found) != body.at("digest").get<std::string>()) {
    return request.failed(make_error(ErrorCode::not_found,
                                     "the user data to apply did not arrive whole", cluster_,
                                     "do it again"));
  }
  const auto document = std::make_shared<const std::string>(*found);
  documents_.forget(name);
  users::Guard guard{here_.site.user_data.removals, here_.site.user_data.percent};
  if (body.contains("removals")) guard = {body.at("removals").get<std::size_t>(), 100};
  const std::string base = body.value("base", "");
  const auto& own = here_.site.clusters.at(cluster_).directory->own;
  const auto scope = users::scope_for(store_->kind(), here_.site.user_data.attributes, own);
  const Aside aside{here_.site.state, cluster_, request.envelope().epoch.number,
                    body.at("transfer").get<std::string>(), body.at("how") == "point"};
  begin(
      request,
      [this, document, dry_run, guard, base, scope, aside](Progress& progress) -> Answer {
        LOCKSTEP_TRY(const users::Document wanted, users::from_document(*document));
        if (wanted.store != store_->kind()) {
          return make_error(ErrorCode::guard,
                            "the user data is of another kind of directory: " + wanted.store,
                            cluster_);
        }
        LOCKSTEP_TRY(const users::State present, store_->read());
        if (!base.empty() &&
            users::digest_of(users::to_document(present, store_->kind())) != base) {
          return make_error(ErrorCode::cancelled,
                            "the directory was changed by somebody else meanwhile", cluster_,
                            "do it again");
        }
        const users::Changes changes = users::diff(present, wanted.state, scope);
        LOCKSTEP_CHECK(users::admit(guard, changes, present.size()));
        progress.of = changes.size();
        if (!dry_run && !changes.empty()) {
          LOCKSTEP_TRY(const auto kept, keep_aside(here_.disk, aside, present, store_->kind()));
          if (kept) spdlog::info("what the directory held before is kept in {}", *kept);
          LOCKSTEP_CHECK(store_->apply(present, changes, [&](std::size_t done) {
            progress.done = done;
            return !worker_.get_stop_token().stop_requested();
          }));
        }
        return Body{{"records", wanted.state.size()},
                    {"counts", users::counts_of(changes)},
                    {"changes", users::changes_shown(changes, present, wanted.state)},
                    {"more", changes.size() > 500}};
      },
      [this, request, dry_run](const Answer& end) {
        Result<void> told;
        if (!end) {
          service::log_error(end.error());
          told = tell("users.refused", request, {{"error", message::error_body(end.error())}});
        } else if (!dry_run && !end->at("changes").empty()) {
          spdlog::info("user data of {} applied by {}: {}",
                       request.body().at("from").get<std::string>(),
                       request.body().at("how").get<std::string>(), end->at("counts").dump());
          told = tell("users.applied", request,
                      {{"records", end->at("records")}, {"counts", end->at("counts")}});
        }
        if (!told) here_.fail(told.error());
        here_.events.flush();
        if (!end) return request.failed(end.error());
        request.done(*end);
      });
}

void UserDesk::edit(const Request& request) {
  begin(
      request,
      [this, wish = edit_of(request.body(), here_.clock)](Progress&) -> Answer {
        if (std::string(store_->kind()) != "embedded") {
          return make_error(ErrorCode::usage, "only the embedded store is edited by Lockstep",
                            cluster_, "use the directory's own tools");
        }
        LOCKSTEP_TRY(const users::State present, store_->read());
        LOCKSTEP_TRY(const users::State wanted, users::edit(present, wish));
        const users::Changes changes = users::diff(present, wanted, {});
        LOCKSTEP_CHECK(store_->apply(present, changes, [](std::size_t) { return true; }));
        return Body{{"changes", users::changes_shown(changes, present, wanted)}};
      },
      [request](const Answer& end) {
        if (!end) return request.failed(end.error());
        request.done(*end);
      });
}

}  // namespace lockstep::snapshot
