#include "services/gateway/sources.hpp"

#include <spdlog/spdlog.h>

namespace lockstep::gateway {

namespace {

// Events that come together are kept together: a commit each would be the slowest part.
constexpr Nanos kSoon = milliseconds(5);
constexpr std::size_t kTogether = 512;
constexpr Nanos kBeat = seconds(2);

}  // namespace

Sources::Sources(service::Surroundings& here, Kept& kept, Feed& feed)
    : here_(here), kept_(kept), feed_(feed) {}

Sources::~Sources() {
  here_.reactor.cancel(soon_);
  here_.reactor.cancel(beat_);
}

void Sources::follow() {
  for (const auto& [name, party] : here_.directory.parties) {
    if (!party.endpoint.empty()) follow(name);
  }
  beat_ = here_.reactor.every(kBeat, [this] { feed_.beat(kept_.sources()); });
}

void Sources::follow(const std::string& name) {
  Source& source = sources_[name];
  transport::FollowFrom from;
  if (const auto known = kept_.sources().find(name); known != kept_.sources().end()) {
    from = {known->second.last, known->second.incarnation};
  }
  source.follower = transport::make_event_follower(
      here_.reactor, here_.directory, here_.clock, name, from,
      [this, &source](const journal::Event& event) { take(source, event); },
      [&source, name](const message::Body&) {
        spdlog::info("the events of '{}' begin anew: it does not keep those before any more", name);
        source.after_gap = true;
      });
}

void Sources::take(Source& source, const journal::Event& event) {
  waiting_.push_back(arrival_of(event, std::exchange(source.after_gap, false)));
  events_.push_back(event);
  if (waiting_.size() >= kTogether) {
    keep();
  } else if (soon_ == 0) {
    soon_ = here_.reactor.after(kSoon, [this] { keep(); });
  }
}

void Sources::keep() {
  here_.reactor.cancel(std::exchange(soon_, 0));
  if (const auto kept = kept_.add(waiting_); !kept) {
    // The next start goes on from what is kept.
    here_.fail(kept.error());
    return;
  }
  feed_.publish(std::exchange(waiting_, {}));
  for (const auto& event : std::exchange(events_, {})) {
    if (on_event) on_event(event);
  }
}

}  // namespace lockstep::gateway
