#include "services/transfer-agent/steps.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace lockstep::transfer {

using message::Body;
using transport::Request;

namespace {

constexpr Nanos kReportEvery = milliseconds(500);

bool is_step(const message::Envelope& envelope) {
  return !envelope.run.empty() && !envelope.step.empty();
}

bool is_final(const Error& error) {
  return error.code == ErrorCode::journal_write || error.code == ErrorCode::journal_corrupt;
}

}  // namespace

struct Steps::Active {
  Active(Request asked, Kind of, message::Envelope what)
      : request(std::move(asked)), kind(of), envelope(std::move(what)) {}

  Request request;  // of who asked last
  Kind kind;
  message::Envelope envelope;
  ProgressBoard board;
};

Steps::Steps(transport::Reactor& reactor, transport::Server& server, journal::Journal& journal,
             Tasks& tasks, std::function<void()> after, std::function<void(const Error&)> broken)
    : reactor_(reactor),
      server_(server),
      journal_(journal),
      tasks_(tasks),
      after_(std::move(after)),
      broken_(std::move(broken)) {
  timer_ = reactor_.every(kReportEvery, [this] { report(); });
}

Steps::~Steps() { reactor_.cancel(timer_); }

void Steps::serve(const std::string& type, std::set<transport::Role> roles, Kind kind, Work work) {
  server_.on(type, std::move(roles), [this, kind, work = std::move(work)](Request request) {
    if (answered(request) || fenced(request)) return;
    begin(std::move(request), kind, work);
  });
}

// From the stored reply, or because the very step is at work.
bool Steps::answered(const Request& request) {
  const auto& envelope = request.envelope();
  if (!is_step(envelope)) return false;
  auto stored = journal_.find_reply({envelope.run, envelope.step, envelope.attempt});
  if (!stored) {
    request.failed(stored.error());
    return true;
  }
  if (*stored) {
    if ((*stored)->ok) {
      request.done((*stored)->body);
    } else {
      request.failed(message::error_from_body((*stored)->body));
    }
    return true;
  }
  const auto found = of_runs_.find({envelope.run, envelope.step, envelope.attempt});
  if (found == of_runs_.end()) return false;
  found->second->request = request;
  request.accepted();
  return true;
}

// Refuses an attempt lower than one at work, and stops those that are lower than it.
bool Steps::fenced(const Request& request) {
  const auto& envelope = request.envelope();
  if (!is_step(envelope)) return false;
  for (const auto& [key, active] : of_runs_) {
    const auto& [run, step, attempt] = key;
    if (run != envelope.run || step != envelope.step) continue;
    if (attempt > envelope.attempt) {
      request.failed(
          make_error(ErrorCode::cancelled,
                     fmt::format("attempt {} of the step is at work; attempt {} comes too late",
                                 attempt, envelope.attempt),
                     envelope.step));
      return true;
    }
    tasks_.stop(envelope.run);
  }
  return false;
}

void Steps::begin(Request request, Kind kind, const Work& work) {
  const message::Envelope envelope = request.envelope();
  if (kind.takes_long) request.accepted();
  auto active = std::make_shared<Active>(std::move(request), kind, envelope);
  active_.insert(active);
  if (is_step(envelope)) of_runs_[{envelope.run, envelope.step, envelope.attempt}] = active;

  const std::string run = kind.outside_run ? std::string{} : envelope.run;
  tasks_.start(run, [this, active, work, run](Tasks::Id self, std::stop_token stop) {
    if (!run.empty()) tasks_.wait(run, self);
    auto outcome = work(active->envelope, stop, active->board);
    if (outcome && is_step(active->envelope) && !active->kind.stores_its_reply) {
      const auto& step = active->envelope;
      auto stored =
          journal_.transact("step.reply", [&](journal::Transaction& transaction) -> Result<void> {
            transaction.store_reply({step.run, step.step, step.attempt}, {true, *outcome});
            return {};
          });
      if (!stored) outcome = stored.error();
    }
    reactor_.post([this, active, outcome = std::move(outcome)]() mutable {
      finish(active, std::move(outcome));
    });
  });
}

void Steps::finish(const std::shared_ptr<Active>& active, Result<Body> outcome) {
  const auto& envelope = active->envelope;
  active_.erase(active);
  if (is_step(envelope)) of_runs_.erase({envelope.run, envelope.step, envelope.attempt});
  if (outcome) {
    active->request.done(std::move(*outcome));
  } else {
    spdlog::warn("{} of run {} failed: {}", envelope.type, envelope.run, outcome.error().text());
    active->request.failed(outcome.error());
    if (is_final(outcome.error())) broken_(outcome.error());
  }
  after_();
}

void Steps::report() {
  for (const auto& active : active_) {
    if (active->kind.takes_long) active->request.progress(active->board.body());
  }
}

}  // namespace lockstep::transfer
