#include "services/gateway/metrics.hpp"

#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <sstream>

namespace lockstep::gateway {

namespace {

using message::Body;
using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

double in_seconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }
double in_seconds(UtcNanos instant) { return in_seconds(instant.count); }

// Of a span in an event's data.
double span(const Body& data, const char* key) {
  return in_seconds(data.value(key, std::int64_t{0}));
}

const prometheus::Histogram::BucketBoundaries kPinBuckets{0.0001, 0.001, 0.01, 0.05, 0.1, 0.25,
                                                          0.5,    1,     2.5,  5,    30};
const prometheus::Histogram::BucketBoundaries kRunBuckets{1,   5,    15,   60,    300,
                                                          900, 3600, 7200, 21600, 86400};

class Families {
 public:
  Families(std::vector<MetricFamily>& out) : out_(out) {}

  // As another process counted it: `counts[i]` up to `bounds[i]`, the last one above all.
  void add_histogram(const char* name, const char* help, const std::vector<double>& bounds,
                     const std::vector<std::uint64_t>& counts, double sum, Labels labels) {
    MetricFamily& family = find(name, help, MetricType::Histogram);
    ClientMetric metric;
    metric.label = std::move(labels);
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      so_far += counts[i];
      const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
      metric.histogram.bucket.push_back({so_far, bound});
    }
    metric.histogram.sample_count = so_far;
    metric.histogram.sample_sum = sum;
    family.metric.push_back(std::move(metric));
  }

  void add(const char* name, const char* help, double value, Labels labels = {},
           MetricType type = MetricType::Gauge) {
    MetricFamily& family = find(name, help, type);
    ClientMetric metric;
    metric.label = std::move(labels);
    if (type == MetricType::Counter) {
      metric.counter.value = value;
    } else {
      metric.gauge.value = value;
    }
    family.metric.push_back(std::move(metric));
  }

 private:
  MetricFamily& find(const char* name, const char* help, MetricType type) {
    for (auto& family : out_) {
      if (family.name == name) return family;
    }
    out_.push_back({name, help, type, {}});
    return out_.back();
  }

  std::vector<MetricFamily>& out_;
};

// The instant at `key`, in seconds since 1970, where it stands there.
std::optional<double> instant_of(const Body& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  const auto instant = parse_rfc3339(found->get_ref<const std::string&>());
  if (!instant) return std::nullopt;
  return in_seconds(*instant);
}

void add_drills(Families& families, const Body& drill, UtcNanos now, const Labels& labels) {
  if (const auto age = drill.value("max_age_ns", std::int64_t{0}); age > 0) {
    families.add("lockstep_drill_max_age_seconds",
                 "How old the policy lets the last good drill become.", in_seconds(age), labels);
    families.add("lockstep_drill_met",
                 "1 where the last good drill, or the day drills were asked for, is not older.",
                 drill.value("met", false) ? 1 : 0, labels);
  }
  const auto good = drill.find("last_good");
  if (good == drill.end()) return;
  if (const auto ended = instant_of(*good, "ended_at")) {
    families.add("lockstep_drill_age_seconds", "Since the end of the last good drill.",
                 in_seconds(now) - *ended, labels);
  }
  families.add("lockstep_drill_recovery_seconds",
               "How long the last good drill took to bring the point up.",
               span(*good, "recovery_ns"), labels);
}

void add_service(Families& families, const Body& service, UtcNanos now) {
  const Labels labels{{"service", service.value("service", "")}};
  if (const auto rpo = service.value("rpo_ns", std::int64_t{0}); rpo > 0) {
    families.add("lockstep_rpo_seconds", "The policy's recovery point objective.", in_seconds(rpo),
                 labels);
    families.add("lockstep_rpo_met", "1 where the newest good point is not older than the RPO.",
                 service.value("rpo_met", false) ? 1 : 0, labels);
  }
  families.add("lockstep_policy_paused", "1 where the service's policy is paused.",
               service.value("paused", false) ? 1 : 0, labels);
  families.add("lockstep_run_running", "1 while a run of the service is under way.",
               service.contains("running") ? 1 : 0, labels);
  families.add("lockstep_pins_pending", "Runs that wait for the other cluster, their pins kept.",
               static_cast<double>(service.value("pending", std::uint64_t{0})), labels);
  if (const auto point = service.find("newest_point"); point != service.end()) {
    if (const auto moment = instant_of(*point, "moment")) {
      families.add("lockstep_point_age_seconds",
                   "Since the moment of the newest good recovery point.", in_seconds(now) - *moment,
                   labels);
    }
    if (const auto sealed = instant_of(*point, "sealed_at")) {
      families.add("lockstep_last_success_timestamp_seconds",
                   "When the newest good recovery point was sealed.", *sealed, labels);
    }
    families.add("lockstep_point_bytes", "Size of the newest good recovery point.",
                 static_cast<double>(point->value("bytes", std::uint64_t{0})), labels);
    families.add("lockstep_point_skew_seconds", "Skew of the newest good recovery point.",
                 span(*point, "skew_ns"), labels);
    if (const auto verified = instant_of(*point, "verified_at")) {
      families.add("lockstep_point_verified_timestamp_seconds",
                   "When the newest good recovery point was verified.", *verified, labels);
    }
  }
  if (const auto drill = service.find("drill"); drill != service.end()) {
    add_drills(families, *drill, now, labels);
  }
  if (const auto failure = service.find("last_failure"); failure != service.end()) {
    const auto ended = instant_of(*failure, "ended_at");
    if (const auto at = ended ? ended : instant_of(*failure, "started_at")) {
      families.add("lockstep_last_failure_timestamp_seconds", "When a run of it last failed.", *at,
                   labels);
    }
  }
}

void add_clock(Families& families, const Body& part, const std::string& name) {
  const auto clock = part.find("clock");
  if (clock == part.end()) return;
  const Labels labels{{"party", name}};
  families.add("lockstep_clock_synchronised", "1 where the host's clock is synchronised.",
               clock->value("synchronised", false) ? 1 : 0, labels);
  families.add("lockstep_clock_error_seconds", "What the host's clock may be wrong by.",
               span(*clock, "error_ns"), labels);
  families.add("lockstep_clock_fit", "1 where runs may compare the host's clock with others.",
               clock->value("fit", false) ? 1 : 0, labels);
  if (const auto apart = clock->find("apart_ns"); apart != clock->end()) {
    const auto least = apart->at(0).get<std::int64_t>();
    families.add("lockstep_clock_offset_seconds",
                 "By how much the host's clock was measured to be ahead of the control device's.",
                 in_seconds(least + (apart->at(1).get<std::int64_t>() - least) / 2), labels);
  }
}

void add_clusters(Families& families, const Shown& shown) {
  if (!shown.client.is_object()) return;
  families.add("lockstep_health_monitor_up", "1 while the health-monitor answers the gateway.",
               shown.client_known ? 1 : 0);
  for (const auto& cluster : shown.client["clusters"]) {
    const std::string name = cluster.value("name", "");
    families.add("lockstep_cluster_healthy", "1 for a cluster that its client sees healthy.",
                 cluster.value("health", "") == "healthy" ? 1 : 0, {{"cluster", name}});
    families.add("lockstep_application_client", "1 for the cluster that applications are to use.",
                 shown.client.value("application", "") == name ? 1 : 0, {{"cluster", name}});
  }
  families.add("lockstep_two_primaries", "1 while both clusters claim to be the primary.",
               shown.client.value("two_primaries", false) ? 1 : 0);
}

void add_pings(Families& families, const std::map<std::string, Body>& pings) {
  for (const auto& [name, ping] : pings) {
    families.add("lockstep_service_up", "1 for a service that answered the gateway's last ping.",
                 ping.is_object() ? 1 : 0, {{"source", name}});
    if (!ping.is_object()) continue;
    const auto journal = ping.find("journal");
    if (journal == ping.end()) continue;  // of the version before
    std::vector<double> bounds;
    for (const auto& bound : journal->at("bounds_ns")) {
      bounds.push_back(in_seconds(bound.get<std::int64_t>()));
    }
    const auto counts = journal->at("counts").get<std::vector<std::uint64_t>>();
    if (counts.size() != bounds.size() + 1 || !std::is_sorted(bounds.begin(), bounds.end())) {
      continue;
    }
    families.add_histogram("lockstep_journal_write_seconds",
                           "Transactions of a service's journal, to the disk.", bounds, counts,
                           span(*journal, "total_ns"), {{"source", name}});
  }
}

void add_users(Families& families, const Body& status) {
  const auto users = status.find("users");
  if (users == status.end() || !users->contains("ended_at")) return;
  families.add("lockstep_users_applied",
               "1 where the last time that user data was to be applied it was.",
               users->contains("error") ? 0 : 1);
  if (const auto good = instant_of(*users, "good_at")) {
    families.add("lockstep_users_last_success_timestamp_seconds",
                 "When user data was last applied to its end, or found to be as it should.", *good);
  }
}

// By service, of the points that there are: unlike a count of events it neither begins at what it
// should tell of, nor forgets it.
void add_damaged(Families& families, const Shown& shown) {
  std::map<std::string, std::size_t> damaged;
  for (const auto& service : shown.status["services"]) damaged[service.value("service", "")] = 0;
  for (const auto& point : shown.points) {
    damaged[point.value("service", "")] += point.value("verified_ok", true) ? 0 : 1;
  }
  for (const auto& [service, count] : damaged) {
    families.add("lockstep_points_damaged", "Recovery points that were found damaged.",
                 static_cast<double>(count), {{"service", service}});
  }
}

void add_feed(Families& families, const Feed& feed, const ReplayCounts& replays) {
  const auto counter = [&](const char* name, const char* help, std::uint64_t value,
                           Labels labels = {}) {
    families.add(name, help, static_cast<double>(value), std::move(labels), MetricType::Counter);
  };
  const ConnectionCounts now = feed.connections();
  families.add("lockstep_feed_subscribers", "Connections to the event feed.",
               static_cast<double>(now.connected));
  families.add("lockstep_feed_subscribers_behind", "Of these, slow or frozen.",
               static_cast<double>(now.behind));
  counter("lockstep_feed_connections_total", "Connections accepted.", now.accepted);
  constexpr const char* kTrouble = "lockstep_feed_troubled_total";
  constexpr const char* kTroubleHelp = "Subscribers that misbehaved, by kind.";
  counter(kTrouble, kTroubleHelp, now.slow, {{"kind", "slow"}});
  counter(kTrouble, kTroubleHelp, now.frozen, {{"kind", "frozen"}});
  counter(kTrouble, kTroubleHelp, now.flooding, {{"kind", "flooding"}});
  counter(kTrouble, kTroubleHelp, now.malformed, {{"kind", "malformed"}});
  counter(kTrouble, kTroubleHelp, now.refused, {{"kind", "refused"}});
  counter("lockstep_feed_events_total", "Events published on the feed.", feed.published());
  counter("lockstep_feed_events_left_out_total",
          "Events not published because the feed was far behind; they can be asked for.",
          feed.left_out());
  counter("lockstep_feed_replays_total", "Answers to feed.since.", replays.answered);
  counter("lockstep_feed_replayed_events_total", "Events in these answers.", replays.events);
  counter("lockstep_feed_replay_gaps_total", "Answers that told of a gap.", replays.gaps);
}

}  // namespace

Metrics::Metrics()
    : events_(prometheus::BuildCounter()
                  .Name("lockstep_events_total")
                  .Help("Events of each source.")
                  .Register(registry_)),
      runs_(prometheus::BuildCounter()
                .Name("lockstep_runs_total")
                .Help("Runs that ended, by how.")
                .Register(registry_)),
      missed_(prometheus::BuildCounter()
                  .Name("lockstep_moments_missed_total")
                  .Help("Scheduled moments that passed without a run.")
                  .Register(registry_)),
      fences_undone_(prometheus::BuildCounter()
                         .Name("lockstep_fences_undone_total")
                         .Help("Fences that an agent had to undo.")
                         .Register(registry_)),
      verifications_(prometheus::BuildCounter()
                         .Name("lockstep_verifications_total")
                         .Help("Points that were read again, by result.")
                         .Register(registry_)),
      drills_(prometheus::BuildCounter()
                  .Name("lockstep_drills_total")
                  .Help("Drills that ended, by outcome, and those that were missed.")
                  .Register(registry_)),
      skew_(prometheus::BuildHistogram()
                .Name("lockstep_skew_seconds")
                .Help("Skew of the points that were made.")
                .Register(registry_)),
      lateness_(prometheus::BuildHistogram()
                    .Name("lockstep_lateness_seconds")
                    .Help("Distance of their pins to the moment.")
                    .Register(registry_)),
      window_(prometheus::BuildHistogram()
                  .Name("lockstep_pin_window_seconds")
                  .Help("From the first pin's request to the last one's acknowledgement.")
                  .Register(registry_)),
      fence_(prometheus::BuildHistogram()
                 .Name("lockstep_fence_seconds")
                 .Help("How long the writers of a data set were held.")
                 .Register(registry_)),
      sent_(prometheus::BuildCounter()
                .Name("lockstep_sent_bytes_total")
                .Help("Bytes that went between the clusters for the points that were made.")
                .Register(registry_)),
      sent_again_(prometheus::BuildCounter()
                      .Name("lockstep_sent_again_bytes_total")
                      .Help("Of these, bytes that went more than once.")
                      .Register(registry_)),
      duration_(prometheus::BuildHistogram()
                    .Name("lockstep_run_duration_seconds")
                    .Help("From the moment to the sealed point.")
                    .Register(registry_)) {}

void Metrics::count(const journal::Event& event) {
  events_.Add({{"source", event.source}}).Increment();
  const std::string service = event.data.value("service", "");
  if (event.type == "run.state") {
    const std::string state = event.data.value("state", "");
    if (state == "complete" || state == "failed" || state == "aborted" || state == "missed") {
      runs_.Add({{"service", service}, {"state", state}}).Increment();
    }
  } else if (event.type == "run.missed") {
    missed_.Add({{"service", service}}).Increment();
  } else if (event.type == "fence.undone") {
    fences_undone_.Add({{"service", service}}).Increment();
  } else if (event.type == "point.verified") {
    const bool ok = event.data.value("ok", false);
    verifications_.Add({{"service", service}, {"result", ok ? "good" : "damaged"}}).Increment();
  } else if (event.type == "drill.ended") {
    drills_.Add({{"service", service}, {"outcome", event.data.value("outcome", "")}}).Increment();
  } else if (event.type == "drill.missed") {
    drills_.Add({{"service", service}, {"outcome", "missed"}}).Increment();
  } else if (event.type == "point.complete") {
    skew_.Add({{"service", service}}, kPinBuckets).Observe(span(event.data, "skew_ns"));
    lateness_.Add({{"service", service}}, kPinBuckets).Observe(span(event.data, "lateness_ns"));
    duration_.Add({{"service", service}}, kRunBuckets).Observe(span(event.data, "duration_ns"));
    count_cost(service, event.data);
  }
}

// What a point asked of the writers and of the network. An older scheduler's events do not say.
void Metrics::count_cost(const std::string& service, const Body& data) {
  if (!data.contains("window_ns") || !data.contains("fences")) return;
  const std::map<std::string, std::string> labels{{"service", service}};
  window_.Add(labels, kPinBuckets).Observe(span(data, "window_ns"));
  for (const auto& fence : data.at("fences")) {
    fence_.Add(labels, kPinBuckets).Observe(span(fence, "held_ns"));
  }
  sent_.Add(labels).Increment(data.value("bytes_sent", 0.0));
  sent_again_.Add(labels).Increment(data.value("bytes_resent", 0.0));
}

std::string Metrics::text(const Shown& shown, UtcNanos now, const Feed& feed,
                          const ReplayCounts& replays) const {
  std::vector<MetricFamily> all = registry_.Collect();
  Families families{all};
  families.add("lockstep_scheduler_up", "1 while the scheduler answers the gateway.",
               shown.reachable ? 1 : 0);
  if (shown.status.is_object()) {
    families.add("lockstep_status_timestamp_seconds", "When the scheduler last answered.",
                 in_seconds(shown.status_at));
    families.add("lockstep_identity_epoch", "Number of the identity epoch.",
                 shown.status["epoch"].value("number", 0.0));
    for (const auto& cluster : shown.status["clusters"]) {
      families.add("lockstep_cluster_primary", "1 for the cluster whose identity is primary.",
                   cluster.value("identity", "") == "primary" ? 1 : 0,
                   {{"cluster", cluster.value("name", "")}});
    }
    add_clock(families, shown.status, "scheduler");
    for (const auto& agent : shown.status["agents"]) {
      add_clock(families, agent, agent.value("name", ""));
      families.add("lockstep_agent_up", "1 for an agent that answers the scheduler.",
                   agent.value("reachable", false) ? 1 : 0, {{"agent", agent.value("name", "")}});
    }
    for (const auto& service : shown.status["services"]) add_service(families, service, now);
    add_users(families, shown.status);
    add_damaged(families, shown);
  }
  add_pings(families, shown.pings);
  add_clusters(families, shown);
  add_feed(families, feed, replays);
  std::ostringstream out;
  prometheus::TextSerializer{}.Serialize(out, all);
  return out.str();
}

}  // namespace lockstep::gateway
