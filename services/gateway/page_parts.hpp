// What the status page is made of: text that is safe in HTML, spans and sizes for people, the
// timeline of points. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::gateway {

// For text and for attributes in double quotes; bytes that are not UTF-8 by docs/protocol.md's
// rule.
std::string escaped(std::string_view text);
// `key` of an object as text, escaped; "" where it is not there.
std::string text_at(const message::Body& object, const char* key);

// A word on coloured ground; kind: good, warn, bad, plain. `text` is safe in HTML already.
std::string chip(const char* kind, const std::string& text);

std::string span_words(Nanos span);           // "3 h 20 min"; of two units at most
std::string size_words(std::uint64_t bytes);  // "12.3 MiB"
// `now` minus the instant at `key`; nothing where there is none.
std::optional<Nanos> age_of(const message::Body& object, const char* key, UtcNanos now);

// The points of one service as an inline SVG, oldest left: where in time, how large (height, beside
// the largest of them), good, not verified or damaged (colour), drilled (a mark above); each tells
// more when pointed at. `drills`: of the service, as `status.done` has it; null: none.
std::string timeline(const std::vector<const message::Body*>& points, UtcNanos now, Nanos rpo,
                     const message::Body* drills);

}  // namespace lockstep::gateway
