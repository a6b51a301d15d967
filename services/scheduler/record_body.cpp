#include "services/scheduler/record_body.hpp"

#include "common/message/bytes.hpp"
#include "services/scheduler/facts_body.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;
using message::bytes_of;
using message::text_or_bytes;

Body key_body(const run::StepKey& key) {
  return {{"act", run::act_name(key.act)}, {"stage", key.stage}, {"agent", key.agent}};
}

run::StepKey key_from(const Body& body) {
  const auto act = run::act_from_name(body.at("act").get<std::string>());
  if (!act) throw std::invalid_argument("unknown act");
  return {*act, body.at("stage").get<int>(), body.at("agent").get<std::string>()};
}

run::Phase phase_from(const Body& body) {
  const auto phase = run::phase_from_name(body.get<std::string>());
  if (!phase) throw std::invalid_argument("unknown phase");
  return *phase;
}

Body failure_body(const run::Failure& failure) {
  return {{"code", failure.code},
          {"what", text_or_bytes(failure.what)},
          {"where", text_or_bytes(failure.where)},
          {"hint", text_or_bytes(failure.hint)},
          {"reached", failure.reached}};
}

run::Failure failure_from(const Body& body) {
  return {body.at("code").get<std::string>(), bytes_of(body.at("what")), bytes_of(body.at("where")),
          bytes_of(body.at("hint")), body.at("reached").get<bool>()};
}

struct ToBody {
  Body operator()(const run::MomentFixed& fact) const {
    return {{"fact", "moment"}, {"moment", fact.moment}};
  }
  Body operator()(const run::Entered& fact) const {
    return {{"fact", "entered"}, {"phase", run::phase_name(fact.phase)}};
  }
  Body operator()(const run::Asked& fact) const {
    return {{"fact", "asked"}, {"step", key_body(fact.key)}, {"attempt", fact.attempt}};
  }
  Body operator()(const run::Done& fact) const {
    return {{"fact", "done"}, {"step", key_body(fact.key)}, {"facts", facts_to_body(fact.facts)}};
  }
  Body operator()(const run::StepFailed& fact) const {
    Body body = {
        {"fact", "failed"}, {"step", key_body(fact.key)}, {"failure", failure_body(fact.failure)}};
    if (fact.retry_at) body["retry_at"] = *fact.retry_at;
    return body;
  }
  Body operator()(const run::Retimed& fact) const {
    return {{"fact", "retimed"}, {"step", key_body(fact.key)}, {"retry_at", fact.retry_at}};
  }
  Body operator()(const run::LetGo& fact) const {
    return {{"fact", "let-go"}, {"step", key_body(fact.key)}};
  }
  Body operator()(const run::Judged& fact) const {
    return {{"fact", "judged"},
            {"good", fact.verdict.good},
            {"code", fact.verdict.code},
            {"reason", text_or_bytes(fact.verdict.reason)},
            {"where", text_or_bytes(fact.verdict.where)},
            {"skew_ns", fact.verdict.skew},
            {"lateness_ns", fact.verdict.lateness}};
  }
  Body operator()(const run::Turned& fact) const {
    return {{"fact", "turned"},
            {"ending", run::phase_name(fact.ending)},
            {"failure", failure_body(fact.failure)}};
  }
};

decltype(run::Record::what) fact_from(const Body& body) {
  const std::string fact = body.at("fact").get<std::string>();
  if (fact == "moment") return run::MomentFixed{body.at("moment").get<run::Instant>()};
  if (fact == "entered") return run::Entered{phase_from(body.at("phase"))};
  if (fact == "asked") return run::Asked{key_from(body.at("step")), body.at("attempt").get<int>()};
  if (fact == "done") {
    const run::StepKey key = key_from(body.at("step"));
    auto facts = facts_from_body(key.act, body.at("facts"));
    if (!facts) throw std::invalid_argument(facts.error().text());
    return run::Done{key, std::move(facts).value()};
  }
  if (fact == "failed") {
    run::StepFailed failed{key_from(body.at("step")), failure_from(body.at("failure")), {}};
    if (body.contains("retry_at")) failed.retry_at = body.at("retry_at").get<run::Instant>();
    return failed;
  }
  if (fact == "retimed")
    return run::Retimed{key_from(body.at("step")), body.at("retry_at").get<run::Instant>()};
  if (fact == "let-go") return run::LetGo{key_from(body.at("step"))};
  if (fact == "judged") {
    run::Verdict verdict;
    verdict.good = body.at("good").get<bool>();
    verdict.code = body.at("code").get<std::string>();
    verdict.reason = bytes_of(body.at("reason"));
    verdict.where = bytes_of(body.at("where"));
    verdict.skew = body.at("skew_ns").get<run::Span>();
    verdict.lateness = body.at("lateness_ns").get<run::Span>();
    return run::Judged{std::move(verdict)};
  }
  if (fact == "turned")
    return run::Turned{phase_from(body.at("ending")), failure_from(body.at("failure"))};
  throw std::invalid_argument("unknown fact " + fact);
}

Error corrupt(const std::exception& error) {
  return make_error(ErrorCode::journal_corrupt,
                    std::string("a row of the journal cannot be read: ") + error.what());
}

}  // namespace

Body record_to_body(const run::Record& record) { return std::visit(ToBody{}, record.what); }

Result<run::Record> record_from_body(run::Instant at, const Body& body) {
  try {
    return run::Record{at, fact_from(body)};
  } catch (const std::exception& error) {
    return corrupt(error);
  }
}

Body plan_to_body(const run::Plan& plan) {
  Body members = Body::array();
  for (const run::Member& member : plan.members) {
    members.push_back({{"name", member.name},
                       {"agent", member.agent},
                       {"fenced", member.fenced},
                       {"fence_timeout", member.fence_timeout},
                       {"refers_to", member.refers_to}});
    if (member.beside) members.back()["beside"] = true;
  }
  return {{"run", plan.run},
          {"service", plan.service},
          {"attempt", plan.attempt},
          {"attempts", plan.attempts},
          {"scheduled", plan.scheduled},
          {"begin_at", plan.begin_at},
          {"now", plan.now},
          {"catch_up", plan.catch_up},
          {"mode", static_cast<int>(plan.mode)},
          {"consistency", static_cast<int>(plan.consistency)},
          {"members", std::move(members)},
          {"sender", plan.sender},
          {"receiver", plan.receiver},
          {"registrar", plan.registrar},
          {"before_hook", plan.before_hook},
          {"after_hook", plan.after_hook},
          {"hook_timeout", plan.hook_timeout},
          {"clock_sources", plan.clock_sources},
          {"max_clock_error", plan.max_clock_error},
          {"max_skew", plan.max_skew},
          {"max_lateness", plan.max_lateness},
          {"deadline", plan.deadline},
          {"stall", plan.stall},
          {"lease", plan.lease},
          {"arm_lead", plan.arm_lead},
          {"raise_lead", plan.raise_lead}};
}

Result<run::Plan> plan_from_body(const Body& body) {
  try {
    run::Plan plan;
    for (const Body& one : body.at("members")) {
      plan.members.push_back(
          {one.at("name").get<std::string>(), one.at("agent").get<std::string>(),
           one.at("fenced").get<bool>(), one.at("fence_timeout").get<run::Span>(),
           one.at("refers_to").get<std::vector<std::string>>(), one.value("beside", false)});
    }
    body.at("run").get_to(plan.run);
    body.at("service").get_to(plan.service);
    body.at("attempt").get_to(plan.attempt);
    body.at("attempts").get_to(plan.attempts);
    body.at("scheduled").get_to(plan.scheduled);
    body.at("begin_at").get_to(plan.begin_at);
    body.at("now").get_to(plan.now);
    body.at("catch_up").get_to(plan.catch_up);
    plan.mode = static_cast<run::Mode>(body.at("mode").get<int>());
    plan.consistency = static_cast<run::Consistency>(body.at("consistency").get<int>());
    body.at("sender").get_to(plan.sender);
    body.at("receiver").get_to(plan.receiver);
    body.at("registrar").get_to(plan.registrar);
    body.at("before_hook").get_to(plan.before_hook);
    body.at("after_hook").get_to(plan.after_hook);
    body.at("hook_timeout").get_to(plan.hook_timeout);
    plan.clock_sources = body.value("clock_sources", plan.clock_sources);  // not in older journals
    plan.max_clock_error = body.value("max_clock_error", plan.max_clock_error);
    body.at("max_skew").get_to(plan.max_skew);
    body.at("max_lateness").get_to(plan.max_lateness);
    body.at("deadline").get_to(plan.deadline);
    body.at("stall").get_to(plan.stall);
    body.at("lease").get_to(plan.lease);
    body.at("arm_lead").get_to(plan.arm_lead);
    body.at("raise_lead").get_to(plan.raise_lead);
    return plan;
  } catch (const std::exception& error) {
    return corrupt(error);
  }
}

}  // namespace lockstep::scheduler
