#include "services/snapshot-agent/agent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/message/log_scope.hpp"
#include "common/service/epoch.hpp"
#include "common/service/log.hpp"
#include "services/snapshot-agent/recovery.hpp"

namespace lockstep::snapshot {

namespace {

constexpr Nanos kLookAtLeases = milliseconds(500);
constexpr Nanos kReportProgress = milliseconds(500);
constexpr Nanos kTryAgain = seconds(60);
constexpr Nanos kLookAgain = milliseconds(20);
// How many runs that ended are remembered without the journal.
constexpr std::size_t kRemembered = 1000;

ErrorCode code_named(const std::string& name) {
  const ErrorInfo* info = find_error(name);
  return info != nullptr ? info->code : ErrorCode::internal;
}

// Requires: check_instants() was content.
UtcNanos instant(const message::Body& body, const char* key) {
  return parse_rfc3339(body.at(key).get<std::string>()).value_or(UtcNanos{});
}

// The schema has seen to their form; the calendar has no 13th month, which would count as past.
Result<void> check_instants(const message::Body& body) {
  for (const char* key : {"moment", "at"}) {
    const auto found = body.find(key);
    if (found == body.end()) continue;
    if (const auto read = parse_rfc3339(found->get<std::string>()); !read) {
      return make_error(ErrorCode::message_schema, read.error().what, std::string("/body/") + key);
    }
  }
  return {};
}

}  // namespace

Agent::Agent(const Tools& tools, Wires wires, message::Epoch epoch)
    : tools_(tools), wires_(std::move(wires)), epoch_(std::move(epoch)), chores_([this] {
        auto tried = try_again(tools_);  // removing what is left of runs that are over
        return tried || !fatal(tried.error());
      }) {}

Result<std::shared_ptr<Agent>> Agent::start(const Tools& tools, Wires wires) {
  LOCKSTEP_CHECK(recover(tools));
  LOCKSTEP_TRY(const auto held, Book(tools.journal).epoch());
  const message::Epoch epoch = held.value_or(wires.first_epoch);
  const std::shared_ptr<Agent> agent(new Agent(tools, std::move(wires), epoch));
  agent->on("instruction.snapshot", Ask::arm);
  agent->on("snapshot.raise", Ask::raise);
  agent->on("snapshot.pin", Ask::pin);
  agent->on("snapshot.lower", Ask::lower);
  agent->on("snapshot.commit", Ask::commit);
  agent->on("snapshot.keep", Ask::keep);
  agent->on("snapshot.drop", Ask::drop);
  agent->wires_.server.on(
      "snapshot.holds", {transport::Role::scheduler, transport::Role::user},
      [self = agent.get()](transport::Request request) { self->answer_holds(request); });
  agent->wires_.server.on(
      "snapshot.release", {transport::Role::user},
      [self = agent.get()](transport::Request request) { self->release(request); });
  agent->wires_.reactor.every(kLookAtLeases, [self = agent.get()] { self->look_at_leases(); });
  agent->wires_.reactor.every(kReportProgress, [self = agent.get()] { self->report_progress(); });
  agent->wires_.reactor.every(kTryAgain, [self = agent.get()] { self->chores_.ask(); });
  return agent;
}

Agent::~Agent() {
  for (auto& [run, live] : runs_) live->stop.request_stop();
  for (auto& [run, live] : runs_) {
    if (live->worker.joinable()) live->worker.join();
    live->pins.reset();
  }
}

void Agent::on(const char* type, Ask ask) {
  wires_.server.on(type, {transport::Role::scheduler},
                   [this, ask](transport::Request request) { handle(request, ask); });
}

bool Agent::fatal(const Error& error) {
  if (error.code != ErrorCode::journal_write) return false;
  wires_.fail(error);
  return true;
}

Result<void> Agent::admit(const message::Epoch& given) {
  LOCKSTEP_CHECK(service::check_epoch(epoch_, given));
  if (service::compare_epochs(epoch_, given) != service::EpochVerdict::newer) return {};
  LOCKSTEP_CHECK(tools_.journal.transact("epoch.raise",
                                         [&](journal::Transaction& transaction) -> Result<void> {
                                           Book::put_epoch(transaction, given);
                                           return {};
                                         }));
  epoch_ = given;
  return {};
}

void Agent::learn(const message::Epoch& decided) {
  if (auto learned = admit(decided); !learned && learned.error().code != ErrorCode::epoch_old) {
    service::log_error(learned.error());
    fatal(learned.error());
  }
}

Result<bool> Agent::answered_before(const transport::Request& request) {
  const message::Envelope& envelope = request.envelope();
  LOCKSTEP_TRY(const auto stored,
               tools_.journal.find_reply({envelope.run, envelope.step, envelope.attempt}));
  if (!stored) return false;
  if (stored->ok) {
    request.done(stored->body);
  } else {
    request.failed(message::error_from_body(stored->body));
  }
  return true;
}

Result<Agent::Live*> Agent::live(const std::string& service, const std::string& run) {
  if (const auto known = runs_.find(run); known != runs_.end()) return known->second.get();
  LOCKSTEP_TRY(const auto row, Book(tools_.journal).find_run(run));
  auto made = std::make_unique<Live>();
  made->service = service;
  made->run = run;
  if (row) {
    made->service = row->service;
    if (row->over != Over::no) {
      made->state = RunState::ended(row->over);
    } else if (row->committed) {
      made->state = RunState::committed_before();
    }
  }
  if (runs_.size() >= kRemembered) {
    std::erase_if(runs_, [](const auto& entry) {
      const RunState& state = entry.second->state;
      return !state.busy() && (state.over() != Over::no || state.is_committed());
    });
  }
  return (runs_[run] = std::move(made)).get();
}

void Agent::handle(const transport::Request& request, Ask ask) {
  const message::Envelope& envelope = request.envelope();
  const message::LogScope scope(envelope.run, envelope.step);
  const auto refuse = [&](const Error& error) {
    request.failed(error);
    fatal(error);
  };
  if (envelope.run.empty() || envelope.step.empty()) {
    return refuse(make_error(ErrorCode::message_schema, "the message names no run or no step",
                             envelope.type));
  }
  if (auto fit = check_instants(request.body()); !fit) return refuse(fit.error());
  if (auto admitted = admit(envelope.epoch); !admitted) return refuse(admitted.error());
  auto answered = answered_before(request);
  if (!answered) return refuse(answered.error());
  if (*answered) return;
  const std::string service = request.body().at("service").get<std::string>();
  auto found = live(service, envelope.run);
  if (!found) return refuse(found.error());
  Live& live = **found;
  if (live.service != service) {
    return refuse(make_error(ErrorCode::guard, "the run belongs to another service",
                             live.service + "/" + envelope.run));
  }

  Question question;
  question.ask = ask;
  question.step = envelope.step;
  question.attempt = envelope.attempt;
  question.now = tools_.clock.utc().count;
  if (envelope.deadline) question.deadline = envelope.deadline->count;
  if (ask == Ask::raise || ask == Ask::pin) {
    for (const message::Body& name : request.body().at("sets")) {
      const std::string text = name.get<std::string>();
      const bool own = std::any_of(live.sets.begin(), live.sets.end(),
                                   [&](const OwnSet& set) { return set.data.id.set == text; });
      if (own) question.sets.push_back(text);
    }
  }
  const Decision decision = live.state.decide(question);
  switch (decision.answer) {
    case Answer::act:
      return act(live, request, question);
    case Answer::again:
      return answer_again(live, request, question);
    case Answer::accepted:
      live.asker = request;
      return request.accepted();
    case Answer::wait_then_act:
      live.drop_asker = request;
      live.drop_also = own_sets(service, request.body().at("sets"), tools_.name);
      live.state.drop_asked();
      live.stop.request_stop();
      return request.accepted();
    case Answer::expired:
      return request.done({{"state", "expired"}, {"sets", message::Body::array()}});
    case Answer::refuse:
      return request.failed(
          make_error(code_named(decision.code), decision.why, live.service + "/" + live.run));
  }
}

// A later attempt of a step that is done: its answer is stored under this attempt too.
void Agent::answer_again(Live& live, const transport::Request& request, const Question& question) {
  if (question.ask == Ask::arm) {
    // Arming outlasted the moment: all that was armed stays, for a later one.
    const UtcNanos moment = instant(request.body(), "moment");
    live.pins->move_moment(moment);
    live.state.moment_moved(moment.count);
  }
  const auto known = live.answers.find(question.step);
  Result<message::Body> body = message::Body::object();
  if (known != live.answers.end()) {
    body = known->second;
  } else if (question.ask == Ask::commit) {
    body = commit_body(tools_, live.run);
  }
  if (!body) return request.failed(body.error());
  const journal::ReplyKey key{live.run, question.step, question.attempt};
  auto stored = tools_.journal.transact("answer-again",
                                        [&](journal::Transaction& transaction) -> Result<void> {
                                          transaction.store_reply(key, {true, *body});
                                          return {};
                                        });
  if (!stored) {
    request.failed(stored.error());
    fatal(stored.error());
    return;
  }
  request.done(*body);
}

void Agent::act(Live& live, const transport::Request& request, const Question& question) {
  if (question.ask == Ask::arm) {
    live.sets = own_sets(live.service, request.body().at("sets"), tools_.name);
    live.pins = std::make_unique<Pins>(tools_, live.service, live.run);
  } else if (question.ask == Ask::drop) {
    live.drop_also = own_sets(live.service, request.body().at("sets"), tools_.name);
  }
  if (!live.pins) live.pins = std::make_unique<Pins>(tools_, live.service, live.run);
  live.asker = request;
  request.accepted();
  begin(live, question, question.attempt, work_of(live, request, question));
}

Agent::Work Agent::work_of(Live& live, const transport::Request& request,
                           const Question& question) {
  Pins& pins = *live.pins;
  const message::Body& body = request.body();
  switch (question.ask) {
    case Ask::arm:
      return [this, &pins, sets = live.sets, moment = instant(body, "moment"),
              lease = Nanos{body.at("lease_ns").get<std::int64_t>()}](const Occasion& occasion) {
        return do_arm(tools_, pins, occasion, sets, moment, lease);
      };
    case Ask::raise:
      return [this, &pins, names = question.sets, at = instant(body, "at")](
                 const Occasion& occasion) { return do_raise(tools_, pins, occasion, names, at); };
    case Ask::pin:
      return [this, &pins, names = question.sets, at = instant(body, "at")](
                 const Occasion& occasion) { return do_pin(tools_, pins, occasion, names, at); };
    case Ask::lower:
      return [this, &pins](const Occasion& occasion) { return do_lower(tools_, pins, occasion); };
    case Ask::commit:
      return [this, &pins](const Occasion& occasion) { return do_commit(tools_, pins, occasion); };
    case Ask::keep:
      if (body.value("as", "") == kDivergent) {
        return [this](const Occasion& occasion) { return do_set_aside(tools_, occasion); };
      }
      return [this](const Occasion& occasion) { return do_keep(tools_, occasion); };
    case Ask::drop:
      return [this, &pins, also = live.drop_also](const Occasion& occasion) {
        return do_drop(tools_, pins, occasion, also, Over::dropped, "the run was dropped");
      };
  }
  return {};
}

void Agent::begin(Live& live, const Question& question, int attempt, Work work) {
  live.state.begin(question);
  live.stop = std::stop_source();
  Occasion occasion{live.service, live.run,     question.step,
                    attempt,      std::nullopt, live.stop.get_token()};
  if (question.ask == Ask::arm || question.ask == Ask::commit) {
    occasion.progress = live.progress = std::make_shared<service::ProgressBoard>();
  }
  if (question.deadline) {
    occasion.deadline = UtcNanos{*question.deadline};
    live.deadline = wires_.reactor.after(Nanos{*question.deadline - question.now},
                                         [stop = live.stop]() mutable { stop.request_stop(); });
  }
  if (live.worker.joinable()) live.worker.join();
  live.worker = std::jthread([this, run = live.run, occasion, ask = question.ask, sets = live.sets,
                              &pins = *live.pins, work = std::move(work)] {
    const message::LogScope scope(occasion.run, occasion.step);
    Result<Outcome> result = work(occasion);
    if (!result && result.error().code == ErrorCode::cancelled && occasion.deadline &&
        tools_.clock.utc() >= *occasion.deadline) {
      result = make_error(ErrorCode::deadline,
                          "the step did not end by its deadline: " + result.error().what,
                          result.error().where);
    }
    if (!result && ask != Ask::drop && ask != Ask::keep) {
      // A run of which a step failed here has no future: its pins go, now rather than when the
      // scheduler says so. What was only armed may be armed again.
      const Error error = result.error();
      const Over over = ask == Ask::arm ? Over::no : Over::failed;
      if (ask == Ask::arm || error.code != ErrorCode::journal_write) {
        auto dropped = do_drop(tools_, pins, occasion, sets, over, error.text(), error);
        if (!dropped) spdlog::error("{}", dropped.error().text());
      }
    }
    wires_.reactor.post([this, run, occasion, ask, result = std::move(result)]() mutable {
      finish(run, occasion, ask, std::move(result));
    });
  });
}

void Agent::finish(const std::string& run, const Occasion& occasion, Ask ask,
                   Result<Outcome> result) {
  const message::LogScope scope(occasion.run, occasion.step);
  Live& live = *runs_.at(run);
  live.worker.join();  // its last act was to post this
  if (live.deadline) wires_.reactor.cancel(*live.deadline);
  live.deadline.reset();
  live.progress.reset();
  const std::optional<transport::Request> asker = std::exchange(live.asker, std::nullopt);
  wires_.events.flush();
  if (result) {
    live.state.done(occasion.step);
    if (result->facts) result->facts(live.state);
    live.answers[occasion.step] = result->body;
    if (ask == Ask::commit || ask == Ask::drop) live.pins.reset();  // and with it the guard
    if (asker) asker->done(result->body);
    if (ask == Ask::raise) watch_fences(run, Nanos{0});
  } else {
    live.state.failed(occasion.step);
    spdlog::error("{}", result.error().text());
    if (ask == Ask::arm) {
      live.pins.reset();
    } else if (ask != Ask::keep) {
      // Of a drop that failed the tombstone stands all the same; the rest is tried again.
      live.state.ended_as(ask == Ask::drop ? live.ending : Over::failed);
      live.pins.reset();
    }
    if (asker) asker->failed(result.error());
    if (fatal(result.error())) return;
  }
  if (live.drop_asker) drop_now(live);
}

// The drop that waited for a step to end.
void Agent::drop_now(Live& live) {
  live.asker = std::exchange(live.drop_asker, std::nullopt);
  const message::Envelope& envelope = live.asker->envelope();
  Question question;
  question.ask = Ask::drop;
  question.step = envelope.step;
  question.attempt = envelope.attempt;
  question.now = tools_.clock.utc().count;
  if (!live.pins) live.pins = std::make_unique<Pins>(tools_, live.service, live.run);
  begin(live, question, question.attempt, work_of(live, *live.asker, question));
}

// Of this process's own accord: no answer, no attempt.
void Agent::end_run(Live& live, Over over, const std::string& why) {
  spdlog::warn("run {} of {}: {}; its pins are dropped", live.run, live.service, why);
  Question question;
  question.ask = Ask::drop;
  question.now = tools_.clock.utc().count;
  question.step = "drop.own";
  live.ending = over;
  if (!live.pins) live.pins = std::make_unique<Pins>(tools_, live.service, live.run);
  Pins& pins = *live.pins;
  begin(live, question, 0, [this, &pins, over, why](const Occasion& occasion) {
    Occasion silent = occasion;
    silent.step.clear();
    return do_drop(tools_, pins, silent, {}, over, why);
  });
}

// The guard takes down hooks and cgroups that stand too long; this takes down the locks with them,
// and lets the answer to `lower` be told.
void Agent::watch_fences(const std::string& run, Nanos after) {
  wires_.reactor.after(after, [this, run] {
    const auto found = runs_.find(run);
    if (found == runs_.end()) return;
    Live& live = *found->second;
    const auto& sets = live.state.sets();
    const bool up =
        std::any_of(sets.begin(), sets.end(), [](const auto& set) { return set.second.fence_up; });
    if (!up || !live.pins || live.state.over() != Over::no) return;
    if (live.state.busy()) return watch_fences(run, kLookAgain);
    const auto until = live.pins->fences().first_timeout();
    if (!until) return;
    const Nanos left = *until - tools_.clock.mono();
    if (left.count > 0) return watch_fences(run, left);
    spdlog::warn("the fences of run {} stood for their time-out and are taken down", run);
    Question question;
    question.ask = Ask::lower;
    question.now = tools_.clock.utc().count;
    question.step = "lower.timeout";
    Pins& pins = *live.pins;
    begin(live, question, 0,
          [this, &pins](const Occasion& occasion) { return do_lower(tools_, pins, occasion); });
  });
}

void Agent::look_at_leases() {
  const std::int64_t now = tools_.clock.utc().count;
  for (auto& [run, live] : runs_) {
    if (live->state.lease_over(now)) end_run(*live, Over::expired, "its lease ran out");
  }
}

void Agent::report_progress() {
  for (auto& [run, live] : runs_)
    if (live->progress && live->asker) live->asker->progress(live->progress->body());
}

void Agent::answer_holds(const transport::Request& request) {
  auto holds = Book(tools_.journal).holds();
  if (!holds) return request.failed(holds.error());
  request.done(holds_body(*holds));
}

void Agent::release(const transport::Request& request) {
  const std::string run = request.body().at("run").get<std::string>();
  const auto known = runs_.find(run);
  if (known != runs_.end() && known->second->state.busy()) {
    return request.failed(make_error(ErrorCode::run_busy, "the run is being worked on", run));
  }
  auto released = release_divergent(tools_, run);
  if (!released) {
    request.failed(released.error());
    fatal(released.error());
    return;
  }
  if (known != runs_.end()) runs_.erase(known);  // looked up again when somebody asks
  spdlog::warn("{} ended the hold of {}", request.peer().name, run);
  request.done(std::move(*released));
  chores_.ask();
}

}  // namespace lockstep::snapshot
