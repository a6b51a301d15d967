#include "tests/simulation/small_model.hpp"

#include <algorithm>
#include <limits>

#include "common/service/epoch.hpp"
#include "services/transfer-agent/guards.hpp"

namespace lockstep::simulation {
namespace {

using run::Act;
using snapshot::Answer;
using snapshot::Over;

constexpr run::Instant kMoment = 1'000'000 * run::kSecond;
constexpr run::Instant kNow = kMoment - run::kSecond;              // of all that happens
constexpr run::Instant kLater = kMoment + 100'000 * run::kSecond;  // when every retry is due
const std::array<std::string, 2> kAgents = {"a", "b"};
const message::Epoch kOld{1, "first"};
const message::Epoch kNew{2, "second"};

run::Plan plan() {
  run::Plan plan;
  plan.run = "r";
  plan.service = "orders";
  plan.scheduled = kMoment;
  plan.deadline = 1'000'000 * run::kSecond;
  plan.sender = "sender";
  plan.receiver = plan.registrar = "registrar";
  for (const std::string& agent : kAgents) {
    run::Member member;
    member.name = "set-" + agent;
    member.agent = agent;
    member.fenced = true;
    plan.members.push_back(member);
  }
  return plan;
}

run::HostClock clock() { return {"boot", true, 0, 0}; }

std::string text_of(const std::variant<run::Facts, run::Failure>& answer) {
  if (const auto* failure = std::get_if<run::Failure>(&answer)) return "failed " + failure->code;
  const auto& facts = std::get<run::Facts>(answer);
  std::string text = "done " + std::to_string(facts.index());
  if (const auto* committed = std::get_if<run::Committed>(&facts))
    text += committed->committed ? " committed" : " expired";
  if (const auto* sealed = std::get_if<run::Sealed>(&facts))
    text += sealed->sealed ? " sealed" : " refused";
  return text;
}

std::string text_of(const run::Ask& ask) {
  return run::step_name(ask.key) + "#" + std::to_string(ask.attempt) + "@" + ask.key.agent;
}

snapshot::Ask kind_of(Act act) {
  switch (act) {
    case Act::arm:
      return snapshot::Ask::arm;
    case Act::raise:
      return snapshot::Ask::raise;
    case Act::pin:
      return snapshot::Ask::pin;
    case Act::lower:
      return snapshot::Ask::lower;
    case Act::commit:
      return snapshot::Ask::commit;
    case Act::keep:
      return snapshot::Ask::keep;
    default:
      return snapshot::Ask::drop;
  }
}

// What an agent tells of a step that went as it should: the same instants whenever it is done, so
// that the judge is content.
run::Facts told(const run::Ask& ask) {
  const std::string set = "set-" + ask.key.agent;
  const auto at = [](int ms) { return kMoment + ms * run::kMillisecond; };
  switch (ask.key.act) {
    case Act::arm:
      return run::Armed{clock(), {{set, run::kMillisecond, false, true, true, "small"}}};
    case Act::raise:
      return run::Raised{clock(), {{set, "own_lock", {at(-20), at(-10)}}}};
    case Act::pin:
      return run::Pinned{
          clock(), {{set, {at(0), at(5)}, true, false, true, "small", {}, {"small", "r", set}}}};
    case Act::lower:
      return run::Lowered{clock(), {{set, {at(10), at(11)}, true, ""}}};
    case Act::commit:
      return run::Committed{true, {{set, {"small", "r", set}}}};
    default:
      return run::Nothing{};
  }
}

run::Failure failure(const std::string& code, const std::string& where, bool reached = true) {
  return {code, code, where, "", reached};
}

}  // namespace

std::string Mail::text() const { return text_of(ask) + (answer ? " <- " + text_of(*answer) : ""); }

SmallModel::SmallModel() : control(run::planned(plan())) { feed(run::Begin{}, kNow); }

void SmallModel::post(Mail mail) {
  const auto at =
      std::lower_bound(flying.begin(), flying.end(), mail,
                       [](const Mail& a, const Mail& b) { return a.text() < b.text(); });
  flying.insert(at, std::move(mail));
}

void SmallModel::feed(decltype(run::Input::what) what, run::Instant now) {
  const run::Phase before = control.phase;
  auto [state, effects] = run::step(std::move(control), {now, true, std::move(what)});
  control = std::move(state);
  if (run::terminal(before) && control.phase != before)
    left_terminal_ = "it left its terminal state";
  for (const run::StepKey& key : effects.let_go)
    std::erase_if(awaited, [&](const run::Ask& ask) { return ask.key == key; });
  for (const run::Ask& ask : effects.asks) {
    awaited.push_back(ask);
    post({ask, std::nullopt});
  }
  std::sort(awaited.begin(), awaited.end(),
            [](const run::Ask& a, const run::Ask& b) { return text_of(a) < text_of(b); });
}

void SmallModel::reply(const run::Ask& ask, std::variant<run::Facts, run::Failure> answer) {
  post({ask, std::move(answer)});
}

void SmallModel::deliver(const Mail& mail) {
  if (mail.answer) {
    const auto waiting = std::find_if(awaited.begin(), awaited.end(), [&](const run::Ask& ask) {
      return ask.key == mail.ask.key && ask.attempt == mail.ask.attempt;
    });
    if (waiting == awaited.end()) return;
    awaited.erase(waiting);
    feed(run::Answer{mail.ask.key, mail.ask.attempt, *mail.answer}, kNow);
    return;
  }
  for (std::size_t i = 0; i < agents.size(); ++i)
    if (mail.ask.key.agent == kAgents[i]) return at_agent(agents[i], mail.ask);
  if (mail.ask.key.agent == "sender") return at_sender(mail.ask);
  at_registrar(mail.ask);
}

// As services/snapshot-agent/agent.cpp: epoch, stored reply, decision, act.
void SmallModel::at_agent(SmallAgent& agent, const run::Ask& ask) {
  if (!service::check_epoch(agent.learned ? kNew : kOld, kOld)) {
    reply(ask, failure("epoch-old", ask.key.agent));
    return;
  }
  const SmallAgent::StepAttempt step{run::step_name(ask.key), ask.attempt};
  if (const auto stored = agent.replies.find(step); stored != agent.replies.end()) {
    reply(ask, stored->second);
    return;
  }
  const std::string set = "set-" + ask.key.agent;
  snapshot::Question question;
  question.ask = kind_of(ask.key.act);
  question.step = step.first;
  question.attempt = ask.attempt;
  question.now = kNow;
  if (question.ask == snapshot::Ask::raise || question.ask == snapshot::Ask::pin)
    question.sets = {set};
  const snapshot::Decision decision = agent.state.decide(question);
  if (decision.answer == Answer::refuse) {
    reply(ask, failure(decision.code, ask.key.agent));
    return;
  }
  if (decision.answer == Answer::expired) {
    reply(ask, run::Committed{});
    return;
  }
  if (decision.answer == Answer::act) {
    agent.begun.insert(step);
    agent.known = true;
    agent.state.begin(question);
    switch (question.ask) {
      case snapshot::Ask::arm:
        agent.state.armed({{set, {.wants_fence = true}}}, kMoment, 60 * run::kSecond);
        break;
      case snapshot::Ask::raise:
        agent.state.fence_raised(set);
        break;
      case snapshot::Ask::pin:
        agent.pinned = true;
        ++agent.pins_made;
        agent.state.pinned({set}, kNow);
        break;
      case snapshot::Ask::lower:
        agent.state.fence_lowered(set);
        break;
      case snapshot::Ask::commit:
        agent.committed = true;
        agent.state.committed();
        break;
      case snapshot::Ask::keep:
        break;
      case snapshot::Ask::drop:
        agent.pinned = agent.committed = false;
        if (agent.over == Over::no) agent.over = Over::dropped;
        break;
    }
    agent.state.done(step.first);
    if (question.ask == snapshot::Ask::drop) agent.state.ended_as(Over::dropped);
  }
  agent.replies[step] = told(ask);
  reply(ask, told(ask));
}

void SmallModel::at_sender(const run::Ask& ask) {
  if (ask.key.act != Act::transfer) return reply(ask, run::Nothing{});
  // The receiver's part is refused by its epoch and its tombstone; the sender reads the pins.
  if (!service::check_epoch(registrar.learned ? kNew : kOld, kOld))
    return reply(ask, failure("epoch-old", "registrar"));
  if (registrar.tombstone) return reply(ask, failure("pin-dropped", "registrar"));
  for (const SmallAgent& agent : agents)
    if (!agent.pinned) return reply(ask, failure("version-missing", "sender"));
  registrar.staged = true;
  run::Transferred moved;
  for (const std::string& agent : kAgents)
    moved.sets.push_back({"set-" + agent, "root", 1, 1, 1, 0, {}, {}});
  reply(ask, moved);
}

void SmallModel::at_registrar(const run::Ask& ask) {
  const bool old = !service::check_epoch(registrar.learned ? kNew : kOld, kOld);
  const SmallAgent::StepAttempt step{run::step_name(ask.key), ask.attempt};
  if (const auto stored = registrar.replies.find(step); stored != registrar.replies.end())
    return reply(ask, stored->second);
  if (old) return reply(ask, failure("epoch-old", "registrar"));
  if (ask.key.act == Act::drop_transfer) {
    if (registrar.record) return reply(ask, failure("guard", "registrar"));
    registrar.tombstone = true;
    registrar.staged = false;
    registrar.replies[step] = run::Nothing{};
    return reply(ask, run::Nothing{});
  }
  run::Sealed sealed;
  if (!registrar.record) {
    std::vector<transfer::SealFacts> facts;
    for (const std::string& agent : kAgents) {
      transfer::SealFacts fact{"set-" + agent, "root", 1, 1, "root", std::nullopt, 1, 1};
      if (registrar.staged) fact.root = "root";
      facts.push_back(fact);
    }
    const auto why = transfer::seal_refusal(
        registrar.tombstone ? std::optional<std::string>("dropped") : std::nullopt, facts);
    if (why) {
      registrar.tombstone = true;
    } else {
      registrar.record = true;
      registrar.sealed_under_old_epoch = registrar.learned;
    }
  }
  sealed.sealed = registrar.record;
  registrar.replies[step] = sealed;
  reply(ask, sealed);
}

// As recover() of the snapshot-agent: what is not committed is dropped.
void SmallModel::crash(SmallAgent& agent) {
  agent.begun.clear();
  if (agent.known && !agent.committed && agent.over == Over::no) {
    agent.over = Over::lost;
    agent.pinned = false;
  }
  agent.state = agent.over != Over::no ? snapshot::RunState::ended(agent.over)
                : agent.committed      ? snapshot::RunState::committed_before()
                                       : snapshot::RunState();
}

void SmallModel::expire(SmallAgent& agent) {
  agent.over = Over::expired;
  agent.pinned = false;
  agent.state.ended_as(Over::expired);
}

std::vector<SmallModel::Next> SmallModel::next(int most_mishaps, int most_retries) const {
  std::vector<Next> out;
  const auto add = [&](std::string name, bool mishap, auto change) {
    if (mishap && mishaps == most_mishaps) return;
    SmallModel state = *this;
    state.mishaps += mishap ? 1 : 0;
    change(state);
    out.push_back({std::move(name), std::move(state)});
  };
  for (std::size_t i = 0; i < flying.size(); ++i) {
    if (i > 0 && flying[i].text() == flying[i - 1].text()) continue;
    const Mail& mail = flying[i];
    const auto take = [i](SmallModel& state) {
      state.flying.erase(state.flying.begin() + static_cast<std::ptrdiff_t>(i));
    };
    add("arrives: " + mail.text(), false, [&](SmallModel& state) {
      take(state);
      state.deliver(mail);
    });
    add("is lost: " + mail.text(), true, take);
    add("arrives, and will again: " + mail.text(), true,
        [&](SmallModel& state) { state.deliver(mail); });
  }
  for (std::size_t i = 0; i < awaited.size(); ++i) {
    const run::Ask& ask = awaited[i];
    // The client repeats a request that is lost; it gives up where nobody answers for long.
    const bool under_way = std::any_of(flying.begin(), flying.end(), [&](const Mail& mail) {
      return mail.ask.key == ask.key && mail.ask.attempt == ask.attempt;
    });
    add("nobody answers: " + text_of(ask), under_way, [&](SmallModel& state) {
      state.awaited.erase(state.awaited.begin() + static_cast<std::ptrdiff_t>(i));
      state.feed(run::Answer{ask.key, ask.attempt, failure("unreachable", ask.key.agent, false)},
                 kNow);
    });
    if (!under_way)
      add("is repeated: " + text_of(ask), false, [&](SmallModel& state) {
        state.post({ask, std::nullopt});
      });
  }
  for (std::size_t i = 0; i < agents.size(); ++i) {
    add("crash of " + kAgents[i], true, [&](SmallModel& state) { state.crash(state.agents[i]); });
    if (agents[i].state.lease_over(std::numeric_limits<std::int64_t>::max()))
      add("lease runs out at " + kAgents[i], true,
          [&](SmallModel& state) { state.expire(state.agents[i]); });
    if (raised && !agents[i].learned)
      add("epoch learned by " + kAgents[i], false,
          [&](SmallModel& state) { state.agents[i].learned = true; });
  }
  if (!raised) {
    add("epoch raised at the registrar", true, [](SmallModel& state) {
      state.raised = true;
      state.registrar.learned = true;
    });
  }
  if (!run::terminal(control.phase)) {
    add("the scheduler crashes", true, [](SmallModel& state) {
      state.awaited.clear();
      state.feed(run::Restarted{}, kNow);
    });
    if (!aborted) {
      add("a user aborts", true, [](SmallModel& state) {
        state.aborted = true;
        state.feed(run::Abort{}, kNow);
      });
    }
  }
  const bool due = std::any_of(control.steps.begin(), control.steps.end(), [](const auto& step) {
    return step.second.status == run::StepState::Status::waiting;
  });
  if (due && retries < most_retries) {
    add("what waits is tried again", false, [](SmallModel& state) {
      ++state.retries;
      state.feed(run::Tick{}, kLater);
    });
  }
  return out;
}

std::string SmallModel::key() const {
  std::string key = run::phase_name(control.phase);
  key += std::string("/") + run::phase_name(control.ending);
  for (const auto& [step, state] : control.steps) {
    key += "|" + run::step_name(step) + step.agent + run::status_name(state.status) +
           std::to_string(state.attempt) + "," + std::to_string(std::min(state.failures, 3)) +
           state.failure.code + (state.failure.reached ? "r" : "") +
           text_of(std::variant<run::Facts, run::Failure>(state.facts));
  }
  for (const SmallAgent& agent : agents) {
    key += "!";
    for (const bool flag : {agent.known, agent.pinned, agent.committed, agent.learned,
                            agent.state.is_armed(), agent.state.is_committed()})
      key += flag ? '1' : '0';
    key += snapshot::over_name(agent.over);
    key += snapshot::over_name(agent.state.over());
    for (const auto& [name, set] : agent.state.sets())
      for (const bool flag : {set.fence_up, set.fence_was_up, set.pinned}) key += flag ? '1' : '0';
    for (const auto& [step, attempt] : agent.begun) key += step + std::to_string(attempt) + ",";
    key += ";";
    for (const auto& [step, facts] : agent.replies)
      key += step.first + std::to_string(step.second) + ",";
  }
  key += "!";
  for (const bool flag : {registrar.staged, registrar.record, registrar.tombstone,
                          registrar.learned, raised, aborted})
    key += flag ? '1' : '0';
  for (const auto& [step, facts] : registrar.replies)
    key += step.first + std::to_string(step.second) +
           text_of(std::variant<run::Facts, run::Failure>(facts)) + ",";
  for (const Mail& mail : flying) key += "\n" + mail.text();
  key += "\n";
  for (const run::Ask& ask : awaited) key += text_of(ask) + ",";
  return key + std::to_string(mishaps) + "," + std::to_string(retries);
}

bool SmallModel::quiet() const { return flying.empty() && awaited.empty(); }

std::string SmallModel::broken() const {
  if (!left_terminal_.empty()) return left_terminal_;
  const bool ended = run::terminal(control.phase);
  if (ended && (control.phase == run::Phase::complete) != registrar.record)
    return registrar.record ? "it ended otherwise and has a point" : "complete without a point";
  if (registrar.record && registrar.tombstone) return "a point of a run that was refused";
  if (registrar.sealed_under_old_epoch) return "sealed under an old epoch";
  for (const SmallAgent& agent : agents) {
    if (agent.pins_made > 1) return "pinned twice";
    if (agent.over != Over::no && agent.pinned) return "a pin of a run that is over";
    if (agent.committed && !agent.pinned) return "committed without a pin";
    if (registrar.record && !agent.pinned) return "a point whose base is not held";
    if (registrar.staged && agent.pins_made == 0) return "staged what was never pinned";
  }
  if (registrar.staged && !registrar.tombstone && control.phase < run::Phase::transfer)
    return "staged before the transfer";
  if (quiet() && ended && !run::has_chores(control) && !registrar.record) {
    for (const SmallAgent& agent : agents)
      if (agent.pinned) return "a pin outlived its run";
    if (registrar.staged) return "staging outlived its run";
  }
  const bool due = std::any_of(control.steps.begin(), control.steps.end(), [](const auto& step) {
    return step.second.status == run::StepState::Status::waiting;
  });
  if (quiet() && !ended && !due) return "nothing will ever happen again, and it has not ended";
  return {};
}

}  // namespace lockstep::simulation
