#include "services/transfer-agent/guards.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep::transfer {

Result<void> may_delete(const std::vector<PointFacts>& points, const std::string& id, UtcNanos now,
                        Nanos lock, bool even_newest) {
  const auto wanted = std::find_if(points.begin(), points.end(),
                                   [&](const PointFacts& point) { return point.id == id; });
  if (wanted == points.end()) return make_error(ErrorCode::point_missing, "no such point", id);
  const UtcNanos free_at = wanted->sealed_at + lock;
  if (now < free_at) {
    return make_error(ErrorCode::point_locked,
                      fmt::format("the point is locked until {}", to_rfc3339(free_at)), id);
  }
  const PointFacts* newest_good = nullptr;
  for (const auto& point : points) {
    if (point.known_bad) continue;
    if (newest_good == nullptr || newest_good->moment < point.moment ||
        (newest_good->moment == point.moment && newest_good->sealed_at < point.sealed_at)) {
      newest_good = &point;
    }
  }
  if (newest_good == &*wanted && !even_newest) {
    return make_error(ErrorCode::point_last, "this is the service's newest good point", id);
  }
  return {};
}

std::optional<std::string> seal_refusal(const std::optional<std::string>& tombstone,
                                        const std::vector<SealFacts>& sets) {
  if (tombstone) return "the run was dropped here: " + *tombstone;
  for (const auto& set : sets) {
    if (!set.root) return fmt::format("{}: no version of it was received", set.name);
    if (*set.root != set.wanted_root) {
      return fmt::format("{}: the version received has the root {}, the seal names {}", set.name,
                         *set.root, set.wanted_root);
    }
    if (set.entries != set.wanted_entries || set.bytes != set.wanted_bytes) {
      return fmt::format("{}: {} entries and {} bytes were received, the seal names {} and {}",
                         set.name, set.entries, set.bytes, set.wanted_entries, set.wanted_bytes);
    }
    if (set.certified_root != set.wanted_root) {
      return fmt::format("{}: the certificate does not vouch for its root", set.name);
    }
  }
  return std::nullopt;
}

}  // namespace lockstep::transfer
