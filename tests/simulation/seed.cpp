#include "tests/simulation/seed.hpp"

#include <algorithm>

#include "tests/simulation/agents.hpp"
#include "tests/simulation/control.hpp"
#include "tests/simulation/pruning.hpp"

namespace lockstep::simulation {
namespace {

struct Site {
  explicit Site(std::uint64_t seed, bool telling) : world(seed, telling) {}

  World world;
  Wire wire{world};
  Truth truth;
  Host control_host, north_host, north_other_host, south_host;
  SnapshotAgent north{world, wire, truth, "north-snapshot", north_host};
  SnapshotAgent north_other{world, wire, truth, "north-other", north_other_host};
  TransferAgent sender{world, wire, truth, "north-transfer", north_host};
  TransferAgent receiver{world, wire, truth, "south-transfer", south_host};
  Control control{world, wire, control_host};
  Pruning pruning{world, wire, receiver};

  std::vector<SimulatedAgent*> all() { return {&north, &north_other, &sender, &receiver}; }
};

run::Plan plan_by_chance(World& world, const std::string& service) {
  run::Plan plan;
  plan.service = service;
  plan.mode = world.likely(0.5) ? run::Mode::push : run::Mode::pull;
  plan.consistency = static_cast<run::Consistency>(world.between(0, 2));
  plan.sender = "north-transfer";
  plan.receiver = plan.registrar = "south-transfer";
  plan.deadline = (world.likely(0.3) ? world.between(10, 120) : 1200) * kSecond;
  plan.attempts = static_cast<int>(world.between(1, 3));
  plan.catch_up = world.likely(0.5);
  plan.lease = world.likely(0.1) ? kSecond : 60 * kSecond;
  const int sets = static_cast<int>(world.between(1, 4));
  const int unfenced = static_cast<int>(world.between(-1, sets - 1));
  for (int i = 0; i < sets; ++i) {
    run::Member member;
    member.name = service + std::to_string(i);
    member.agent = world.likely(0.5) ? "north-snapshot" : "north-other";
    member.fenced =
        plan.consistency == run::Consistency::fenced ? i != unfenced : world.likely(0.3);
    if (plan.consistency == run::Consistency::ordered)
      for (int j = 0; j < i; ++j)
        if (world.likely(0.5)) member.refers_to.push_back(service + std::to_string(j));
    plan.members.push_back(member);
  }
  return plan;
}

void set_up_clocks(Site& site) {
  World& world = site.world;
  const bool one_host = world.likely(0.5);
  int number = 0;
  for (Host* host :
       {&site.control_host, &site.north_host, &site.north_other_host, &site.south_host}) {
    host->boot_id = one_host ? "boot" : "boot" + std::to_string(++number);
    host->error = one_host ? 40 * kMillisecond : world.between(1, 5) * kMillisecond;
    host->off = one_host ? 0 : world.between(-host->error, host->error);
  }
  if (!world.likely(0.3)) return;
  // Somebody sets a clock wrong, and right again later. Hosts of one boot id have one clock.
  std::vector<Host*> hosts = {&site.north_host, &site.north_other_host};
  if (one_host)
    hosts = {&site.control_host, &site.north_host, &site.north_other_host, &site.south_host};
  else
    hosts.erase(hosts.begin() + world.between(0, 1));
  for (int n = 0; n < 4; ++n) {
    const Instant when = world.now() + world.between(0, 300 * kSecond);
    const Span by = world.between(20, 900) * kMillisecond * (world.likely(0.5) ? 1 : -1);
    const auto set = [&world, hosts](Span step) {
      world.tell("clock", "is set by " + std::to_string(step / kMillisecond) + " ms");
      for (Host* host : hosts) {
        host->off += step;
        host->error += std::abs(step);
      }
    };
    const auto unset = [&world, hosts](Span step) {
      world.tell("clock", "is set right again");
      for (Host* host : hosts) {
        host->off -= step;
        host->error -= std::abs(step);
      }
    };
    world.at(when, [set, by] { set(by); });
    world.at(when + world.between(kMillisecond, 60 * kSecond), [unset, by] { unset(by); });
  }
}

// The identity epoch is raised: at the secondary's registrar first, where no publishing is under
// way then; the others, and the scheduler, learn of it at some time, or by what is asked of them.
void set_up_promotion(Site& site) {
  World& world = site.world;
  const Instant when = world.now() + world.between(kSecond, 300 * kSecond);
  world.at(when, [&site] { site.receiver.learn_epoch(2); });
  world.at(when + world.between(0, 60 * kSecond), [&site] { site.control.learn_epoch(2); });
  for (SimulatedAgent* agent : site.all()) {
    world.at(when + world.between(0, 60 * kSecond), [agent] { agent->learn_epoch(2); });
  }
}

void set_up_mishaps(Site& site) {
  World& world = site.world;
  site.wire.loss = world.likely(0.5) ? 0 : world.likely(0.5) ? 0.02 : 0.2;
  site.wire.repeat = world.likely(0.5) ? 0 : 0.1;
  site.wire.latest = world.likely(0.8) ? 2 * kMillisecond : 1500 * kMillisecond;
  site.control.crash_at_write = world.likely(0.4) ? 0 : world.likely(0.7) ? 0.02 : 0.15;
  const double at_write = world.likely(0.5) ? 0 : world.likely(0.7) ? 0.02 : 0.15;
  for (SimulatedAgent* agent : site.all()) agent->crash_at_write = at_write;
  for (SnapshotAgent* agent : {&site.north, &site.north_other}) {
    agent->pin_fails = world.likely(0.7) ? 0 : 0.1;
    agent->fence_breaks = world.likely(0.7) ? 0 : 0.2;
  }
  for (TransferAgent* agent : {&site.sender, &site.receiver})
    agent->transfer_fails = world.likely(0.7) ? 0 : 0.3;
  const auto crashes = world.likely(0.5) ? 0 : world.between(1, 8);
  for (int n = 0; n < crashes; ++n) {
    SimulatedAgent* agent = site.all()[static_cast<std::size_t>(world.between(0, 3))];
    const Span away = world.likely(0.15) ? world.between(300, 1500) * kSecond
                                         : world.between(kSecond / 10, 30 * kSecond);
    world.after(world.between(0, 300 * kSecond), [agent, away] { agent->crash(away); });
  }
  site.receiver.points_are_damaged = world.likely(0.8) ? 0 : 0.3;
  site.receiver.lock = world.likely(0.8) ? 0 : world.between(1, 200) * kSecond;
  if (world.likely(0.2)) set_up_promotion(site);
  if (world.likely(0.2))
    world.after(world.between(0, 200 * kSecond), [&site] { site.control.abort_something(); });
  if (world.likely(0.1)) {
    world.after(world.between(0, 200 * kSecond),
                [&site, &world] { site.control.crash(world.between(kSecond, 200 * kSecond)); });
  }
}

void check_point(Site& site, const run::State& state, const Point& point) {
  World& world = site.world;
  const run::Plan& plan = state.plan;
  Instant last_raised = 0, first_lowered = 0, first_pin = 0, last_pin = 0, last_shown = 0;
  int unfenced = 0;
  for (const run::Member& member : plan.members) {
    const Truth::RunSet which{plan.run, member.name};
    if (!point.sets.contains(member.name)) world.violated(plan.run + " is a partial point");
    const TrueSpan pin = site.truth.pins.at(which);
    first_pin = first_pin == 0 ? pin.from : std::min(first_pin, pin.from);
    last_pin = std::max(last_pin, pin.to);
    last_shown = std::max(last_shown, site.truth.shown_until.at(which));
    for (const std::string& referee : member.refers_to) {
      if (plan.consistency == run::Consistency::ordered &&
          pin.to >= site.truth.pins.at({plan.run, referee}).from)
        world.violated(plan.run + ": " + member.name + " was truly pinned after " + referee);
    }
    const auto fence = site.truth.fences.find(which);
    if (fence == site.truth.fences.end()) {
      ++unfenced;
      continue;
    }
    if (fence->second.from > pin.from || fence->second.to < pin.to)
      world.violated(plan.run + ": " + member.name + " could be written while it was pinned");
    last_raised = std::max(last_raised, fence->second.from);
    first_lowered =
        first_lowered == 0 ? fence->second.to : std::min(first_lowered, fence->second.to);
  }
  if (last_shown - first_pin > plan.max_skew)
    world.violated(plan.run + ": the true skew is beyond max_skew");
  if (state.verdict && last_shown - first_pin > state.verdict->skew)
    world.violated(plan.run + ": the true skew is beyond the certified one");
  if (plan.consistency == run::Consistency::fenced) {
    if (unfenced > 1) world.violated(plan.run + ": more than one set without a fence");
    if (last_raised >= first_pin) world.violated(plan.run + ": a pin before the last fence");
    if (first_lowered != 0 && first_lowered <= last_pin)
      world.violated(plan.run + ": a fence fell before the last pin");
  }
}

void check_end(Site& site, Outcome& outcome) {
  World& world = site.world;
  const auto states = site.control.recovered();
  std::map<std::string, std::pair<Instant, std::string>> newest;  // service: its newest point
  for (const auto& [name, state] : states) {
    // Deleted ones had to be right as well.
    const auto kept = site.receiver.points().find(name);
    const auto deleted = site.receiver.deleted().find(name);
    const bool was_deleted = deleted != site.receiver.deleted().end();
    const bool has_point = was_deleted || kept != site.receiver.points().end();
    const auto point = was_deleted ? deleted : kept;
    if (was_deleted) ++outcome.ended["pruned"];
    if (!run::terminal(state.phase))
      world.violated(name + " ends in " + run::phase_name(state.phase));
    if (run::has_chores(state)) world.violated(name + " leaves something untold");
    if (has_point != (state.phase == run::Phase::complete))
      world.violated(name + " is " + run::phase_name(state.phase) +
                     (has_point ? " and has a point" : " and has no point"));
    if (has_point) {
      check_point(site, state, point->second);
      ++outcome.points;
      auto& best = newest[state.plan.service];
      best = std::max(best, {state.moment, name});
    }
    ++outcome.ended[run::phase_name(state.phase)];
    if (state.failure) ++outcome.ended[state.failure->code];
  }
  for (const SnapshotAgent* agent : {&site.north, &site.north_other}) {
    for (const auto& [which, pin] : agent->pins()) {
      const auto base = agent->bases().find(pin.service);
      if (base == agent->bases().end() || base->second != which.first)
        world.violated("a pin without a hold: " + which.first + "/" + which.second);
    }
    for (const auto& [service, run] : agent->bases())
      if (newest[service].second != run)
        world.violated("the base of " + service + " is not its newest point");
    if (agent->fences_up()) world.violated("a fence outlived its run at " + agent->name());
  }
  for (const auto& [name, point] : site.receiver.staged())
    if (!site.receiver.points().contains(name) && !site.receiver.deleted().contains(name))
      world.violated("staging left behind: " + name);
  site.pruning.check();
  for (const auto& [which, times] : site.truth.pinned)
    if (times > 1) world.violated(which.first + "/" + which.second + " was pinned twice");
  for (const auto& [name, times] : site.truth.transferred)
    if (times > 1) world.violated(name + " was transferred twice");
  for (const auto& [name, times] : site.truth.sealed)
    if (times > 1) world.violated(name + " was sealed twice");
}

}  // namespace

Outcome live(std::uint64_t seed, bool telling) {
  Site site(seed, telling);
  World& world = site.world;
  world.heal_at = world.now() + 400 * kSecond;
  site.wire.agents = {{"north-snapshot", &site.north},
                      {"north-other", &site.north_other},
                      {"north-transfer", &site.sender},
                      {"south-transfer", &site.receiver}};
  site.wire.to_control = [&site](const Reply& reply) { site.control.receive(reply); };
  for (TransferAgent* agent : {&site.sender, &site.receiver}) {
    agent->sources = {&site.north, &site.north_other};
    agent->sender = &site.sender;
    agent->receiver = &site.receiver;
  }
  set_up_clocks(site);
  set_up_mishaps(site);
  site.control.per_cluster = static_cast<int>(world.between(1, 2));
  for (const char* name : {"orders", "stock"}) {
    ServiceSchedule service;
    service.plan = plan_by_chance(world, name);
    service.clusters = {"north", "south"};
    service.max_pending = static_cast<int>(world.between(0, 3));
    Instant moment = world.now() + world.between(3, 20) * kSecond;
    for (auto left = world.between(1, 5); left > 0; --left) {
      service.moments.push_back(moment);
      moment += world.between(1, 90) * kSecond;
    }
    site.control.services.push_back(service);
    policy::Retention& rule = site.pruning.rules[name];
    rule.last = static_cast<int>(world.between(0, 3));
  }
  site.control.on_complete = [&site](const std::string& name) { site.pruning.completed(name); };
  site.control.on_start = [&site] { site.pruning.scheduler_started(); };
  site.control.on_death = [&site] { site.pruning.scheduler_died(); };
  site.control.start();

  Outcome outcome;
  if (!world.run(world.now() + 6 * 3600 * kSecond))
    world.violated("the world does not come to rest");
  if (world.violations.empty()) check_end(site, outcome);
  outcome.violations = world.violations;
  outcome.story = world.story;
  return outcome;
}

}  // namespace lockstep::simulation
