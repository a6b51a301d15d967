// The side that is dialled: a ROUTER and one thread for all peers.
#include <zmq.h>

#include <map>
#include <thread>
#include <tuple>

#include "common/stream/bulk.hpp"
#include "common/stream/control.hpp"
#include "common/stream/conversation.hpp"

namespace lockstep::stream {
namespace {

constexpr std::size_t kMostPeers = 1024;

// Who speaks of what: a second opening with the same key is the same transfer once more.
using Key = std::tuple<int, std::string, std::string, std::string>;
Key key_of(const Opening& opening) {
  return {static_cast<int>(opening.kind), opening.transfer, opening.set, opening.peer};
}

// The channels that came for one transfer and were not taken yet, from its arrival on.
struct Waiting {
  std::mutex mutex;
  std::condition_variable_any came;
  bool accepted = false;
  bool over = false;  // the server is gone
  std::shared_ptr<Pipe> next;
  std::shared_ptr<Pipe> running;

  void offer(std::shared_ptr<Pipe> pipe) {
    {
      const std::lock_guard lock(mutex);
      const Error replaced = make_error(ErrorCode::stream_peer_lost, "the peer connected again");
      if (running) running->close(replaced);
      if (next) next->close(replaced);
      running.reset();
      next = std::move(pipe);
      if (accepted) say_accepted();
    }
    came.notify_all();
  }
  void accept() {
    const std::lock_guard lock(mutex);
    accepted = true;
    say_accepted();
  }
  void refuse(const Error& error) {
    const std::lock_guard lock(mutex);
    if (!next) return;
    static_cast<void>(next->send({fail_control("refused", error).encode(), {}}));
    next->hang_up();
    next.reset();
  }

 private:
  // A peer that is gone meanwhile is noticed by whoever opens the link.
  void say_accepted() {
    if (next) static_cast<void>(next->send({Control("accepted").encode(), {}}));
  }
};

class ServedLink final : public Link {
 public:
  explicit ServedLink(std::shared_ptr<Waiting> waiting) : waiting_(std::move(waiting)) {}
  ~ServedLink() override {
    const std::lock_guard lock(waiting_->mutex);
    if (waiting_->next) waiting_->next->hang_up();
  }

  Result<std::unique_ptr<Channel>> open(Nanos timeout, std::stop_token stop) override {
    std::unique_lock lock(waiting_->mutex);
    const bool came =
        waiting_->came.wait_for(lock, stop, std::chrono::nanoseconds(timeout.count),
                                [this] { return waiting_->next != nullptr || waiting_->over; });
    if (stop.stop_requested())
      return make_error(ErrorCode::cancelled, "waiting for the peer was stopped");
    if (!came || waiting_->next == nullptr)
      return make_error(ErrorCode::stream_peer_lost, "the peer did not connect again");
    waiting_->running = std::exchange(waiting_->next, nullptr);
    return std::unique_ptr<Channel>(std::make_unique<PipeChannel>(waiting_->running, nullptr));
  }

 private:
  std::shared_ptr<Waiting> waiting_;
};

// The transfers that are waited for or under way, by what they are. Thread rule: the server's
// thread, and end() after it.
class Links {
 public:
  std::shared_ptr<Waiting> find(const Key& key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : found->second.lock();
  }
  std::shared_ptr<Waiting> add(const Key& key) {
    std::erase_if(by_key_, [](const auto& one) { return one.second.expired(); });
    auto made = std::make_shared<Waiting>();
    by_key_[key] = made;
    return made;
  }
  void end() {
    for (auto& [key, weak] : by_key_) {
      const auto live = weak.lock();
      if (!live) continue;
      const std::lock_guard lock(live->mutex);
      live->over = true;
      live->came.notify_all();
    }
  }

 private:
  std::map<Key, std::weak_ptr<Waiting>> by_key_;
};

class ServedArrival final : public Arrival {
 public:
  ServedArrival(Opening opening, std::shared_ptr<Waiting> waiting)
      : opening_(std::move(opening)), waiting_(std::move(waiting)) {}
  ~ServedArrival() override {
    if (waiting_) waiting_->refuse(make_error(ErrorCode::cancelled, "the peer is stopping"));
  }

  const Opening& opening() const override { return opening_; }

  std::unique_ptr<Link> accept() override {
    waiting_->accept();
    return std::make_unique<ServedLink>(std::exchange(waiting_, nullptr));
  }

  void refuse(const Error& error) override {
    waiting_->refuse(error);
    waiting_.reset();
  }

 private:
  Opening opening_;
  std::shared_ptr<Waiting> waiting_;
};

class Server final : public BulkServer {
 public:
  Server(const Wire& wire, BulkSocket socket, const Clock& clock, OnArrival on_arrival)
      : wire_(wire),
        clock_(clock),
        on_arrival_(std::move(on_arrival)),
        socket_(std::move(socket)),
        thread_([this](const std::stop_token& stop) { serve(stop); }) {}
  ~Server() override {
    thread_.request_stop();
    waker_->wake();
    thread_.join();
    links_.end();
  }

 private:
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const bool all_sent = serve_peers();
      zmq_pollitem_t items[] = {{socket_.raw(), 0, ZMQ_POLLIN, 0},
                                {nullptr, waker_->descriptor(), ZMQ_POLLIN, 0}};
      // A ROUTER is always writable to poll; a peer that has no room is asked again soon.
      if (zmq_poll(items, 2, all_sent ? 500 : 2) < 0) continue;  // EINTR
      if ((items[1].revents & ZMQ_POLLIN) != 0) waker_->drain();
      while (auto received = socket_.receive()) hear(std::move(*received));
    }
    for (int i = 0; i < 20 && !serve_peers(); ++i) clock_.wait_for(milliseconds(50), {});
    for (auto& [id, peer] : peers_)
      peer.pipe().close(make_error(ErrorCode::stream_peer_lost, "the bulk socket was closed"));
  }

  bool serve_peers() {
    const MonoNanos now = clock_.mono();
    bool all_sent = true;
    for (auto it = peers_.begin(); it != peers_.end();) {
      all_sent = it->second.serve(socket_, wire_, now) && all_sent;
      it = it->second.over() ? peers_.erase(it) : std::next(it);
    }
    return all_sent;
  }

  void hear(BulkSocket::Received received) {
    const auto found = peers_.find(received.peer);
    if (found != peers_.end()) {
      if (received.malformed)
        found->second.pipe().close(
            make_error(ErrorCode::stream_hostile, "a message of too many parts"));
      else
        found->second.heard(std::move(received.frame), clock_.mono());
      return;
    }
    std::optional<Opening> opening;
    if (!received.malformed && received.frame.body.size() == 0 && peers_.size() < kMostPeers) {
      if (const auto control = Control::decode(received.frame.head.text()))
        opening = opening_of(*control);
    }
    if (!opening) {
      // Of an earlier process, or of no peer of ours: it hears that nobody listens.
      Frame unknown{Control("unknown").encode(), {}};
      static_cast<void>(socket_.send(received.peer, unknown));
      return;
    }
    opening->peer = received.user;
    auto pipe = std::make_shared<Pipe>(waker_);
    peers_.try_emplace(received.peer, received.peer, pipe, clock_.mono());
    if (const auto live = links_.find(key_of(*opening))) return live->offer(std::move(pipe));
    auto waiting = links_.add(key_of(*opening));
    waiting->offer(std::move(pipe));
    on_arrival_(std::make_unique<ServedArrival>(std::move(*opening), std::move(waiting)));
  }

  const Wire wire_;
  const Clock& clock_;
  const OnArrival on_arrival_;
  BulkSocket socket_;
  std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
  Links links_;
  std::map<std::string, Conversation> peers_;
  std::jthread thread_;
};

}  // namespace

Result<std::unique_ptr<BulkServer>> make_bulk_server(const Wire& wire, const std::string& endpoint,
                                                     const Clock& clock,
                                                     BulkServer::OnArrival on_arrival) {
  LOCKSTEP_TRY(BulkSocket socket, BulkSocket::listen(wire, endpoint));
  return std::unique_ptr<BulkServer>(
      std::make_unique<Server>(wire, std::move(socket), clock, std::move(on_arrival)));
}

}  // namespace lockstep::stream
