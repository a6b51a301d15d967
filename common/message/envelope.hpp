// Envelope: one control message, as it travels (docs/protocol.md).
//
// On the wire a MessagePack map. decode() limits size, depth and counts before anything is built,
// then checks the envelope and the body against their JSON Schemas; encode() checks the same, so
// that nothing leaves that a receiver would refuse. A reply carries the id of its request.
//
// Bodies are JSON values: text that is UTF-8 travels as str; bytes that are not, as bin (see
// bytes.hpp for the documented rule of showing them in JSON output).
//
// Thread rule: functions may be called from any thread; values share nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"

namespace lockstep::message {

using Body = nlohmann::json;

// Grows at every change of identity; one promotion id per number, for ever.
struct Epoch {
  std::uint64_t number = 0;
  std::string promotion;  // UUIDv7 of the promotion that made it
  bool operator==(const Epoch&) const = default;
};

struct Envelope {
  int v = 1;
  std::string type;  // "instruction.snapshot"; replies: "<type>.accepted|progress|done", "failed"
  std::string id;    // UUIDv7; a reply repeats its request's
  std::string run;   // UUIDv7, or empty outside a run
  std::string step;  // "arm", "pin", ...; or empty
  int attempt = 0;   // of the step; a higher one fences lower ones
  Epoch epoch;
  std::string from;  // the sender's name in lockstep.yaml
  UtcNanos sent_at;
  std::optional<UtcNanos> deadline;  // after it the sender no longer waits
  Body body = Body::object();
};

inline constexpr int kProtocolVersion = 1;

struct Limits {
  std::size_t bytes = 1024 * 1024;
  std::size_t depth = 16;
  std::size_t items = 65536;  // entries of one array or map, and of all together
};

Result<std::string> encode(const Envelope& envelope);
Result<Envelope> decode(std::string_view bytes, const Limits& limits = {});

// MessagePack of a bare value, with the same limits and no schema (for stored rows and event data).
std::string pack_body(const Body& body);
Result<Body> unpack_body(std::string_view bytes, const Limits& limits = {});

// Checks `body` against schemas/<name>.json. Error: message-schema with the JSON pointer of the
// wrong field in `where`; message-unknown-type where there is no such schema.
Result<void> check_schema(std::string_view name, const Body& body);
bool schema_exists(std::string_view name);

// Errors as bodies: {"code":"target-write","number":605,"what":...,"where":...,"hint":...}.
Body error_body(const Error& error);
Error error_from_body(const Body& body);

}  // namespace lockstep::message
