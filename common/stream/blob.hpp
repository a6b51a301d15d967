// Blob: one frame of a ZeroMQ message, moved and never copied.
#pragma once

#include <zmq.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace lockstep::stream {

class Blob {
 public:
  Blob();                                 // empty
  explicit Blob(std::string_view bytes);  // copied
  // Sent from where it lies (zmq_msg_init_data); freed when the last holder lets go.
  explicit Blob(std::unique_ptr<std::vector<std::byte>> bytes);
  Blob(Blob&& other) noexcept;
  Blob& operator=(Blob&& other) noexcept;
  Blob(const Blob&) = delete;
  Blob& operator=(const Blob&) = delete;
  ~Blob();

  // Another holder of the same bytes (zmq_msg_copy: counted, not copied, but for tiny frames).
  Blob share() const;
  std::size_t size() const;
  std::span<const std::byte> bytes() const;
  std::string_view text() const;
  zmq_msg_t* raw() { return &message_; }

 private:
  // zmq_msg_size and zmq_msg_data take a pointer to non-const though they change nothing.
  mutable zmq_msg_t message_;
};

}  // namespace lockstep::stream
