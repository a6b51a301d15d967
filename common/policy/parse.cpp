// A policy from its YAML document (docs/policy.md).
#include <algorithm>
#include <filesystem>
#include <limits>

#include "common/config/reader.hpp"
#include "common/policy/cron.hpp"
#include "common/policy/kinds.hpp"
#include "common/policy/policy.hpp"

namespace lockstep::policy {

namespace {

using config::Map;
using config::Report;
using config::Value;

constexpr Nanos kYear = seconds(std::int64_t{366} * 86400);

void read_duration(Map& map, std::string_view key, Nanos& into, Nanos least = {1}) {
  if (const auto value = map.find(key)) into = value->duration(least, kYear).value_or(into);
}

std::string read_kind(const Value& value) {
  const auto name = value.name();
  if (!name) return {};
  const Kind* kind = find_kind(*name);
  if (kind == nullptr) {
    const auto near = config::nearest(*name, kind_names());
    value.problem(
        ErrorCode::config_bad_value, "no component is named `" + *name + "`",
        near ? "did you mean `" + *near + "`?" : "there are files, sqlite, hdfs and hbase");
    return {};
  }
  if (!kind->built) {
    value.problem(ErrorCode::not_built_yet,
                  "this version does not have the component `" + *name + "` yet");
    return {};
  }
  return *name;
}

Fence read_fence(const Value& value, Fence fence) {
  if (!value.is_map()) {
    const auto which = value.choice({"none", "own-lock"});
    if (which) fence.kind = *which == 0 ? Fence::Kind::none : Fence::Kind::own_lock;
    return fence;
  }
  auto map = value.map();
  const auto hook = map->find("hook");
  const auto cgroup = map->find("cgroup");
  if (hook) {
    fence.kind = Fence::Kind::hook;
    fence.hook = hook->name().value_or("");
  }
  if (cgroup) {
    fence.kind = Fence::Kind::cgroup;
    const auto text = cgroup->text();
    if (text && (text->front() == '/' || *text != std::filesystem::path{*text}.lexically_normal() ||
                 text->starts_with(".."))) {
      cgroup->problem(ErrorCode::config_bad_value,
                      "expected a path below the cgroup v2 mount, such as "
                      "system.slice/orders.service, found `" +
                          *text + "`");
    }
    fence.cgroup = text.value_or("");
  }
  if (hook && cgroup) {
    value.problem(ErrorCode::config_bad_value, "expected `hook` or `cgroup`, found both",
                  "one hook may freeze the cgroup too");
  }
  if (const auto timeout = map->find("timeout")) {
    fence.timeout = timeout->duration(milliseconds(1), seconds(3600)).value_or(fence.timeout);
  }
  map->finish();
  return fence;
}

DataSet read_set(Map& map) {
  DataSet set;
  if (const auto name = map.require("name", "the data set's name")) {
    set.name = name->name().value_or("");
  }
  if (const auto component = map.require("component", "files, sqlite, hdfs or hbase")) {
    set.component = read_kind(*component);
  }
  if (const auto path = map.require("path", "where it lies on the primary")) {
    set.place.location = path->absolute_path().value_or("");
  }
  if (const auto agent = map.find("agent")) set.agent = agent->name().value_or("");

  set.to.component = set.component;
  if (const auto to = map.find("to")) {
    if (auto pair = to->map()) {
      if (const auto component = pair->find("component")) set.to.component = read_kind(*component);
      if (const auto path = pair->find("path"))
        set.to.place.location = path->absolute_path().value_or("");
      if (const auto agent = pair->find("agent")) set.to.agent = agent->name().value_or("");
      pair->finish();
    }
  }

  const Kind* kind = find_kind(set.component);
  if (kind != nullptr && kind->own_lock) set.fence.kind = Fence::Kind::own_lock;
  if (const auto fence = map.find("fence")) set.fence = read_fence(*fence, set.fence);
  if (const auto refers = map.find("refers_to")) {
    set.refers_to = refers->names().value_or(std::vector<std::string>{});
  }
  if (const auto exclude = map.find("exclude")) {
    set.exclude = exclude->texts().value_or(std::vector<std::string>{});
  }
  if (const auto stall = map.find("allow_writer_stall")) {
    set.allow_writer_stall = stall->boolean().value_or(false);
  }
  if (const auto allow = map.find("allow_snapshot")) {
    if (allow->boolean().value_or(false)) {
      set.place.options["allow_snapshot"] = set.to.place.options["allow_snapshot"] = "true";
    }
  }
  if (const auto lost = map.find("on_base_lost")) {
    const std::string word = lost->text().value_or("full");
    if (word == "fail") {
      set.on_base_lost = DataSet::OnBaseLost::fail;
    } else if (word != "full") {
      lost->problem(ErrorCode::config_bad_value, "expected `full` or `fail`");
    }
  }
  if (const auto engine = map.find("engine")) {
    set.engine = static_cast<DataSet::Engine>(
        engine->choice({"stream", "distcp", "exportsnapshot", "auto"}).value_or(0));
  }
  map.finish();
  return set;
}

std::optional<Hook> read_hook(Map& root, std::string_view key) {
  const auto value = root.find(key);
  auto map = value ? value->map() : std::nullopt;
  if (!map) return std::nullopt;
  Hook hook;
  if (const auto run = map->require("run", "the program and its arguments, a list")) {
    hook.argv = run->texts().value_or(std::vector<std::string>{});
    if (run->is_list() && hook.argv.empty()) {
      run->problem(ErrorCode::config_bad_value, "expected a program and its arguments");
    }
  }
  read_duration(*map, "timeout", hook.timeout);
  map->finish();
  return hook;
}

Schedule read_schedule(const Value& value) {
  Schedule schedule;
  auto map = value.map();
  if (!map) return schedule;
  const auto cron = map->find("cron");
  const auto zone = map->find("zone");
  const auto every = map->find("every");
  if (zone) schedule.zone = zone->text().value_or("UTC");
  if (cron) {
    schedule.cron = cron->text().value_or("");
    if (!schedule.cron.empty()) {
      if (const auto parsed = parse_cron(schedule.cron); !parsed) {
        cron->problem(ErrorCode::config_bad_value, parsed.error().what);
        schedule.cron.clear();
      }
    }
  }
  if (!schedule.cron.empty()) {
    // From any start, a line that comes at all comes within the search.
    const auto next = next_moment(schedule, UtcNanos{});
    if (!next) {
      (zone ? *zone : *cron)
          .problem(ErrorCode::config_bad_value, next.error().what, next.error().hint);
    } else if (!*next) {
      cron->problem(ErrorCode::config_bad_value,
                    "the day that `" + schedule.cron + "` asks for never comes");
    }
  } else if (zone && !cron) {
    zone->problem(ErrorCode::config_bad_value, "`zone` belongs to `cron`, which is not here",
                  "`every` and `moments` need none");
  }
  if (every) {
    schedule.every = every->duration(seconds(1), kYear);
    if (cron) {
      every->problem(ErrorCode::config_bad_value, "expected `cron` or `every`, found both");
    }
  }
  if (const auto moments = map->find("moments")) {
    if (const auto list = moments->list()) {
      for (const auto& item : *list) {
        if (const auto instant = item.instant()) schedule.moments.push_back(*instant);
      }
      std::sort(schedule.moments.begin(), schedule.moments.end());
    }
  }
  if (const auto missed = map->find("missed")) {
    if (missed->choice({"run", "skip"}).value_or(0) == 1) schedule.missed = Schedule::Missed::skip;
  }
  map->finish();
  return schedule;
}

std::optional<Drill> read_drill(const Value& value) {
  auto map = value.map();
  if (!map) return std::nullopt;
  Drill drill;
  if (const auto schedule = map->require("schedule", "when the newest point is brought up")) {
    drill.schedule = read_schedule(*schedule);
    const Schedule& when = drill.schedule;
    if (schedule->is_map() && when.cron.empty() && !when.every && when.moments.empty()) {
      schedule->problem(ErrorCode::config_bad_value,
                        "expected `cron`, `every` or `moments`: this never fires");
    }
  }
  if (const auto check = map->require("check", "the program and its arguments, a list")) {
    drill.check = check->texts().value_or(std::vector<std::string>{});
    if (check->is_list() && (drill.check.empty() || drill.check.size() > 100)) {
      check->problem(ErrorCode::config_bad_value, "expected a program and its arguments");
    }
  }
  read_duration(*map, "timeout", drill.timeout);
  read_duration(*map, "max_age", drill.max_age);
  map->finish();
  return drill;
}

Retention read_retention(const Value& value) {
  Retention retention;
  auto map = value.map();
  if (!map) return retention;
  const auto read = [&map](std::string_view key, int& into) {
    if (const auto count = map->find(key)) {
      into = static_cast<int>(count->integer(0, 1'000'000).value_or(0));
    }
  };
  read("last", retention.last);
  read("hourly", retention.hourly);
  read("daily", retention.daily);
  read("weekly", retention.weekly);
  read("monthly", retention.monthly);
  map->finish();
  return retention;
}

void read_limits(Map& root, Policy& policy) {
  read_duration(root, "max_skew", policy.max_skew);
  read_duration(root, "max_lateness", policy.max_lateness);
  read_duration(root, "rpo", policy.rpo);
  read_duration(root, "stall", policy.stall, milliseconds(100));
  read_duration(root, "deadline", policy.deadline, seconds(1));
  if (const auto attempts = root.find("attempts")) {
    policy.attempts = static_cast<int>(attempts->integer(1, 100).value_or(policy.attempts));
  }
  if (const auto pending = root.find("max_pending")) {
    policy.max_pending = static_cast<int>(pending->integer(1, 1000).value_or(policy.max_pending));
  }
  if (const auto bandwidth = root.find("bandwidth")) {
    policy.bandwidth = bandwidth->bytes().value_or(0);
    if (policy.bandwidth > std::numeric_limits<std::int64_t>::max()) policy.bandwidth = 0;
  }
  if (const auto compress = root.find("compress")) {
    policy.compress = compress->boolean().value_or(true);
  }
  if (const auto user_data = root.find("user_data")) {
    policy.user_data = user_data->boolean().value_or(false);
  }
}

Policy read_policy(Map& root) {
  Policy policy;
  if (const auto service = root.require("service", "the service's name")) {
    policy.service = service->name().value_or("");
  }
  if (const auto primary = root.find("primary")) policy.primary = primary->name().value_or("");
  if (const auto mode = root.find("mode")) {
    if (mode->choice({"push", "pull"}).value_or(0) == 1) policy.mode = Mode::pull;
  }
  if (const auto consistency = root.find("consistency")) {
    const auto which = consistency->choice({"fenced", "ordered", "bounded"});
    if (which) policy.consistency = static_cast<Consistency>(*which);
  }
  read_limits(root, policy);
  policy.before = read_hook(root, "before");
  policy.after = read_hook(root, "after");
  if (const auto schedule = root.find("schedule")) policy.schedule = read_schedule(*schedule);
  if (const auto sets = root.require("data_sets", "what is backed up, a list")) {
    if (const auto list = sets->list()) {
      for (const auto& item : *list) {
        if (auto map = item.map()) policy.data_sets.push_back(read_set(*map));
      }
      if (list->empty() || list->size() > 1000) {
        sets->problem(ErrorCode::config_bad_value, "expected 1 to 1000 data sets");
      }
    }
  }
  if (const auto retention = root.find("retention")) policy.retention = read_retention(*retention);
  if (const auto drill = root.find("drill")) policy.drill = read_drill(*drill);
  root.finish();
  return policy;
}

}  // namespace

Result<Policy> parse(const std::string& yaml, const std::string& file) {
  Report report{file};
  LOCKSTEP_TRY(const Value document, config::read_document(yaml, report));
  auto root = document.map();
  if (!root) return report.error();
  Policy policy = read_policy(*root);
  if (!report.clean()) return report.error();
  return policy;
}

}  // namespace lockstep::policy
