#include "services/scheduler/messages.hpp"

#include <algorithm>

#include "common/message/bytes.hpp"
#include "services/scheduler/facts_body.hpp"
#include "services/scheduler/run/certificate.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;
using message::text_or_bytes;

const char* message_type(const run::State& state, run::Act act) {
  switch (act) {
    case run::Act::arm:
      return "instruction.snapshot";
    case run::Act::raise:
      return "snapshot.raise";
    case run::Act::pin:
      return "snapshot.pin";
    case run::Act::lower:
      return "snapshot.lower";
    case run::Act::commit:
      return "snapshot.commit";
    case run::Act::transfer:
      return state.plan.mode == run::Mode::push ? "instruction.push" : "instruction.pull";
    case run::Act::seal:
      return "point.seal";
    case run::Act::keep:
      return "snapshot.keep";
    case run::Act::keep_manifest:
      return "transfer.keep";
    case run::Act::drop:
      return "snapshot.drop";
    case run::Act::drop_transfer:
      return "transfer.drop";
    case run::Act::before:
    case run::Act::after:
      break;
  }
  return "";
}

Body arm_body(const Origin& origin, const run::State& state) {
  return {{"service", state.plan.service},
          {"moment", to_rfc3339({state.moment})},
          {"consistency", consistency_name(state.plan.consistency)},
          {"policy_version", origin.version},
          {"lease_ns", state.plan.lease},
          {"sets", origin.sets}};
}

Body at_body(const run::State& state, const run::Ask& ask) {
  return {{"service", state.plan.service}, {"sets", ask.sets}, {"at", to_rfc3339({ask.at})}};
}

// What the policy says of how a set is transferred, where it is not the default.
void add_wishes(Body& set, const policy::Policy& policy) {
  using policy::DataSet;
  for (const DataSet& wanted : policy.data_sets) {
    if (set.at("name") != wanted.name) continue;
    if (wanted.on_base_lost == DataSet::OnBaseLost::fail) set["on_base_lost"] = "fail";
    if (wanted.engine != DataSet::Engine::stream)
      set["engine"] = policy::engine_name(wanted.engine);
  }
}

bool among(const Body& names, const Body& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Body transfer_body(const Origin& origin, const run::State& state, const std::optional<Body>& base) {
  const run::Plan& plan = state.plan;
  Body sets = origin.sets;
  for (Body& set : sets) {
    set["version"] = version_body(run::version_of(state, set.at("name").get<std::string>()));
    const Body& name = set.at("name");
    if (base && among(base->at("sets"), name)) set["base"] = base->at("id");
    add_wishes(set, origin.policy);
  }
  return {{"service", plan.service},
          {"moment", to_rfc3339({state.moment})},
          {"policy_version", origin.version},
          {"peer", plan.mode == run::Mode::push ? plan.receiver : plan.sender},
          {"bandwidth", origin.policy.bandwidth},
          {"compress", origin.policy.compress},
          {"stall_ns", plan.stall},
          {"sets", std::move(sets)}};
}

const run::Transferred* transferred(const run::State& state) {
  const run::StepState* step = state.find({run::Act::transfer, 0, state.plan.mover()});
  return step == nullptr ? nullptr : std::get_if<run::Transferred>(&step->facts);
}

Body seal_body(const Origin& origin, const run::State& state, const Giver& giver) {
  Body sets = origin.sets;
  if (const run::Transferred* moved = transferred(state)) {
    for (Body& set : sets) {
      for (const auto& one : moved->sets) {
        if (set.at("name").get<std::string>() != one.name) continue;
        set["root"] = one.root;
        set["entries"] = one.entries;
        set["bytes"] = one.bytes;
      }
    }
  }
  return {{"service", state.plan.service},
          {"moment", to_rfc3339({state.moment})},
          {"mode", mode_name(state.plan.mode)},
          {"policy_version", origin.version},
          {"policy", policy::to_body(origin.policy)},
          {"certificate", certificate_body(origin, state, giver)},
          {"sets", std::move(sets)}};
}

Body body_for(const Origin& origin, const run::State& state, const run::Ask& ask,
              const Giver& giver, const std::optional<Body>& base) {
  switch (ask.key.act) {
    case run::Act::arm:
      return arm_body(origin, state);
    case run::Act::raise:
    case run::Act::pin:
      return at_body(state, ask);
    case run::Act::transfer:
      return transfer_body(origin, state, base);
    case run::Act::seal:
      return seal_body(origin, state, giver);
    case run::Act::keep:
    case run::Act::drop:
    case run::Act::drop_transfer:
      return {{"service", state.plan.service}, {"sets", origin.sets}};
    default:
      return {{"service", state.plan.service}};
  }
}

Body side_of(const Body& side) {
  return {{"cluster", side.at("cluster")},
          {"component", side.at("component")},
          {"location", side.at("location")}};
}

}  // namespace

const char* mode_name(run::Mode mode) { return mode == run::Mode::push ? "push" : "pull"; }

const char* consistency_name(run::Consistency consistency) {
  switch (consistency) {
    case run::Consistency::fenced:
      return "fenced";
    case run::Consistency::ordered:
      return "ordered";
    case run::Consistency::bounded:
      return "bounded";
  }
  return "";
}

Outgoing message_for(const Origin& origin, const run::State& state, const run::Ask& ask,
                     const Giver& giver, const std::optional<Body>& base) {
  Outgoing out;
  out.to = ask.key.agent;
  out.envelope.type = message_type(state, ask.key.act);
  out.envelope.run = state.plan.run;
  out.envelope.step = run::step_name(ask.key);
  out.envelope.attempt = ask.attempt;
  out.envelope.epoch = giver.epoch;
  out.envelope.body = body_for(origin, state, ask, giver, base);
  out.options.silence = seconds(1);
  out.options.stall = {ask.silence};
  out.options.deadline = {ask.deadline};
  return out;
}

Body certificate_body(const Origin& origin, const run::State& state, const Giver& giver) {
  const run::Plan& plan = state.plan;
  const run::Certificate certificate = run::certify(state);
  Body sets = Body::array();
  for (std::size_t i = 0; i < certificate.sets.size(); ++i) {
    const run::Certificate::Set& set = certificate.sets[i];
    Body fence = nullptr;
    if (set.fence) {
      fence = {{"kind", set.fence->kind},
               {"raised", interval_body(set.fence->raised)},
               {"lowered", interval_body(set.fence->lowered)},
               {"held", set.fence->held},
               {"detail", text_or_bytes(set.fence->detail)}};
    }
    Body clock{{"boot_id", set.clock.boot_id},
               {"synchronised", set.clock.synchronised},
               {"error_ns", set.clock.error}};
    if (!set.clock.source.empty()) clock["source"] = set.clock.source;
    if (set.clock.apart) clock["apart_ns"] = {set.clock.apart->least, set.clock.apart->most};
    Body caveats = Body::array();
    for (const std::string& caveat : set.caveats) caveats.push_back(text_or_bytes(caveat));
    sets.push_back({{"name", set.name},
                    {"agent", set.agent},
                    {"from", side_of(origin.sets.at(i).at("from"))},
                    {"to", side_of(origin.sets.at(i).at("to"))},
                    {"pinned", interval_body(set.pinned)},
                    {"one_instant", set.one_instant},
                    {"durable", set.durable},
                    {"method", set.method},
                    {"stage", set.stage},
                    {"fence", std::move(fence)},
                    {"clock", std::move(clock)},
                    {"refers_to", set.refers_to},
                    {"base", set.moved.base ? Body(*set.moved.base) : Body(nullptr)},
                    {"root", set.moved.root},
                    {"entries", set.moved.entries},
                    {"bytes", set.moved.bytes},
                    {"bytes_sent", set.moved.bytes_sent},
                    {"bytes_resent", set.moved.bytes_resent},
                    {"proof", "received"},
                    {"caveats", std::move(caveats)}});
    if (!set.one_instant) sets.back()["quiet"] = set.quiet;
    if (set.users) sets.back()["users"] = users_body(*set.users);
  }
  return {{"service", plan.service},
          {"run", plan.run},
          {"attempt", plan.attempt},
          {"moment", to_rfc3339({state.moment})},
          {"mode", mode_name(plan.mode)},
          {"consistency", consistency_name(plan.consistency)},
          {"primary", origin.primary},
          {"secondary", origin.secondary},
          {"policy_version", origin.version},
          {"epoch", {{"number", giver.epoch.number}, {"promotion", giver.epoch.promotion}}},
          {"program", giver.program},
          {"max_skew_ns", plan.max_skew},
          {"skew_ns", certificate.skew},
          {"lateness_ns", certificate.lateness},
          {"promises", certificate.promises},
          {"does_not_promise", certificate.does_not_promise},
          {"sets", std::move(sets)}};
}

Body point_body(const run::State& state) {
  const run::Plan& plan = state.plan;
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  Body names = Body::array();
  if (const run::Transferred* moved = transferred(state)) {
    for (const auto& set : moved->sets) {
      entries += set.entries;
      bytes += set.bytes;
      names.push_back(set.name);
    }
  }
  run::Sealed sealed;
  if (const run::StepState* step = state.find({run::Act::seal, 0, plan.registrar})) {
    if (const auto* facts = std::get_if<run::Sealed>(&step->facts)) sealed = *facts;
  }
  return {{"id", plan.run},
          {"service", plan.service},
          {"moment", to_rfc3339({state.moment})},
          {"sealed_at", to_rfc3339({sealed.sealed_at})},
          {"mode", mode_name(plan.mode)},
          {"consistency", consistency_name(plan.consistency)},
          {"skew_ns", state.verdict ? state.verdict->skew : 0},
          {"lateness_ns", state.verdict ? state.verdict->lateness : 0},
          {"digest", sealed.digest},
          {"entries", entries},
          {"bytes", bytes},
          {"sets", std::move(names)}};
}

}  // namespace lockstep::scheduler
