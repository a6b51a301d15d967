#include "common/stream/conversation.hpp"

#include "common/stream/control.hpp"
#include "common/stream/pack.hpp"

namespace lockstep::stream {
namespace {

Error lost(const char* why) { return make_error(ErrorCode::stream_peer_lost, why); }

}  // namespace

void Conversation::heard(Frame frame, MonoNanos now) {
  heard_ = now;
  if (!looks_like_pack(frame.head.bytes()) && frame.head.size() < 64) {
    const auto control = Control::decode(frame.head.text());
    if (control && control->type() == "ping") return;
    if (control && control->type() == "unknown")
      return pipe_->close(lost("the peer does not know this connection: it was started again"));
  }
  pipe_->deliver(std::move(frame));
}

bool Conversation::serve(BulkSocket& socket, const Wire& wire, MonoNanos now) {
  if (pipe_->closed()) return true;
  if (leaving_) {
    pipe_->close(lost("the connection to the peer ended"));
    return true;
  }
  if (now - heard_ > wire.silence) {
    pipe_->close(lost("the peer was silent for too long"));
    return true;
  }
  if (now - said_ > wire.ping) {
    // What cannot be said now is no ping any more; the next one will do.
    Frame ping{Control("ping").encode(), {}};
    said_ = now;
    if (socket.send(peer_, ping) == BulkSocket::Sent::gone) {
      leaving_ = true;
      return false;
    }
  }
  while (auto frame = pipe_->take()) {
    const std::uint64_t bytes = frame->head.size() + frame->body.size();
    switch (socket.send(peer_, *frame)) {
      case BulkSocket::Sent::yes:
        said_ = now;
        pipe_->sent(bytes);
        break;
      case BulkSocket::Sent::later:
        pipe_->put_back(std::move(*frame));
        return false;
      case BulkSocket::Sent::gone:
        leaving_ = true;
        return false;
    }
  }
  return true;
}

}  // namespace lockstep::stream
