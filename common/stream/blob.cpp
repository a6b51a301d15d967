#include "common/stream/blob.hpp"

#include <atomic>
#include <cstring>
#include <new>
#include <utility>

namespace lockstep::stream {
namespace {

// Bytes that a thread of libzmq's frees. It has them by libzmq's own barriers; what is said here is
// for tools that do not see into it (ThreadSanitizer).
struct Handed {
  explicit Handed(std::unique_ptr<std::vector<std::byte>> of) : bytes(std::move(of)) {}
  static void free(void* hint) {
    auto* handed = static_cast<Handed*>(hint);
    if (handed->to_zmq.load(std::memory_order_acquire)) delete handed;
  }

  std::unique_ptr<std::vector<std::byte>> bytes;
  std::atomic<bool> to_zmq = false;
};

}  // namespace

Blob::Blob() { zmq_msg_init(&message_); }

Blob::Blob(std::string_view bytes) {
  if (zmq_msg_init_size(&message_, bytes.size()) != 0) throw std::bad_alloc();
  if (!bytes.empty()) std::memcpy(zmq_msg_data(&message_), bytes.data(), bytes.size());
}

Blob::Blob(std::unique_ptr<std::vector<std::byte>> bytes) {
  const std::span<std::byte> where(*bytes);
  auto handed = std::make_unique<Handed>(std::move(bytes));
  const int made = zmq_msg_init_data(
      &message_, where.data(), where.size(), [](void*, void* hint) { Handed::free(hint); },
      handed.get());
  if (made != 0) throw std::bad_alloc();
  handed.release()->to_zmq.store(true, std::memory_order_release);
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
