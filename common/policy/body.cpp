// A policy as a message body (schemas/policy.json) and back.
#include "common/message/bytes.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy {

namespace {

using message::Body;
using message::bytes_of;
using message::text_or_bytes;

constexpr const char* kFences[] = {"none", "own_lock", "hook", "cgroup"};
constexpr const char* kConsistencies[] = {"fenced", "ordered", "bounded"};
constexpr const char* kEngines[] = {"stream", "distcp", "exportsnapshot", "auto"};

Body list_of(const std::vector<std::string>& texts) {
  Body out = Body::array();
  for (const auto& text : texts) out.push_back(text_or_bytes(text));
  return out;
}

std::vector<std::string> texts_of(const Body& list) {
  std::vector<std::string> out;
  for (const auto& item : list) out.push_back(bytes_of(item));
  return out;
}

Body place_body(const component::Place& place) {
  Body options = Body::object();
  for (const auto& [key, value] : place.options) options[key] = text_or_bytes(value);
  return {{"location", text_or_bytes(place.location)}, {"options", std::move(options)}};
}

component::Place place_of(const Body& body) {
  component::Place place;
  place.location = bytes_of(body.at("location"));
  for (const auto& [key, value] : body.at("options").items()) place.options[key] = bytes_of(value);
  return place;
}

Body hook_body(const Hook& hook) {
  return {{"argv", list_of(hook.argv)}, {"timeout_ns", hook.timeout.count}};
}

Hook hook_of(const Body& body) {
  return {texts_of(body.at("argv")), Nanos{body.at("timeout_ns").get<std::int64_t>()}};
}

Body set_body(const DataSet& set) {
  Body out{{"name", set.name},
           {"component", set.component},
           {"place", place_body(set.place)},
           {"agent", set.agent},
           {"to",
            {{"component", set.to.component},
             {"place", place_body(set.to.place)},
             {"agent", set.to.agent}}},
           {"fence",
            {{"kind", kFences[static_cast<int>(set.fence.kind)]},
             {"hook", text_or_bytes(set.fence.hook)},
             {"cgroup", text_or_bytes(set.fence.cgroup)},
             {"timeout_ns", set.fence.timeout.count}}},
           {"refers_to", set.refers_to},
           {"exclude", list_of(set.exclude)},
           {"allow_writer_stall", set.allow_writer_stall}};
  if (set.on_base_lost == DataSet::OnBaseLost::fail) out["on_base_lost"] = "fail";
  if (set.engine != DataSet::Engine::stream) out["engine"] = engine_name(set.engine);
  return out;
}

Fence fence_of(const Body& body) {
  Fence fence;
  const auto kind = body.at("kind").get<std::string>();
  for (int i = 0; i < 4; ++i) {
    if (kind == kFences[i]) fence.kind = static_cast<Fence::Kind>(i);
  }
  fence.hook = bytes_of(body.at("hook"));
  fence.cgroup = bytes_of(body.at("cgroup"));
  fence.timeout = Nanos{body.at("timeout_ns").get<std::int64_t>()};
  return fence;
}

DataSet set_of(const Body& body) {
  DataSet set;
  set.name = body.at("name").get<std::string>();
  set.component = body.at("component").get<std::string>();
  set.place = place_of(body.at("place"));
  set.agent = body.at("agent").get<std::string>();
  const Body& to = body.at("to");
  set.to = {to.at("component").get<std::string>(), place_of(to.at("place")),
            to.at("agent").get<std::string>()};
  set.fence = fence_of(body.at("fence"));
  set.refers_to = body.at("refers_to").get<std::vector<std::string>>();
  set.exclude = texts_of(body.at("exclude"));
  set.allow_writer_stall = body.at("allow_writer_stall").get<bool>();
  if (body.contains("on_base_lost")) set.on_base_lost = DataSet::OnBaseLost::fail;
  const auto engine = body.value("engine", "stream");
  for (int i = 0; i < 4; ++i) {
    if (engine == kEngines[i]) set.engine = static_cast<DataSet::Engine>(i);
  }
  return set;
}

Body schedule_body(const Schedule& schedule) {
  Body out{{"cron", schedule.cron},
           {"zone", schedule.zone},
           {"moments", Body::array()},
           {"missed", schedule.missed == Schedule::Missed::run ? "run" : "skip"}};
  if (schedule.every) out["every_ns"] = schedule.every->count;
  for (const UtcNanos moment : schedule.moments) out["moments"].push_back(to_rfc3339(moment));
  return out;
}

Result<Schedule> schedule_of(const Body& body) {
  Schedule schedule;
  schedule.cron = body.at("cron").get<std::string>();
  schedule.zone = body.at("zone").get<std::string>();
  if (const auto every = body.find("every_ns"); every != body.end()) {
    schedule.every = Nanos{every->get<std::int64_t>()};
  }
  for (const auto& text : body.at("moments")) {
    LOCKSTEP_TRY(const UtcNanos moment, parse_rfc3339(text.get<std::string>()));
    schedule.moments.push_back(moment);
  }
  if (body.at("missed") == "skip") schedule.missed = Schedule::Missed::skip;
  return schedule;
}

Body drill_body(const Drill& drill) {
  return {{"schedule", schedule_body(drill.schedule)},
          {"check", list_of(drill.check)},
          {"timeout_ns", drill.timeout.count},
          {"max_age_ns", drill.max_age.count}};
}

Result<Drill> drill_of(const Body& body) {
  LOCKSTEP_TRY(Schedule schedule, schedule_of(body.at("schedule")));
  return Drill{std::move(schedule), texts_of(body.at("check")),
               Nanos{body.at("timeout_ns").get<std::int64_t>()},
               Nanos{body.at("max_age_ns").get<std::int64_t>()}};
}

}  // namespace

const char* engine_name(DataSet::Engine engine) { return kEngines[static_cast<int>(engine)]; }

Body to_body(const Policy& policy) {
  Body sets = Body::array();
  for (const auto& set : policy.data_sets) sets.push_back(set_body(set));
  Body out{{"service", policy.service},
           {"primary", policy.primary},
           {"mode", policy.mode == Mode::push ? "push" : "pull"},
           {"consistency", kConsistencies[static_cast<int>(policy.consistency)]},
           {"max_skew_ns", policy.max_skew.count},
           {"max_lateness_ns", policy.max_lateness.count},
           {"rpo_ns", policy.rpo.count},
           {"stall_ns", policy.stall.count},
           {"deadline_ns", policy.deadline.count},
           {"attempts", policy.attempts},
           {"max_pending", policy.max_pending},
           {"bandwidth", policy.bandwidth},
           {"compress", policy.compress},
           {"schedule", schedule_body(policy.schedule)},
           {"data_sets", std::move(sets)},
           {"retention",
            {{"last", policy.retention.last},
             {"hourly", policy.retention.hourly},
             {"daily", policy.retention.daily},
             {"weekly", policy.retention.weekly},
             {"monthly", policy.retention.monthly}}}};
  if (policy.before) out["before"] = hook_body(*policy.before);
  if (policy.after) out["after"] = hook_body(*policy.after);
  if (policy.drill) out["drill"] = drill_body(*policy.drill);
  if (policy.user_data) out["user_data"] = true;
  return out;
}

Result<Policy> from_body(const Body& body) {
  LOCKSTEP_CHECK(message::check_schema("policy", body));
  try {
    Policy policy;
    policy.service = body.at("service").get<std::string>();
    policy.primary = body.at("primary").get<std::string>();
    policy.mode = body.at("mode") == "pull" ? Mode::pull : Mode::push;
    for (int i = 0; i < 3; ++i) {
      if (body.at("consistency") == kConsistencies[i]) {
        policy.consistency = static_cast<Consistency>(i);
      }
    }
    policy.max_skew = Nanos{body.at("max_skew_ns").get<std::int64_t>()};
    policy.max_lateness = Nanos{body.at("max_lateness_ns").get<std::int64_t>()};
    policy.rpo = Nanos{body.at("rpo_ns").get<std::int64_t>()};
    policy.stall = Nanos{body.at("stall_ns").get<std::int64_t>()};
    policy.deadline = Nanos{body.at("deadline_ns").get<std::int64_t>()};
    policy.attempts = body.at("attempts").get<int>();
    policy.max_pending = body.at("max_pending").get<int>();
    policy.bandwidth = body.at("bandwidth").get<std::uint64_t>();
    policy.compress = body.at("compress").get<bool>();
    policy.user_data = body.value("user_data", false);
    if (const auto hook = body.find("before"); hook != body.end()) policy.before = hook_of(*hook);
    if (const auto hook = body.find("after"); hook != body.end()) policy.after = hook_of(*hook);
    LOCKSTEP_TRY(policy.schedule, schedule_of(body.at("schedule")));
    for (const auto& set : body.at("data_sets")) policy.data_sets.push_back(set_of(set));
    const Body& retention = body.at("retention");
    policy.retention = {retention.at("last").get<int>(), retention.at("hourly").get<int>(),
                        retention.at("daily").get<int>(), retention.at("weekly").get<int>(),
                        retention.at("monthly").get<int>()};
    if (const auto drill = body.find("drill"); drill != body.end()) {
      LOCKSTEP_TRY(policy.drill, drill_of(*drill));
    }
    return policy;
  } catch (const nlohmann::json::exception& exception) {
    return make_error(ErrorCode::message_schema,
                      std::string{"the policy does not match its schema: "} + exception.what());
  }
}

}  // namespace lockstep::policy
