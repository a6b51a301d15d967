// Bytes in messages and in JSON output: file names, link targets and the like may be any bytes.
//
// On the wire such a text is str where it is UTF-8, and bin where it is not. JSON knows no bytes,
// so whatever is printed as JSON follows one rule (docs/protocol.md, "Bytes in JSON output"):
//   - each byte that is no part of valid UTF-8 is written `\xNN`, two lower-case hexadecimal
//   digits;
//   - a backslash that is followed by `x` and two lower-case hexadecimal digits is written `\x5c`;
//   - all else stands as it is.
// The rule is reversible: replacing every `\xNN` by its byte gives back the original.
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "common/message/envelope.hpp"

namespace lockstep::message {

// Well-formed UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes);

// A value for a field that may hold any bytes: str where they are UTF-8, else bin.
Body text_or_bytes(std::string_view bytes);
// The bytes of such a field. Requires: a str or a bin (the schema saw to it); throws
// nlohmann::json::type_error otherwise, as get<>() does.
std::string bytes_of(const Body& value);

std::string show(std::string_view bytes);
std::string unshow(std::string_view shown);

// `body` with every text, key and bin shown by the rule: what a `--json` option may print.
Body showable(const Body& body);

}  // namespace lockstep::message
