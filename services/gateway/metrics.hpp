// Metrics for Prometheus, by its naming rules (docs/watching.md lists them).
//
// Gauges are made anew from the picture at each scrape, so that a service that was removed leaves
// no stale one; counters and histograms count events since this process started.
//
// Thread rule: count() on the reactor's thread; text() from any.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>

#include "common/journal/journal.hpp"
#include "services/gateway/feed.hpp"
#include "services/gateway/handlers.hpp"
#include "services/gateway/picture.hpp"

namespace lockstep::gateway {

class Metrics {
 public:
  Metrics();

  void count(const journal::Event& event);
  // The exposition format (text/plain; version=0.0.4).
  std::string text(const Shown& shown, UtcNanos now, const Feed& feed,
                   const ReplayCounts& replays) const;

 private:
  void count_cost(const std::string& service, const message::Body& data);

  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& events_;
  prometheus::Family<prometheus::Counter>& runs_;
  prometheus::Family<prometheus::Counter>& missed_;
  prometheus::Family<prometheus::Counter>& fences_undone_;
  prometheus::Family<prometheus::Counter>& verifications_;
  prometheus::Family<prometheus::Counter>& drills_;
  prometheus::Family<prometheus::Histogram>& skew_;
  prometheus::Family<prometheus::Histogram>& lateness_;
  prometheus::Family<prometheus::Histogram>& window_;
  prometheus::Family<prometheus::Histogram>& fence_;
  prometheus::Family<prometheus::Counter>& sent_;
  prometheus::Family<prometheus::Counter>& sent_again_;
  prometheus::Family<prometheus::Histogram>& duration_;
};

}  // namespace lockstep::gateway
