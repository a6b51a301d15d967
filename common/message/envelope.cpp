#include "common/message/envelope.hpp"

#include <algorithm>

#include "common/message/bytes.hpp"

namespace lockstep::message {

namespace {

Body envelope_body(const Envelope& envelope) {
  return Body{
      {"v", envelope.v},
      {"type", envelope.type},
      {"id", envelope.id},
      {"run", envelope.run},
      {"step", envelope.step},
      {"attempt", envelope.attempt},
      {"epoch", {{"number", envelope.epoch.number}, {"promotion", envelope.epoch.promotion}}},
      {"from", envelope.from},
      {"sent_at", to_rfc3339(envelope.sent_at)},
      {"deadline", envelope.deadline ? Body(to_rfc3339(*envelope.deadline)) : Body()},
      {"body", envelope.body}};
}

Result<void> check_version(const Body& map) {
  const auto v = map.find("v");
  if (v == map.end() || !v->is_number_integer()) {
    return make_error(ErrorCode::message_schema, "envelope: the protocol version is missing", "/v");
  }
  const auto version = v->get<std::int64_t>();
  if (version < std::max(1, kProtocolVersion - 1) || version > kProtocolVersion) {
    return make_error(ErrorCode::message_version,
                      "protocol version " + std::to_string(version) + "; this program speaks " +
                          std::to_string(kProtocolVersion),
                      "/v");
  }
  return {};
}

// The body's own check, its pointer made one into the envelope.
Result<void> check_body(const std::string& type, const Body& body) {
  auto checked = check_schema(type, body);
  if (checked || checked.error().code != ErrorCode::message_schema) return checked;
  Error error = std::move(checked).error();
  error.where = error.where == "/" ? "/body" : "/body" + error.where;
  return error;
}

Result<UtcNanos> instant(const Body& text, const char* pointer) {
  auto parsed = parse_rfc3339(text.get_ref<const std::string&>());
  if (!parsed)
    return make_error(ErrorCode::message_schema, "envelope: " + parsed.error().what, pointer);
  return parsed;
}

struct Measure {
  std::size_t depth = 0;
  std::size_t items = 0;
};

void measure(const Body& value, std::size_t depth, Measure& out) {
  if (!value.is_structured()) return;
  out.depth = std::max(out.depth, depth);
  out.items += value.size();
  for (const auto& item : value) measure(item, depth + 1, out);
}

}  // namespace

Result<std::string> encode(const Envelope& envelope) {
  const Body map = envelope_body(envelope);
  LOCKSTEP_CHECK(check_schema("envelope", map));
  LOCKSTEP_CHECK(check_body(envelope.type, envelope.body));
  const Limits limits;
  Measure found;
  measure(map, 1, found);
  std::string bytes = pack_body(map);
  if (bytes.size() > limits.bytes || found.depth > limits.depth || found.items > limits.items) {
    return make_error(ErrorCode::message_too_large,
                      "a message of " + std::to_string(bytes.size()) + " bytes, " +
                          std::to_string(found.items) + " items, depth " +
                          std::to_string(found.depth) + " is beyond the protocol's limits",
                      envelope.type);
  }
  return bytes;
}

Result<Envelope> decode(std::string_view bytes, const Limits& limits) {
  LOCKSTEP_TRY(Body map, unpack_body(bytes, limits));
  if (!map.is_object()) {
    return make_error(ErrorCode::message_malformed, "not a message of this protocol: not a map");
  }
  LOCKSTEP_CHECK(check_version(map));
  LOCKSTEP_CHECK(check_schema("envelope", map));
  Envelope out;
  out.v = map["v"].get<int>();
  out.type = map["type"].get<std::string>();
  out.id = map["id"].get<std::string>();
  out.run = map["run"].get<std::string>();
  out.step = map["step"].get<std::string>();
  out.attempt = map["attempt"].get<int>();
  out.epoch.number = map["epoch"]["number"].get<std::uint64_t>();
  out.epoch.promotion = map["epoch"]["promotion"].get<std::string>();
  out.from = map["from"].get<std::string>();
  LOCKSTEP_TRY(out.sent_at, instant(map["sent_at"], "/sent_at"));
  if (!map["deadline"].is_null()) {
    LOCKSTEP_TRY(out.deadline, instant(map["deadline"], "/deadline"));
  }
  LOCKSTEP_CHECK(check_body(out.type, map["body"]));
  out.body = std::move(map["body"]);
  return out;
}

Body error_body(const Error& error) {
  const ErrorInfo& info = error_info(error.code);
  return Body{{"code", info.name},
              {"number", info.number},
              {"what", text_or_bytes(error.what)},
              {"where", text_or_bytes(error.where)},
              {"hint", text_or_bytes(error.advice())}};
}

Error error_from_body(const Body& body) {
  const std::string name = body.at("code").get<std::string>();
  const ErrorInfo* info = find_error(name);
  Error out;
  out.what = bytes_of(body.at("what"));
  out.where = bytes_of(body.at("where"));
  out.hint = bytes_of(body.at("hint"));
  if (info != nullptr) {
    out.code = info->code;
  } else {
    // A newer peer knows errors that this program does not.
    out.what += " (" + name + ")";
  }
  return out;
}

}  // namespace lockstep::message
