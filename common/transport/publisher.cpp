#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/transport/events.hpp"
#include "common/transport/loop.hpp"
#include "common/transport/sockets.hpp"
#include "common/transport/wire.hpp"

namespace lockstep::transport {

namespace {

using message::Body;

constexpr std::size_t kBatch = 256;
constexpr std::size_t kMaxReplay = 1000;
// A replay stays well below one message's limits, whatever its events hold.
constexpr std::size_t kMaxReplayBytes = 384 * 1024;
constexpr std::size_t kMaxReplayItems = 24'000;
constexpr std::size_t kMaxSnapshotBytes = 384 * 1024;

std::size_t items_of(const Body& value) {
  std::size_t count = value.is_structured() ? value.size() : 0;
  if (value.is_structured()) {
    for (const auto& item : value) count += items_of(item);
  }
  return count;
}

class PubPublisher final : public EventPublisher {
 public:
  PubPublisher(Loop& loop, std::string self, journal::Journal& journal, Socket socket,
               std::function<Body()> snapshot)
      : loop_(loop),
        self_(std::move(self)),
        journal_(journal),
        socket_(std::move(socket)),
        snapshot_(std::move(snapshot)),
        sent_(journal.last_event()) {
    if (socket_) beat_ = loop_.every(seconds(2), [this] { beat(); });
  }
  ~PubPublisher() override { loop_.cancel(beat_); }
  PubPublisher(const PubPublisher&) = delete;
  PubPublisher& operator=(const PubPublisher&) = delete;

  void flush() override {
    while (socket_) {
      auto events = journal_.events_after(sent_, kBatch);
      if (!events) {
        // Whoever follows asks again at the next heartbeat; the journal's user ends the process.
        spdlog::error("events were not published: {}", events.error().text());
        return;
      }
      if (events->empty()) return;
      for (const auto& event : *events) {
        publish(event);
        sent_ = event.sequence;
      }
    }
  }

  std::weak_ptr<PubPublisher*> alive() const { return alive_; }

  void answer(const Request& request) {
    const Body& body = request.body();
    const auto limit = std::min(body["limit"].get<std::size_t>(), kMaxReplay);
    const KeptEvents kept{journal_.incarnation(), journal_.first_event(), journal_.last_event()};
    const auto [gap, after] = replay_from(kept, body);
    auto events = journal_.events_after(after, limit);
    if (!events) {
      request.failed(events.error());
      return;
    }
    Body out{{"incarnation", kept.incarnation},
             {"first", kept.first},
             {"last", kept.last},
             {"gap", gap},
             {"events", Body::array()}};
    add_events(out["events"], *events);
    if (gap && snapshot_) add_snapshot(out);
    request.done(std::move(out));
  }

 private:
  static void add_events(Body& list, const std::vector<journal::Event>& events) {
    std::size_t bytes = 0;
    std::size_t items = 0;
    for (const auto& event : events) {
      Body body = event_body(event);
      bytes += message::pack_body(body).size();
      items += 1 + items_of(body);
      if (!list.empty() && (bytes > kMaxReplayBytes || items > kMaxReplayItems)) return;
      list.push_back(std::move(body));
    }
  }

  void add_snapshot(Body& out) const {
    Body state = snapshot_();
    if (message::pack_body(state).size() > kMaxSnapshotBytes || items_of(state) > kMaxReplayItems) {
      spdlog::warn("the state given with a gap in events is too large and is left out");
      return;
    }
    out["snapshot"] = std::move(state);
  }

  void publish(const journal::Event& event) {
    const Body body = event_body(event);
    if (const auto good = event_from_body(body); !good) {
      // A defect of ours; it is kept and told all the same, and refused by whoever follows.
      spdlog::error("an event breaks its schema: {}", good.error().text());
    }
    send_parts(socket_.raw(), {event.type + "/" + event.subject, message::pack_body(body)});
  }

  void beat() {
    flush();
    const Body body{{"source", self_}, {"incarnation", journal_.incarnation()}, {"last", sent_}};
    send_parts(socket_.raw(), {"heartbeat", message::pack_body(body)});
  }

  Loop& loop_;
  const std::string self_;
  journal::Journal& journal_;
  Socket socket_;
  std::function<Body()> snapshot_;
  std::uint64_t sent_;
  Reactor::TimerId beat_ = 0;
  std::shared_ptr<PubPublisher*> alive_ = std::make_shared<PubPublisher*>(this);
};

}  // namespace

Result<std::unique_ptr<EventPublisher>> make_event_publisher(
    Reactor& reactor, const Directory& directory, const Clock& /*clock*/, journal::Journal& journal,
    Server& server, std::function<Body()> snapshot) {
  Loop& loop = loop_of(reactor);
  Socket socket;
  if (!directory.me().events.empty()) {
    LOCKSTEP_TRY(socket, make_publisher(loop.context(), directory));
  }
  auto made = std::make_unique<PubPublisher>(loop, directory.self, journal, std::move(socket),
                                             std::move(snapshot));
  // The server may outlive the publisher.
  server.on("events.since", all_roles(), [alive = made->alive()](const Request& request) {
    if (const auto publisher = alive.lock()) {
      (*publisher)->answer(request);
    } else {
      request.failed(make_error(ErrorCode::cancelled, "the service is ending"));
    }
  });
  return std::unique_ptr<EventPublisher>(std::move(made));
}

}  // namespace lockstep::transport
