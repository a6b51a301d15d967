#include "common/stream/control.hpp"

#include <msgpack.hpp>

namespace lockstep::stream {
namespace {

constexpr std::size_t kMaxControl = 128 * 1024;
constexpr std::size_t kMaxBody = 64 * 1024;
constexpr const char* kType = "t";

}  // namespace

Control& Control::set(const char* key, std::uint64_t number) {
  values_[key] = {number, false};
  return *this;
}
Control& Control::text(const char* key, std::string value) {
  values_[key] = {std::move(value), false};
  return *this;
}
Control& Control::bytes(const char* key, std::string value) {
  values_[key] = {std::move(value), true};
  return *this;
}

std::uint64_t Control::number(const char* key) const {
  const auto found = values_.find(key);
  const auto* number =
      found == values_.end() ? nullptr : std::get_if<std::uint64_t>(&found->second.value);
  return number == nullptr ? 0 : *number;
}

const std::string& Control::string(const char* key) const {
  static const std::string none;
  const auto found = values_.find(key);
  const auto* text =
      found == values_.end() ? nullptr : std::get_if<std::string>(&found->second.value);
  return text == nullptr ? none : *text;
}

Blob Control::encode() const {
  msgpack::sbuffer buffer;
  msgpack::packer<msgpack::sbuffer> packer(buffer);
  packer.pack_map(static_cast<std::uint32_t>(values_.size() + 1));
  packer.pack(kType);
  packer.pack(type_);
  for (const auto& [key, value] : values_) {
    packer.pack(key);
    if (const auto* number = std::get_if<std::uint64_t>(&value.value)) {
      packer.pack(*number);
      continue;
    }
    const auto& text = std::get<std::string>(value.value);
    const auto size = static_cast<std::uint32_t>(text.size());
    if (value.binary) {
      packer.pack_bin(size);
      packer.pack_bin_body(text.data(), size);
    } else {
      packer.pack_str(size);
      packer.pack_str_body(text.data(), size);
    }
  }
  return Blob(std::string_view(buffer.data(), buffer.size()));
}

std::optional<Control> Control::decode(std::string_view bytes) {
  if (bytes.empty() || bytes.size() > kMaxControl) return std::nullopt;
  try {
    // array, map, string, binary, extension, depth: a flat map of few keys is all there is.
    const msgpack::unpack_limit limit(0, 32, kMaxBody, kMaxBody, 0, 2);
    std::size_t used = 0;
    const msgpack::object_handle handle =
        msgpack::unpack(bytes.data(), bytes.size(), used, nullptr, nullptr, limit);
    const msgpack::object& root = handle.get();
    if (used != bytes.size() || root.type != msgpack::type::MAP) return std::nullopt;
    Control out("");
    bool typed = false;
    for (std::uint32_t i = 0; i < root.via.map.size; ++i) {
      const auto& pair = root.via.map.ptr[i];
      if (pair.key.type != msgpack::type::STR) return std::nullopt;
      const std::string key(pair.key.via.str.ptr, pair.key.via.str.size);
      if (key == kType) {
        if (typed || pair.val.type != msgpack::type::STR) return std::nullopt;
        out.type_.assign(pair.val.via.str.ptr, pair.val.via.str.size);
        typed = true;
        continue;
      }
      Value value;
      switch (pair.val.type) {
        case msgpack::type::POSITIVE_INTEGER:
          value.value = std::uint64_t{pair.val.via.u64};
          break;
        case msgpack::type::STR:
          value.value = std::string(pair.val.via.str.ptr, pair.val.via.str.size);
          break;
        case msgpack::type::BIN:
          value.value = std::string(pair.val.via.bin.ptr, pair.val.via.bin.size);
          value.binary = true;
          break;
        default:
          return std::nullopt;
      }
      if (!out.values_.emplace(key, std::move(value)).second) return std::nullopt;
    }
    if (!typed) return std::nullopt;
    return out;
  } catch (const msgpack::unpack_error&) {
    return std::nullopt;
  } catch (const msgpack::type_error&) {
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

Control fail_control(const char* type, const Error& error) {
  Control out(type);
  out.text("code", error_info(error.code).name);
  // What a path holds need not be UTF-8.
  out.bytes("what", error.what).bytes("where", error.where).bytes("hint", error.hint);
  return out;
}

Error error_of(const Control& control) {
  const ErrorInfo* info = find_error(control.string("code"));
  return make_error(info == nullptr ? ErrorCode::stream_protocol : info->code,
                    control.string("what"), control.string("where"), control.string("hint"));
}

Control opening_control(const Opening& opening) {
  Control out("open");
  out.set("v", 1).text("kind", opening.kind == Opening::Kind::push ? "push" : "fetch");
  out.text("transfer", opening.transfer).text("service", opening.service);
  out.text("set", opening.set).set("attempt", static_cast<std::uint64_t>(opening.attempt));
  out.set("epoch", opening.epoch).bytes("body", opening.body);
  return out;
}

std::optional<Opening> opening_of(const Control& control) {
  const std::string& kind = control.string("kind");
  if (control.type() != "open" || control.number("v") != 1) return std::nullopt;
  if (kind != "push" && kind != "fetch") return std::nullopt;
  Opening out;
  out.kind = kind == "push" ? Opening::Kind::push : Opening::Kind::fetch;
  out.transfer = control.string("transfer");
  out.service = control.string("service");
  out.set = control.string("set");
  const std::uint64_t attempt = control.number("attempt");
  out.epoch = control.number("epoch");
  out.body = control.string("body");
  for (const std::string* name : {&out.transfer, &out.service, &out.set}) {
    if (name->empty() || name->size() > 200) return std::nullopt;
  }
  if (attempt > 1'000'000) return std::nullopt;
  out.attempt = static_cast<int>(attempt);
  return out;
}

}  // namespace lockstep::stream
