#include "services/scheduler/drills.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "common/service/log.hpp"
#include "services/scheduler/drill_time.hpp"
#include "services/scheduler/origin.hpp"

namespace lockstep::scheduler {

using message::Body;

namespace {

// Looked at this often whatever is due, so that a clock that was set is noticed.
constexpr Nanos kAtLeastEvery = seconds(5);
constexpr Nanos kTryAgain = seconds(10);
constexpr Nanos kAskRegistrars = seconds(60);
constexpr Nanos kBringUp = seconds(86400);  // the longest time that giving a point back may take

NextMoment fires(const policy::Drill& drill) {
  return [&drill](UtcNanos after) { return policy::next_moment(drill.schedule, after); };
}

// Worth asking again under the same id: nobody said what came of it.
bool not_told(ErrorCode code) {
  return code == ErrorCode::unreachable || code == ErrorCode::transport ||
         code == ErrorCode::stalled || code == ErrorCode::deadline || code == ErrorCode::run_busy;
}

}  // namespace

Result<void> Drills::start() {
  LOCKSTEP_TRY(const auto wishes, book_.wishes());
  for (const DrillWish& wish : wishes) {
    open_[wish.service] = wish;
    ask(wish);
  }
  ask_registrars();
  return {};
}

void Drills::written(const Result<void>& done) {
  if (done) {
    here_.events.flush();
    return;
  }
  service::log_error(done.error());
  if (done.error().code == ErrorCode::journal_write) here_.fail(done.error());
}

void Drills::look() {
  if (timer_) here_.reactor.cancel(*timer_);
  UtcNanos next = here_.clock.utc() + kAtLeastEvery;
  if (const auto looked = look_at_all(next); !looked) written(looked);
  timer_ = here_.reactor.after(std::max(milliseconds(10), next - here_.clock.utc()), [this] {
    timer_.reset();
    look();
  });
}

Result<void> Drills::look_at_all(UtcNanos& next) {
  std::set<std::string> wanted;
  for (const auto& [service, held] : policies_.all()) {
    if (held.policy.drill) wanted.insert(service);
  }
  LOCKSTEP_CHECK(book_.keep_only(wanted));
  for (const std::string& service : wanted) {
    const HeldPolicy& held = policies_.all().at(service);
    const auto open = open_.find(service);
    const auto looked = open == open_.end() ? look_at(held) : look_at_open(held, open->second);
    if (!looked) {
      written(looked.error());
    } else if (*looked) {
      next = std::min(next, **looked);
    }
  }
  return {};
}

Result<std::optional<UtcNanos>> Drills::look_at_open(const HeldPolicy& held,
                                                     const DrillWish& wish) {
  const UtcNanos now = here_.clock.utc();
  const auto again = asked_again_.find(wish.service);
  if (again == asked_again_.end()) return std::optional<UtcNanos>{};  // it is being asked for
  LOCKSTEP_TRY(const bool overtaken,
               drill_overtaken(fires(*held.policy.drill), wish.scheduled, now));
  if (overtaken) {
    const DrillWish gone = wish;
    asked_again_.erase(again);
    open_.erase(gone.service);
    written(book_.missed(gone.service, gone.scheduled, gone.id(),
                         make_error(ErrorCode::run_missed,
                                    "the registrar did not say what came of the drill until the "
                                    "next one was due",
                                    gone.cluster)));
    return std::optional<UtcNanos>{now};
  }
  if (again->second > now) return std::optional<UtcNanos>{again->second};
  asked_again_.erase(again);
  ask(DrillWish{wish});
  return std::optional<UtcNanos>{};
}

Result<std::optional<UtcNanos>> Drills::look_at(const HeldPolicy& held) {
  const policy::Drill& drill = *held.policy.drill;
  const std::string& service = held.policy.service;
  const UtcNanos now = here_.clock.utc();
  LOCKSTEP_TRY(const auto seen, book_.schedule(service));
  // What lies before the policy was first seen is nobody's loss; nor what passes in a pause.
  if (!seen || held.paused) {
    if (!seen || now - seen->considered >= kAtLeastEvery) {
      LOCKSTEP_CHECK(book_.consider(service, now));
    }
    return std::optional<UtcNanos>{now + (held.paused ? kAtLeastEvery : Nanos{0})};
  }
  const bool catch_up = drill.schedule.missed == policy::Schedule::Missed::run;
  LOCKSTEP_TRY(const DrillStep step, drill_step(fires(drill), seen->considered, now, catch_up));
  if (step.what == DrillStep::What::nothing) return step.look_again;
  if (step.what == DrillStep::What::missed) {
    written(book_.missed(
        service, step.moment, "",
        make_error(ErrorCode::run_missed, "the moment of a drill passed while nothing ran",
                   to_rfc3339(step.moment))));
    return std::optional<UtcNanos>{now};
  }
  if (!identity_.current()) return std::optional<UtcNanos>{now + kAtLeastEvery};
  if (const auto begun = begin(held, step.moment); !begun) {
    if (begun.error().code == ErrorCode::journal_write) return begun.error();
    written(book_.missed(service, step.moment, "", begun.error()));
  }
  return std::optional<UtcNanos>{now};
}

Result<void> Drills::begin(const HeldPolicy& held, UtcNanos moment) {
  const policy::Policy& policy = held.policy;
  LOCKSTEP_TRY(const Origin origin,
               resolve(policy, held.version, here_.site, *identity_.current()));
  LOCKSTEP_TRY(const auto points, store_.points(policy.service, origin.secondary));
  const auto newest = std::find_if(points.begin(), points.end(), [](const Body& point) {
    return point.value("verified_ok", true);
  });
  if (newest == points.end()) {
    return make_error(ErrorCode::point_missing, "there is no good point to bring up",
                      policy.service + " in " + origin.secondary);
  }
  Body check = Body::array();
  for (const std::string& word : policy.drill->check) check.push_back(message::text_or_bytes(word));
  DrillWish wish{policy.service,
                 moment,
                 origin.secondary,
                 {{"id", newest->at("id")},
                  {"drill", message::make_uuid7(here_.clock.utc())},
                  {"check", std::move(check)},
                  {"timeout_ns", policy.drill->timeout.count}}};
  LOCKSTEP_CHECK(book_.begin(wish));
  spdlog::info("drill {} of {} begins", wish.id(), wish.service);
  open_[wish.service] = wish;
  ask(wish);
  return {};
}

void Drills::ask(const DrillWish& wish) {
  const config::Agent* registrar = here_.site.registrar(wish.cluster);
  if (registrar == nullptr) {
    ended(wish, make_error(ErrorCode::not_found, "the cluster has no registrar", wish.cluster));
    return;
  }
  message::Envelope envelope;
  envelope.type = "point.drill";
  envelope.epoch = here_.epoch();
  envelope.body = wish.body;
  transport::RequestOptions options;
  options.silence = seconds(1);
  options.stall = seconds(60);
  options.deadline = kBringUp + Nanos{wish.body.at("timeout_ns").get<std::int64_t>()};
  here_.client.request(registrar->name, std::move(envelope), options, {},
                       [this, wish](const Result<Body>& end) { ended(wish, end); });
}

void Drills::ended(const DrillWish& wish, const Result<Body>& end) {
  const auto open = open_.find(wish.service);
  if (open == open_.end() || open->second.id() != wish.id()) return;
  if (!end && not_told(end.error().code)) {
    service::log_error(end.error());
    asked_again_[wish.service] = here_.clock.utc() + kTryAgain;
    // Whose policy asks for drills no more, is not asked for again.
    const auto held = policies_.all().find(wish.service);
    if (!policies_.known() || (held != policies_.all().end() && held->second.policy.drill)) return;
  }
  open_.erase(open);
  asked_again_.erase(wish.service);
  if (end) {
    written(book_.end(wish, *end));
    spdlog::info("drill {} of {}: {}", wish.id(), wish.service,
                 end->at("outcome").get<std::string>());
  } else {
    service::log_error(end.error());
    written(book_.missed(wish.service, wish.scheduled, wish.id(), end.error()));
  }
}

void Drills::ask_registrars() {
  for (const auto& [cluster, details] : here_.site.clusters) {
    const config::Agent* registrar = here_.site.registrar(cluster);
    if (registrar == nullptr) continue;
    message::Envelope envelope;
    envelope.type = "drill.list";
    envelope.epoch = here_.epoch();
    envelope.body = Body::object();
    transport::RequestOptions options;
    options.silence = seconds(1);
    options.stall = options.deadline = seconds(10);
    here_.client.request(registrar->name, std::move(envelope), options, {},
                         [this](const Result<Body>& end) {
                           if (end) written(book_.learn(end->at("drills")));
                         });
  }
  here_.reactor.after(kAskRegistrars, [this] { ask_registrars(); });
}

Result<Body> Drills::body(const HeldPolicy& held) {
  const std::string& service = held.policy.service;
  const Nanos max_age = held.policy.drill ? held.policy.drill->max_age : Nanos{0};
  const UtcNanos now = here_.clock.utc();
  LOCKSTEP_TRY(const LastDrills last, book_.last(service));
  LOCKSTEP_TRY(const auto seen, book_.schedule(service));
  std::optional<UtcNanos> good;
  if (last.good) {
    LOCKSTEP_TRY(good, parse_rfc3339(last.good->at("ended_at").get<std::string>()));
  }
  Body out{{"max_age_ns", max_age.count},
           {"met", drill_met(max_age, seen ? seen->since : now, good, now)}};
  if (last.any) out["last"] = *last.any;
  if (last.good) out["last_good"] = *last.good;
  if (const auto open = open_.find(service); open != open_.end())
    out["running"] = open->second.id();
  if (held.policy.drill && !held.paused) {
    LOCKSTEP_TRY(const auto next, policy::next_moment(held.policy.drill->schedule, now));
    if (next) out["next"] = to_rfc3339(*next);
  }
  return out;
}

}  // namespace lockstep::scheduler
