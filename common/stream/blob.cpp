#include "common/stream/blob.hpp"

#include <cstring>
#include <new>

namespace lockstep::stream {

Blob::Blob() { zmq_msg_init(&message_); }

Blob::Blob(std::string_view bytes) {
  if (zmq_msg_init_size(&message_, bytes.size()) != 0) throw std::bad_alloc();
  if (!bytes.empty()) std::memcpy(zmq_msg_data(&message_), bytes.data(), bytes.size());
}

Blob::Blob(std::unique_ptr<std::vector<std::byte>> bytes) {
  auto* owned = bytes.get();
  const int made = zmq_msg_init_data(
      &message_, owned->data(), owned->size(),
      [](void*, void* hint) { delete static_cast<std::vector<std::byte>*>(hint); }, owned);
  if (made != 0) throw std::bad_alloc();
  static_cast<void>(bytes.release());
}

Blob::Blob(Blob&& other) noexcept {
  zmq_msg_init(&message_);
  zmq_msg_move(&message_, &other.message_);
}

Blob& Blob::operator=(Blob&& other) noexcept {
  if (this != &other) zmq_msg_move(&message_, &other.message_);
  return *this;
}

Blob::~Blob() { zmq_msg_close(&message_); }

Blob Blob::share() const {
  Blob out;
  zmq_msg_copy(&out.message_, &message_);
  return out;
}

std::size_t Blob::size() const { return zmq_msg_size(&message_); }

std::span<const std::byte> Blob::bytes() const {
  return {static_cast<const std::byte*>(zmq_msg_data(&message_)), size()};
}

std::string_view Blob::text() const {
  return {static_cast<const char*>(zmq_msg_data(&message_)), size()};
}

}  // namespace lockstep::stream
