// User data: what a cluster's directory holds of users, groups and roles (docs/users.md).
//
// A record is found again by its id, not by its name: so a rename is a rename. Password hashes are
// secrets: they stand in documents that go between agents and in points, and nowhere else: not in
// a log, an event, an audit line or an answer to a person.
//
// Thread rule: values; pure functions.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "common/error/error.hpp"

namespace lockstep::users {

// A unit is what holds others in a tree of names (an organizational unit); it has no life of its
// own: its id is made of its name, so that it is never renamed.
enum class Kind { unit, user, group, role };
const char* kind_name(Kind kind);
std::optional<Kind> kind_from_name(std::string_view name);

using Values = std::set<std::string>;

struct Record {
  Kind kind = Kind::user;
  std::string id;
  std::string name;  // unique among its kind
  bool locked = false;
  Values passwords;                          // hashes, as the store has them
  std::map<std::string, Values> attributes;  // no empty ones
  Values members;                            // ids, of groups and roles

  bool operator==(const Record&) const = default;
};

using State = std::map<std::string, Record>;  // by id

using Name = std::pair<Kind, std::string>;
// Names to ids. Requires: check() was content.
std::map<Name, std::string> names_of(const State& state);
// Names are there and unique, every member is one of the records. Error: source-read.
Result<void> check(const State& state);

// The document in which user data travels and is kept: JSON lines, first a head
// ({"lockstep_users": 1, "store": KIND}), then a record each, in the order of their ids. Bytes that
// are not UTF-8 stand by the rule of docs/protocol.md. Equal states make equal documents.
std::string to_document(const State& state, std::string_view store);
// SHA-256 of a document, in lower-case hexadecimal.
std::string digest_of(std::string_view document);
struct Document {
  std::string store;
  State state;
};
// Error: message-malformed; the text never quotes what stands in the document.
Result<Document> from_document(std::string_view document);

}  // namespace lockstep::users
