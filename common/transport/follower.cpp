#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/transport/client.hpp"
#include "common/transport/events.hpp"
#include "common/transport/loop.hpp"
#include "common/transport/sockets.hpp"
#include "common/transport/wire.hpp"

namespace lockstep::transport {

namespace {

using message::Body;

constexpr int kMessagesPerTurn = 256;
constexpr int kReplayLimit = 1000;
// Three heartbeats: after that the subscription is taken for dead and made anew.
constexpr Nanos kQuiet = seconds(6);
constexpr Nanos kLook = seconds(2);

// Live events are a hint of what there is: one that is the next in order is taken, any other starts
// a replay. So nothing has to be buffered, and nothing is lost.
class SubFollower final : public EventFollower {
 public:
  SubFollower(Loop& loop, const Directory& directory, const Clock& clock, std::string service,
              const FollowFrom& from, OnEvent on_event, OnGap on_gap)
      : loop_(loop),
        directory_(directory),
        clock_(clock),
        service_(std::move(service)),
        on_event_(std::move(on_event)),
        on_gap_(std::move(on_gap)),
        client_(make_client(loop, directory, clock)),
        incarnation_(from.incarnation),
        last_(from.after_sequence) {
    subscribe();
    timer_ = loop_.every(kLook, [this] { look(); });
    replay();
  }
  ~SubFollower() override {
    loop_.cancel(timer_);
    unsubscribe();
  }
  SubFollower(const SubFollower&) = delete;
  SubFollower& operator=(const SubFollower&) = delete;

  std::uint64_t last_sequence() const override { return last_; }
  const std::string& incarnation() const override { return incarnation_; }

 private:
  void subscribe() {
    unsubscribe();
    heard_ = clock_.mono();
    const Party* party = directory_.find(service_);
    if (party == nullptr || party->events.empty()) return;  // then replays alone bring events
    auto made = make_subscriber(loop_.context(), directory_, *party);
    if (!made) {
      spdlog::warn("cannot subscribe to '{}': {}", service_, made.error().text());
      return;
    }
    socket_ = std::move(made).value();
    watch_ = loop_.watch(socket_.raw(), [this] { receive(); });
  }
  void unsubscribe() {
    if (watch_ != 0) loop_.unwatch(watch_);
    watch_ = 0;
    socket_.close();
  }

  void look() {
    if (clock_.mono() - heard_ < kQuiet) return;
    subscribe();
    replay();
  }

  void receive() {
    heard_ = clock_.mono();
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      const auto parts = receive_parts(socket_.raw());
      if (!parts) return;
      if (parts->too_many || parts->frames.size() != 2) continue;
      const auto body = message::unpack_body(parts->frames[1]);
      if (!body) continue;  // its sequence is missing then, and is replayed
      if (parts->frames[0] == "heartbeat") {
        heartbeat(*body);
      } else {
        live(*body);
      }
      if (watch_ == 0) return;
    }
  }

  void heartbeat(const Body& body) {
    if (!message::check_schema("heartbeat", body) || body["source"] != service_) return;
    if (body["incarnation"] != incarnation_ || body["last"].get<std::uint64_t>() > last_) replay();
  }

  void live(const Body& body) {
    // Most of what a slow follower finds in its queue has been replayed: looked at before it is
    // checked whole.
    const auto sequence = body.is_object() ? body.find("sequence") : body.end();
    if (sequence == body.end() || !sequence->is_number_unsigned()) return;
    const auto number = sequence->get<std::uint64_t>();
    const auto incarnation = body.find("incarnation");
    const bool same = incarnation != body.end() && *incarnation == incarnation_;
    if (same && number <= last_) return;
    if (!same || number != last_ + 1 || replaying_) {
      replay();
      return;
    }
    const auto event = event_from_body(body);
    if (!event || event->source != service_) {
      replay();  // says what is wrong with it
      return;
    }
    deliver(*event);
  }

  void deliver(const journal::Event& event) {
    last_ = event.sequence;
    on_event_(event);
  }

  void replay() {
    if (replaying_) {
      again_ = true;
      return;
    }
    replaying_ = true;
    again_ = false;
    message::Envelope envelope;
    envelope.type = "events.since";
    envelope.body = {{"sequence", last_}, {"limit", kReplayLimit}};
    if (!incarnation_.empty()) envelope.body["incarnation"] = incarnation_;
    client_->request(service_, std::move(envelope), {seconds(2), seconds(10), seconds(30)}, {},
                     [this](const Result<Body>& result) { replayed(result); });
  }

  void replayed(const Result<Body>& result) {
    replaying_ = false;
    // An error is not the end: the service comes back, and look() or its heartbeat asks again.
    if (!result) return;
    const Body& body = *result;
    const bool gap = body["gap"].get<bool>();
    const std::uint64_t before = last_;
    incarnation_ = body["incarnation"].get<std::string>();
    if (gap) {
      const auto first = body["first"].get<std::uint64_t>();
      last_ = first > 0 ? first - 1 : body["last"].get<std::uint64_t>();
      if (on_gap_) on_gap_(body.contains("snapshot") ? body["snapshot"] : Body());
    }
    for (const auto& item : body["events"]) take_replayed(item);
    // An answer that brings nothing is not asked for again at once, whatever it promises.
    if (again_ || (last_ != before && last_ < body["last"].get<std::uint64_t>())) replay();
  }

  void take_replayed(const Body& item) {
    const auto sequence = item["sequence"].get<std::uint64_t>();
    if (sequence <= last_) return;
    const auto event = event_from_body(item);
    if (!event) {
      spdlog::error("an event of '{}' is left out: {}", service_, event.error().text());
      last_ = sequence;
      return;
    }
    deliver(*event);
  }

  Loop& loop_;
  const Directory directory_;
  const Clock& clock_;
  const std::string service_;
  OnEvent on_event_;
  OnGap on_gap_;
  std::unique_ptr<Client> client_;
  Socket socket_;
  Loop::WatchId watch_ = 0;
  Reactor::TimerId timer_ = 0;
  MonoNanos heard_;
  std::string incarnation_;
  std::uint64_t last_;
  bool replaying_ = false;
  bool again_ = false;
};

}  // namespace

std::unique_ptr<EventFollower> make_event_follower(Reactor& reactor, const Directory& directory,
                                                   const Clock& clock, const std::string& service,
                                                   const FollowFrom& from, OnEvent on_event,
                                                   OnGap on_gap) {
  return std::make_unique<SubFollower>(loop_of(reactor), directory, clock, service, from,
                                       std::move(on_event), std::move(on_gap));
}

}  // namespace lockstep::transport
