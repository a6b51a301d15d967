#include "common/transport/inbox.hpp"

#include <utility>

namespace lockstep::transport {

const std::string& Inbox::sender_of(const Parts& message) {
  return message.user.empty() && !message.frames.empty() ? message.frames.front() : message.user;
}

std::size_t Inbox::size_of(const Parts& message) {
  std::size_t size = sizeof(Parts);
  for (const std::string& frame : message.frames) size += sizeof frame + frame.size();
  return size;
}

bool Inbox::put(Parts message) {
  const std::size_t size = size_of(message);
  const auto known = senders_.find(sender_of(message));
  if (bytes_ + size > limits_.bytes_all) return false;
  if (known != senders_.end() && (known->second.messages.size() >= limits_.messages_each ||
                                  known->second.bytes + size > limits_.bytes_each)) {
    return false;
  }
  Waiting& waiting = known != senders_.end() ? known->second : senders_[sender_of(message)];
  waiting.messages.push_back(std::move(message));
  waiting.bytes += size;
  bytes_ += size;
  return true;
}

std::optional<Parts> Inbox::next() {
  if (senders_.empty()) return std::nullopt;
  auto turn = senders_.upper_bound(last_);
  if (turn == senders_.end()) turn = senders_.begin();
  Waiting& waiting = turn->second;
  std::optional<Parts> out = std::move(waiting.messages.front());
  waiting.messages.pop_front();
  const std::size_t size = size_of(*out);
  waiting.bytes -= size;
  bytes_ -= size;
  last_ = turn->first;
  if (waiting.messages.empty()) senders_.erase(turn);
  return out;
}

}  // namespace lockstep::transport
