// The side that connects: a DEALER and a thread for each channel.
#include <zmq.h>

#include <algorithm>
#include <thread>

#include "common/stream/bulk.hpp"
#include "common/stream/control.hpp"
#include "common/stream/conversation.hpp"

namespace lockstep::stream {
namespace {

constexpr Nanos kRetry = milliseconds(200);

// The socket's thread. It ends once the channel was hung up and what it said is with ZeroMQ.
class Dialled {
 public:
  static Result<std::shared_ptr<Dialled>> start(const Wire& wire, const std::string& endpoint,
                                                const std::string& server_key, const Clock& clock) {
    LOCKSTEP_TRY(BulkSocket socket, BulkSocket::dial(wire, endpoint, server_key));
    return std::make_shared<Dialled>(wire, std::move(socket), clock);
  }

  Dialled(const Wire& wire, BulkSocket socket, const Clock& clock)
      : wire_(wire),
        clock_(clock),
        socket_(std::move(socket)),
        waker_(std::make_shared<Waker>()),
        pipe_(std::make_shared<Pipe>(waker_)),
        thread_([this](const std::stop_token& stop) { serve(stop); }) {}
  Dialled(const Dialled&) = delete;
  Dialled& operator=(const Dialled&) = delete;
  ~Dialled() {
    thread_.request_stop();
    waker_->wake();
  }

  const std::shared_ptr<Pipe>& pipe() const { return pipe_; }

 private:
  void serve(const std::stop_token& stop) {
    Conversation conversation({}, pipe_, clock_.mono());
    MonoNanos give_up{INT64_MAX};
    while (true) {
      const MonoNanos now = clock_.mono();
      const bool all_sent = conversation.serve(socket_, wire_, now);
      if (stop.stop_requested()) {
        // Last words (an error told, an end acknowledged) get a moment.
        give_up = std::min(give_up, now + seconds(1));
        if (conversation.over() || now >= give_up) return;
      }
      zmq_pollitem_t items[] = {
          {socket_.raw(), 0, static_cast<short>(all_sent ? ZMQ_POLLIN : ZMQ_POLLIN | ZMQ_POLLOUT),
           0},
          {nullptr, waker_->descriptor(), ZMQ_POLLIN, 0}};
      const long most = stop.stop_requested() ? 50 : 500;
      if (zmq_poll(items, 2, most) < 0) continue;  // EINTR
      if ((items[1].revents & ZMQ_POLLIN) != 0) waker_->drain();
      while (auto received = socket_.receive()) {
        if (!received->malformed) conversation.heard(std::move(received->frame), clock_.mono());
      }
    }
  }

  const Wire wire_;
  const Clock& clock_;
  BulkSocket socket_;
  std::shared_ptr<Waker> waker_;
  std::shared_ptr<Pipe> pipe_;
  std::jthread thread_;
};

class DialLink final : public Link {
 public:
  DialLink(const Wire& wire, std::string endpoint, std::string server_key, const Opening& opening,
           const Clock& clock)
      : wire_(wire),
        endpoint_(std::move(endpoint)),
        server_key_(std::move(server_key)),
        opening_(opening),
        clock_(clock) {}

  Result<std::unique_ptr<Channel>> open(Nanos timeout, std::stop_token stop) override {
    const MonoNanos until = clock_.mono() + timeout;
    while (true) {
      // A socket anew each time: one that was refused by CURVE never comes back by itself.
      LOCKSTEP_TRY(auto dialled, Dialled::start(wire_, endpoint_, server_key_, clock_));
      auto channel = std::make_unique<PipeChannel>(dialled->pipe(), dialled);
      LOCKSTEP_CHECK(channel->send({opening_control(opening_).encode(), {}}));
      LOCKSTEP_TRY(const bool accepted, wait_for_answer(*channel, until, stop));
      if (accepted) return std::unique_ptr<Channel>(std::move(channel));
      if (stop.stop_requested()) return make_error(ErrorCode::cancelled, "connecting was stopped");
      if (clock_.mono() >= until)
        return make_error(ErrorCode::stream_peer_lost, "the peer does not answer", endpoint_);
      clock_.wait_for(kRetry, stop);
    }
  }

 private:
  // False: no answer on this socket.
  Result<bool> wait_for_answer(Channel& channel, MonoNanos until, const std::stop_token& stop) {
    const Nanos left = until - clock_.mono();
    auto frame = channel.receive(left, stop);
    if (!frame || !*frame) return false;
    const auto control = Control::decode((*frame)->head.text());
    if (!control)
      return make_error(ErrorCode::stream_protocol, "the peer answers in no known way", endpoint_);
    if (control->type() == "accepted") return true;
    if (control->type() == "refused") return error_of(*control);
    return make_error(ErrorCode::stream_protocol,
                      "the peer answers an opening by " + control->type(), endpoint_);
  }

  const Wire wire_;
  const std::string endpoint_;
  const std::string server_key_;
  const Opening opening_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<Link> make_dial(const Wire& wire, const std::string& endpoint,
                                const std::string& server_key, const Opening& opening,
                                const Clock& clock) {
  return std::make_unique<DialLink>(wire, endpoint, server_key, opening, clock);
}

}  // namespace lockstep::stream
