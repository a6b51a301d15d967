#include "services/scheduler/asking.hpp"

#include <algorithm>
#include <memory>

#include "common/service/log.hpp"
#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/movement.hpp"

namespace lockstep::scheduler {

using message::Body;

namespace {

decltype(run::Answer::outcome) outcome_of(run::Act act, const Body& done) {
  auto facts = facts_from_body(act, done);
  if (!facts) return failure_from_error(facts.error(), true);
  return std::move(facts).value();
}

// Before the pin and after it: with fences when they are down, so that nothing is held for it.
bool measured(const run::Plan& plan, run::Act act) {
  const bool fences = std::any_of(plan.members.begin(), plan.members.end(),
                                  [](const run::Member& member) { return member.fenced; });
  return act == run::Act::arm || act == (fences ? run::Act::lower : run::Act::pin);
}

// Whether the end tells that nobody was there to do anything.
bool nobody(ErrorCode code, bool heard, const Movement& movement) {
  // A snapshot-agent never says `stalled`: that is the wire's word for its silence.
  if (code == ErrorCode::stalled && movement.watched()) return true;
  return !heard && (code == ErrorCode::unreachable || code == ErrorCode::transport ||
                    code == ErrorCode::stalled || code == ErrorCode::deadline);
}

}  // namespace

Asking::Asking(service::Surroundings& here, const service::IdentityFollower& identity, Store& store,
               Hooks& hooks, Heard heard)
    : here_(here),
      identity_(identity),
      store_(store),
      hooks_(hooks),
      heard_(std::move(heard)),
      program_("lockstep " + here.version) {}

Asking::~Asking() {
  for (const auto& [place, id] : requests_) here_.client.cancel(id);
}

void Asking::ask(const StoredRun& stored, const run::Ask& ask) {
  if (ask.key.agent.empty())
    call_hook(stored, ask);
  else
    ask_agent(stored, ask);
}

void Asking::let_go(const std::string& run, const run::StepKey& key) {
  const auto request = requests_.find({run, key});
  if (request == requests_.end()) return;
  here_.client.cancel(request->second);
  requests_.erase(request);
}

// What a run does, it does under the epoch that it was planned under; what clears up after it, or
// keeps what was sealed, is given under the one that holds.
Giver Asking::giver_for(const StoredRun& stored, run::Act act) const {
  const bool clears_up = act == run::Act::keep || act == run::Act::keep_manifest ||
                         act == run::Act::drop || act == run::Act::drop_transfer;
  const message::Epoch& planned = stored.origin.epoch;
  return {clears_up || planned.number == 0 ? identity_.epoch() : planned, program_};
}

// Four timestamps with the agent's host; nothing where it does not answer at once.
void Asking::measure(const std::string& agent, Measured then) {
  message::Envelope envelope;
  envelope.type = "ping";
  envelope.epoch = identity_.epoch();
  transport::RequestOptions options;
  options.silence = options.stall = options.deadline = seconds(2);
  const UtcNanos asked = here_.clock.utc();
  here_.client.request(agent, std::move(envelope), options, {},
                       [this, asked, then = std::move(then)](const Result<Body>& end) {
                         then(end ? service::apart_of(asked, *end, here_.clock.utc())
                                  : std::optional<service::Apart>{});
                       });
}

void Asking::ask_agent(const StoredRun& stored, const run::Ask& ask) {
  std::optional<Body> base;
  if (ask.key.act == run::Act::transfer) {
    // The newest of either cluster: after a change of roles both hold what was carried last the
    // other way round.
    const auto points = store_.points(stored.state.plan.service, "");
    for (const Body& point : points ? points.value() : std::vector<Body>{}) {
      if (!point.value("verified_ok", true)) continue;
      base = point;
      break;
    }
  }
  const std::string& run = stored.state.plan.run;
  const Outgoing out =
      message_for(stored.origin, stored.state, ask, giver_for(stored, ask.key.act), base);
  const auto heard = std::make_shared<bool>(false);
  const auto movement = std::make_shared<Movement>(ask, here_.clock.mono());
  requests_[{run, ask.key}] = here_.client.request(
      out.to, out.envelope, out.options,
      [this, run, key = ask.key, attempt = ask.attempt, heard,
       movement](const transport::Reply& reply) {
        *heard = true;
        if (auto stalled = movement->look(reply, here_.clock.mono())) {
          let_go(run, key);
          heard_.answer(run, run::Answer{key, attempt, std::move(*stalled)});
          return;
        }
        if (reply.stage == transport::Reply::Stage::progress) heard_.progress(run, key, reply.body);
      },
      [this, run, key = ask.key, attempt = ask.attempt, heard, movement,
       to_measure = measured(stored.state.plan, ask.key.act)](const Result<Body>& end) {
        requests_.erase({run, key});
        run::Answer answer{key, attempt, run::Failure{}};
        if (!end) {
          answer.outcome =
              failure_from_error(end.error(), !nobody(end.error().code, *heard, *movement));
        } else if (to_measure) {
          measure(key.agent, [this, run, answer, done = end.value()](const auto& apart) mutable {
            if (apart) done["clock"]["apart_ns"] = {apart->least.count, apart->most.count};
            answer.outcome = outcome_of(answer.key.act, done);
            heard_.answer(run, std::move(answer));
          });
          return;
        } else {
          answer.outcome = outcome_of(key.act, end.value());
        }
        heard_.answer(run, std::move(answer));
      });
}

void Asking::call_hook(const StoredRun& stored, const run::Ask& ask) {
  const policy::Policy& policy = stored.origin.policy;
  const auto& hook = ask.key.act == run::Act::before ? policy.before : policy.after;
  if (!hook) return;
  hooks_.run(*hook, stored.state, ask.key.act,
             [this, run = stored.state.plan.run, key = ask.key,
              attempt = ask.attempt](const Result<void>& end) {
               run::Answer answer{key, attempt, run::Facts{run::Nothing{}}};
               if (!end) {
                 service::log_error(end.error());
                 answer.outcome = failure_from_error(end.error(), true);
               }
               heard_.answer(run, std::move(answer));
             });
}

}  // namespace lockstep::scheduler
