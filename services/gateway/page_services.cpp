#include "services/gateway/page_services.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "services/gateway/page_parts.hpp"

namespace lockstep::gateway {

using message::Body;

bool has_rpo(const Body& service) { return service.value("rpo_ns", std::int64_t{0}) > 0; }
bool misses(const Body& service) {
  return has_rpo(service) && !service.value("rpo_met", false) && !service.value("paused", false);
}

bool fails(const Body& service) {
  const auto failure = service.find("last_failure");
  if (failure == service.end()) return false;
  const auto point = service.find("newest_point");
  if (point == service.end()) return true;
  const auto failed = parse_rfc3339(failure->value("moment", ""));
  const auto good = parse_rfc3339(point->value("moment", ""));
  return failed && good && *failed > *good;
}

bool drill_overdue(const Body& service) {
  const auto drill = service.find("drill");
  return drill != service.end() && drill->value("max_age_ns", std::int64_t{0}) > 0 &&
         !drill->value("met", false) && !service.value("paused", false);
}

namespace {

// What is known of a service's drills; null: nothing, and none are asked for.
const Body* drills_of(const Body& service) {
  const auto drill = service.find("drill");
  if (drill == service.end()) return nullptr;
  const bool asked_for = drill->value("max_age_ns", std::int64_t{0}) > 0 || drill->contains("next");
  return asked_for || drill->contains("last") ? &*drill : nullptr;
}

using PointsOf = std::map<std::string, std::vector<const Body*>>;

std::string service_state(const Body& service) {
  if (const auto run = service.find("running"); run != service.end()) {
    return chip("warn", text_at(*run, "state"));
  }
  if (service.value("paused", false)) return chip("plain", "paused");
  return fails(service) ? chip("bad", "last run failed") : "";
}

std::string rpo_cell(const Body& service) {
  if (!has_rpo(service)) return "<span class=dim>not stated</span>";
  const Nanos rpo{service.value("rpo_ns", std::int64_t{0})};
  return (service.value("rpo_met", false) ? chip("good", "met") : chip("bad", "missed")) +
         "<small>within " + span_words(rpo) + "</small>";
}

std::string drill_cell(const Body& service, UtcNanos now) {
  const Body* drills = drills_of(service);
  if (drills == nullptr) return "<span class=dim>not asked for</span>";
  std::string out;
  std::string below;
  const auto good = drills->find("last_good");
  if (good == drills->end()) {
    out = "<span class=dim>no good one yet</span>";
  } else {
    if (const auto age = age_of(*good, "ended_at", now)) out = span_words(*age) + " ago";
    below = "up in " + span_words({good->value("recovery_ns", std::int64_t{0})});
  }
  const auto also = [&below](const std::string& text) {
    below += (below.empty() ? "" : ", ") + text;
  };
  if (const auto most = drills->value("max_age_ns", std::int64_t{0}); most > 0) {
    also("within " + span_words({most}));
  }
  const auto last = drills->find("last");
  if (last != drills->end() && last->value("outcome", "") != "good") {
    out += " " + chip("warn", "last: " + text_at(*last, "outcome"));
  }
  if (drill_overdue(service)) out += " " + chip("bad", "overdue");
  return out + (below.empty() ? "" : "<small>" + below + "</small>");
}

std::string service_row(const Body& service, const PointsOf& all, bool with_drills, UtcNanos now) {
  const auto point = service.find("newest_point");
  std::string newest = "<span class=dim>none</span>";
  if (point != service.end()) {
    const auto age = age_of(*point, "moment", now);
    newest = (age ? span_words(*age) + " ago" : "") + "<small>" +
             size_words(point->value("bytes", std::uint64_t{0})) + ", skew " +
             span_words({point->value("skew_ns", std::int64_t{0})}) + "</small>";
  }
  std::vector<const Body*> points;
  if (const auto found = all.find(service.value("service", "")); found != all.end()) {
    points = found->second;
  } else if (point != service.end()) {
    points.push_back(&*point);
  }
  const std::string next = text_at(service, "next_moment");
  return fmt::format(
      "<tr><td "
      "class=name>{}<small>{}{}</small></td><td>{}</td><td data-of=\"Newest point: \">{}</td><td "
      "data-of=\"RPO: \">{}</td>{}<td>{}</td></tr>",
      text_at(service, "service"), text_at(service, "mode"),
      next.empty() ? ", by hand" : ", next " + next.substr(0, 10) + " " + next.substr(11, 5),
      service_state(service), newest, rpo_cell(service),
      with_drills ? "<td data-of=\"Last good drill: \">" + drill_cell(service, now) + "</td>" : "",
      timeline(points, now, {service.value("rpo_ns", std::int64_t{0})}, drills_of(service)));
}

}  // namespace

std::string services_table(const Shown& shown, UtcNanos now) {
  const Body& list = shown.status["services"];
  if (list.empty()) return {};
  // Many services: fewer points of each, so that the page stays small.
  const std::size_t most = list.size() > 200 ? 12 : list.size() > 50 ? 24 : 80;
  PointsOf points;
  for (const auto& point : shown.points) {
    auto& own = points[point.value("service", "")];
    if (own.size() < most) own.push_back(&point);
  }
  // What needs somebody comes first.
  std::vector<const Body*> rows;
  for (const auto& service : list) rows.push_back(&service);
  std::stable_sort(rows.begin(), rows.end(), [](const Body* left, const Body* right) {
    const auto rank = [](const Body& one) {
      return misses(one) ? 0 : fails(one) ? 1 : drill_overdue(one) ? 2 : 3;
    };
    return rank(*left) < rank(*right);
  });
  // A site that has never heard of drills has no column of them.
  const bool with_drills = std::any_of(rows.begin(), rows.end(),
                                       [](const Body* one) { return drills_of(*one) != nullptr; });
  std::string out = fmt::format(
      "<h2>Services</h2><div class=scroll><table "
      "class=services><thead><tr><th>Service<th>State<th>Newest point"
      "<th>RPO{}<th>Recovery points, now at the right</thead><tbody>",
      with_drills ? "<th>Last good drill" : "");
  for (const Body* service : rows) out += service_row(*service, points, with_drills, now);
  return out +
         fmt::format(
             "</tbody></table></div><p class=key><i class=good></i>verified<i class=unread></i>not "
             "verified yet<i class=bad></i>damaged{}<i class=within></i>within the RPO; the "
             "higher, the larger</p>",
             with_drills ? "<i class=drilled></i>drilled" : "");
}

}  // namespace lockstep::gateway
