// MessagePack by msgpack-cxx's parser and a visitor of our own: the limits hold before anything is
// built, because the parser hands over the count of an array or map before its first item, and no
// length in a header makes us reserve memory.
#include <cmath>
#include <msgpack.hpp>
#include <utility>
#include <vector>

#include "common/message/bytes.hpp"

namespace lockstep::message {

namespace {

class Builder : public msgpack::null_visitor {
 public:
  explicit Builder(const Limits& limits) : limits_(limits) {}

  bool visit_nil() { return add(nullptr); }
  bool visit_boolean(bool value) { return add(value); }
  bool visit_positive_integer(std::uint64_t value) { return add(value); }
  bool visit_negative_integer(std::int64_t value) { return add(value); }
  bool visit_float32(float value) { return add_number(static_cast<double>(value)); }
  bool visit_float64(double value) { return add_number(value); }

  bool visit_str(const char* data, std::uint32_t size) {
    const std::string_view text(data, size);
    if (!is_utf8(text)) return fail("a str is not UTF-8; such bytes travel as bin");
    if (in_key_) {
      frames_.back().key = text;
      return true;
    }
    return add(std::string(text));
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    return add(Body::binary(std::vector<std::uint8_t>(data, data + size)));
  }
  bool visit_ext(const char* /*data*/, std::uint32_t /*size*/) {
    return fail("extension types are not part of the protocol");
  }

  bool start_array(std::uint32_t count) { return open(Body::array(), count); }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t count) { return open(Body::object(), count); }
  bool start_map_key() {
    in_key_ = true;
    return true;
  }
  bool end_map_key() {
    in_key_ = false;
    const Frame& top = frames_.back();
    if (top.container.contains(top.key)) {
      return fail("the key '" + top.key.substr(0, 100) + "' stands twice");
    }
    return true;
  }
  bool end_map() { return close(); }

  void parse_error(std::size_t /*parsed*/, std::size_t /*error*/) {
    fail("no such MessagePack type");
  }
  void insufficient_bytes(std::size_t /*parsed*/, std::size_t /*error*/) {
    fail("it ends too early");
  }

  bool complete() const { return complete_ && reason_.empty(); }
  bool too_large() const { return too_large_; }
  const std::string& reason() const { return reason_; }
  Body take() { return std::move(root_); }

 private:
  struct Frame {
    Body container;
    std::string key;
  };

  bool fail(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return false;
  }
  bool fail_size(std::string reason) {
    too_large_ = true;
    return fail(std::move(reason));
  }

  bool open(Body container, std::uint32_t count) {
    if (in_key_) return fail("a key is not a str");
    if (frames_.size() >= limits_.depth) {
      return fail_size("deeper than " + std::to_string(limits_.depth));
    }
    items_ += count;
    if (count > limits_.items || items_ > limits_.items) {
      return fail_size("more than " + std::to_string(limits_.items) + " items");
    }
    frames_.push_back(Frame{std::move(container), {}});
    return true;
  }
  bool close() {
    Body finished = std::move(frames_.back().container);
    frames_.pop_back();
    return add(std::move(finished));
  }
  bool add_number(double value) {
    if (!std::isfinite(value)) return fail("a number is not finite");
    return add(value);
  }
  bool add(Body value) {
    if (in_key_) return fail("a key is not a str");
    if (frames_.empty()) {
      root_ = std::move(value);
      complete_ = true;
      return true;
    }
    Frame& top = frames_.back();
    if (top.container.is_array()) {
      top.container.push_back(std::move(value));
    } else {
      top.container[top.key] = std::move(value);
    }
    return true;
  }

  const Limits& limits_;
  std::vector<Frame> frames_;
  std::size_t items_ = 0;
  Body root_;
  std::string reason_;
  bool in_key_ = false;
  bool complete_ = false;
  bool too_large_ = false;
};

using Packer = msgpack::packer<msgpack::sbuffer>;

void pack_text(Packer& packer, const std::string& text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  if (is_utf8(text)) {
    packer.pack_str(size).pack_str_body(text.data(), size);
  } else {
    packer.pack_bin(size).pack_bin_body(text.data(), size);
  }
}

void pack_value(Packer& packer, const Body& value) {
  switch (value.type()) {
    case Body::value_t::null:
    case Body::value_t::discarded:
      packer.pack_nil();
      return;
    case Body::value_t::boolean:
      packer.pack(value.get<bool>());
      return;
    case Body::value_t::number_unsigned:
      packer.pack(value.get<std::uint64_t>());
      return;
    case Body::value_t::number_integer:
      packer.pack(value.get<std::int64_t>());
      return;
    case Body::value_t::number_float:
      packer.pack(value.get<double>());
      return;
    case Body::value_t::string:
      pack_text(packer, value.get_ref<const std::string&>());
      return;
    case Body::value_t::binary: {
      const auto& binary = value.get_binary();
      const auto size = static_cast<std::uint32_t>(binary.size());
      packer.pack_bin(size).pack_bin_body(
          static_cast<const char*>(static_cast<const void*>(binary.data())), size);
      return;
    }
    case Body::value_t::array:
      packer.pack_array(static_cast<std::uint32_t>(value.size()));
      for (const auto& item : value) pack_value(packer, item);
      return;
    case Body::value_t::object:
      packer.pack_map(static_cast<std::uint32_t>(value.size()));
      for (const auto& [key, item] : value.items()) {
        pack_text(packer, key);
        pack_value(packer, item);
      }
      return;
  }
}

Error malformed(const std::string& reason) {
  return make_error(ErrorCode::message_malformed, "not a message of this protocol: " + reason);
}

}  // namespace

std::string pack_body(const Body& body) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  pack_value(packer, body);
  return {buffer.data(), buffer.size()};
}

Result<Body> unpack_body(std::string_view bytes, const Limits& limits) {
  if (bytes.size() > limits.bytes) {
    return make_error(ErrorCode::message_too_large, "a message of " + std::to_string(bytes.size()) +
                                                        " bytes; the limit is " +
                                                        std::to_string(limits.bytes));
  }
  Builder builder(limits);
  std::size_t offset = 0;
  try {
    msgpack::parse(bytes.data(), bytes.size(), offset, builder);
  } catch (const msgpack::unpack_error& problem) {
    return malformed(problem.what());
  } catch (const std::bad_alloc&) {
    return make_error(ErrorCode::message_too_large, "no memory left to read a message");
  }
  if (builder.too_large()) {
    return make_error(ErrorCode::message_too_large, "the message is " + builder.reason());
  }
  if (!builder.complete()) {
    return malformed(builder.reason().empty() ? "it ends too early" : builder.reason());
  }
  if (offset != bytes.size()) return malformed("bytes follow the value");
  return builder.take();
}

}  // namespace lockstep::message
