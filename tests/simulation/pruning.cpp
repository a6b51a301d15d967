#include "tests/simulation/pruning.hpp"

#include <algorithm>
#include <vector>

#include "services/scheduler/retention.hpp"

namespace lockstep::simulation {
namespace {

constexpr Span kAgain = 30 * kSecond;

std::vector<scheduler::Sorted> sorted(const TransferAgent& registrar, const std::string& service,
                                      const policy::Retention& rules) {
  std::vector<scheduler::KeptPoint> points;
  for (const auto& [run, point] : registrar.points()) {
    if (point.service == service) points.push_back({run, UtcNanos{point.moment}, point.good});
  }
  auto made = scheduler::sort_points(std::move(points), rules, "UTC");
  return made ? std::move(*made) : std::vector<scheduler::Sorted>{};
}

}  // namespace

void Pruning::later(Span span, std::function<void()> happening) {
  world_.after(span, [this, life = life_, happening = std::move(happening)] {
    if (life == life_) happening();
  });
}

void Pruning::completed(const std::string& service) {
  later(world_.between(kMillisecond, kSecond), [this, service] { prune(service); });
}

void Pruning::scheduler_started() {
  ++life_;
  for (const auto& [service, rule] : rules) completed(service);
}

void Pruning::prune(const std::string& service) {
  const auto again = [this, service] { later(kAgain, [this, service] { prune(service); }); };
  // The list, and its answer.
  if (!registrar_.up() || world_.mishap(wire_.loss) || world_.mishap(wire_.loss)) return again();
  bool any = false;
  for (const auto& point : sorted(registrar_, service, rules.at(service))) {
    if (point.keep) continue;
    any = true;
    const int copies = world_.mishap(wire_.loss) ? 0 : world_.mishap(wire_.repeat) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
      // Whether or not the scheduler still lives when it arrives.
      world_.after(world_.between(50'000, wire_.latest),
                   [this, id = point.id] { registrar_.delete_point(id); });
    }
  }
  // Lost, refused while it was locked, or done: the next look will tell.
  if (any) again();
}

void Pruning::check() const {
  for (const auto& [service, rule] : rules) {
    for (const auto& point : sorted(registrar_, service, rule)) {
      if (!point.keep) world_.violated(point.id + " outlived its retention");
    }
    // All that ever were, newest first: the newest `last` good ones never go.
    std::vector<std::pair<Instant, std::string>> good;
    for (const auto* points : {&registrar_.points(), &registrar_.deleted()}) {
      for (const auto& [run, point] : *points) {
        if (point.service == service && point.good) good.emplace_back(point.moment, run);
      }
    }
    std::sort(good.rbegin(), good.rend());
    const auto stay = std::min(good.size(), static_cast<std::size_t>(std::max(1, rule.last)));
    for (std::size_t i = 0; i < stay; ++i) {
      if (registrar_.deleted().contains(good[i].second))
        world_.violated(good[i].second + " was deleted and is one of the newest " +
                        std::to_string(stay) + " of " + service);
    }
  }
}

}  // namespace lockstep::simulation
