#include "services/gateway/page_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "common/message/bytes.hpp"

namespace lockstep::gateway {

namespace {

using message::Body;

constexpr double kWidth = 290;
constexpr double kHeight = 40;
constexpr double kAbove = 6;  // for the mark of a drill
constexpr double kBar = 5;

Nanos span_at(const Body& object, const char* key) { return {object.value(key, std::int64_t{0})}; }

const char* verdict_of(const Body& point) {
  const auto ok = point.find("verified_ok");
  if (ok == point.end()) return "unread";
  return ok->get<bool>() ? "good" : "bad";
}

// The drill of `drills` that brought this point up: the last one, or the last good one.
const Body* drill_of(const Body& point, const Body* drills) {
  if (drills == nullptr) return nullptr;
  for (const char* which : {"last", "last_good"}) {
    const auto drill = drills->find(which);
    if (drill != drills->end() && drill->value("point", "") == point.value("id", ""))
      return &*drill;
  }
  return nullptr;
}

std::string told(const Body& point, const Body* drill) {
  std::string out = fmt::format("{}\nskew {}, {}, {} entries", text_at(point, "moment"),
                                span_words(span_at(point, "skew_ns")),
                                size_words(point.value("bytes", std::uint64_t{0})),
                                point.value("entries", std::uint64_t{0}));
  const auto moment = parse_rfc3339(point.value("moment", ""));
  const auto sealed = parse_rfc3339(point.value("sealed_at", ""));
  if (moment && sealed) out += ", sealed after " + span_words(*sealed - *moment);
  if (drill != nullptr) {
    out += "\ndrilled at " + text_at(*drill, "ended_at") + ": " + text_at(*drill, "outcome");
    if (drill->contains("recovery_ns")) {
      out += ", up in " + span_words(span_at(*drill, "recovery_ns"));
    }
  }
  const auto ok = point.find("verified_ok");
  if (ok == point.end()) return out + "\nnot verified yet";
  return out + (ok->get<bool>() ? "\nverified at " : "\nDAMAGED, found at ") +
         text_at(point, "verified_at");
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : message::show(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string text_at(const Body& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return {};
  return escaped(found->get_ref<const std::string&>());
}

std::string chip(const char* kind, const std::string& text) {
  return fmt::format("<span class=\"chip {}\">{}</span>", kind, text);
}

std::string span_words(Nanos span) {
  const std::int64_t count = std::max<std::int64_t>(span.count, 0);
  if (count < 1'000'000) return fmt::format("{} µs", count / 1000);
  if (count < 1'000'000'000) return fmt::format("{:.1f} ms", static_cast<double>(count) * 1e-6);
  const std::int64_t s = count / 1'000'000'000;
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min", s / 60);
  const auto two = [](std::int64_t first, const char* unit, std::int64_t second,
                      const char* below) {
    return second == 0 ? fmt::format("{} {}", first, unit)
                       : fmt::format("{} {} {} {}", first, unit, second, below);
  };
  if (s < 86400) return two(s / 3600, "h", s % 3600 / 60, "min");
  return two(s / 86400, "d", s % 86400 / 3600, "h");
}

std::string size_words(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::optional<Nanos> age_of(const Body& object, const char* key, UtcNanos now) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  const auto instant = parse_rfc3339(found->get_ref<const std::string&>());
  if (!instant) return std::nullopt;
  return now - *instant;
}

std::string timeline(const std::vector<const Body*>& points, UtcNanos now, Nanos rpo,
                     const Body* drills) {
  if (points.empty()) return "<span class=dim>no point yet</span>";
  Nanos window = std::max(Nanos{rpo.count * 2}, seconds(60));
  double largest = 1;
  for (const Body* point : points) {
    largest = std::max(largest, static_cast<double>(point->value("bytes", std::uint64_t{0})));
    if (const auto age = age_of(*point, "moment", now)) window = std::max(window, *age);
  }
  const auto place = [&](Nanos age) {
    const double share = static_cast<double>(age.count) / static_cast<double>(window.count);
    return (kWidth - kBar) * (1 - std::clamp(share, 0.0, 1.0));
  };
  std::string out =
      fmt::format("<svg viewBox=\"0 0 {0} {1}\" role=img aria-label=\"{2} points in {3}\">", kWidth,
                  kHeight, points.size(), span_words(window));
  if (rpo.count > 0) {
    const double x = place(rpo);
    out += fmt::format("<rect class=within x=\"{:.1f}\" y=0 width=\"{:.1f}\" height=\"{}\"/>", x,
                       kWidth - x, kHeight);
  }
  out += fmt::format("<path class=axis d=\"M0 {0}H{1}\"/>", kHeight - 0.5, kWidth);
  for (auto it = points.rbegin(); it != points.rend(); ++it) {
    const Body& point = **it;
    const auto age = age_of(point, "moment", now);
    if (!age) continue;
    const double bytes = static_cast<double>(point.value("bytes", std::uint64_t{0}));
    const double height = 6 + (kHeight - kAbove - 8) * std::sqrt(bytes / largest);
    const Body* drill = drill_of(point, drills);
    out += fmt::format(
        "<rect class={} x=\"{:.1f}\" y=\"{:.1f}\" width={} height=\"{:.1f}\" "
        "rx=1.5><title>{}</title></rect>",
        verdict_of(point), place(*age), kHeight - 1 - height, kBar, height, told(point, drill));
    if (drill == nullptr) continue;
    out += fmt::format("<circle class=drilled cx=\"{:.1f}\" cy=\"{:.1f}\" r=2.6 />",
                       place(*age) + kBar / 2, kHeight - 1 - height - 4);
  }
  return out + "</svg>";
}

}  // namespace lockstep::gateway
