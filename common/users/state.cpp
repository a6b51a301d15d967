#include "common/users/state.hpp"

#include <openssl/evp.h>

#include <array>
#include <nlohmann/json.hpp>

#include "common/message/bytes.hpp"

namespace lockstep::users {

namespace {

using nlohmann::json;

constexpr std::array kNames{"unit", "user", "group", "role"};

json shown(const Values& values) {
  json out = json::array();
  for (const auto& value : values) out.push_back(message::show(value));
  return out;
}

Error malformed(std::size_t line, const char* why) {
  return make_error(ErrorCode::message_malformed, std::string("the user data is malformed: ") + why,
                    "line " + std::to_string(line));
}

std::optional<std::string> text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return message::unshow(found->get_ref<const std::string&>());
}

bool values(const json& array, Values& out) {
  if (!array.is_array()) return false;
  for (const auto& value : array) {
    if (!value.is_string()) return false;
    out.insert(message::unshow(value.get_ref<const std::string&>()));
  }
  return true;
}

bool values(const json& object, const char* key, Values& out) {
  const auto found = object.find(key);
  return found != object.end() && values(*found, out);
}

std::optional<Record> record_of(const json& line) {
  Record record;
  const auto kind = text(line, "kind");
  const auto id = text(line, "id");
  const auto name = text(line, "name");
  const auto known = kind ? kind_from_name(*kind) : std::nullopt;
  const auto locked = line.find("locked");
  const auto attributes = line.find("attributes");
  if (!known || !id || id->empty() || !name || locked == line.end() || !locked->is_boolean() ||
      !values(line, "passwords", record.passwords) || !values(line, "members", record.members) ||
      attributes == line.end() || !attributes->is_object()) {
    return std::nullopt;
  }
  record.kind = *known;
  record.id = *id;
  record.name = *name;
  record.locked = locked->get<bool>();
  for (const auto& [attribute, array] : attributes->items()) {
    Values all;
    if (!values(array, all) || all.empty()) return std::nullopt;
    record.attributes.emplace(message::unshow(attribute), std::move(all));
  }
  return record;
}

}  // namespace

const char* kind_name(Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<Kind> kind_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

std::map<Name, std::string> names_of(const State& state) {
  std::map<Name, std::string> out;
  for (const auto& [id, record] : state) out.emplace(Name{record.kind, record.name}, id);
  return out;
}

Result<void> check(const State& state) {
  std::set<Name> seen;
  for (const auto& [id, record] : state) {
    if (record.id != id || id.empty()) {
      return make_error(ErrorCode::source_read, "a record of the user data has no id of its own",
                        record.name);
    }
    if (record.name.empty()) {
      return make_error(ErrorCode::source_read, "a record of the user data has no name", id);
    }
    if (!seen.emplace(record.kind, record.name).second) {
      return make_error(
          ErrorCode::source_read,
          std::string("two records of the user data have the same name: ") + kind_name(record.kind),
          record.name);
    }
    for (const auto& member : record.members) {
      if (!state.contains(member)) {
        return make_error(ErrorCode::source_read, "a member is no record of the user data",
                          record.name);
      }
    }
  }
  return {};
}

std::string to_document(const State& state, std::string_view store) {
  std::string out = json{{"lockstep_users", 1}, {"store", store}}.dump() + "\n";
  for (const auto& [id, record] : state) {
    json attributes = json::object();
    for (const auto& [name, all] : record.attributes) attributes[message::show(name)] = shown(all);
    out += json{{"kind", kind_name(record.kind)},       {"id", message::show(id)},
                {"name", message::show(record.name)},   {"locked", record.locked},
                {"passwords", shown(record.passwords)}, {"attributes", std::move(attributes)},
                {"members", shown(record.members)}}
               .dump() +
           "\n";
  }
  return out;
}

std::string digest_of(std::string_view document) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  EVP_Digest(document.data(), document.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    constexpr const char* kDigits = "0123456789abcdef";
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out;
}

Result<Document> from_document(std::string_view document) {
  Document out;
  std::size_t number = 0;
  bool head = true;
  while (!document.empty()) {
    ++number;
    const auto end = document.find('\n');
    if (end == std::string_view::npos) return malformed(number, "it is cut short");
    const json line = json::parse(document.substr(0, end), nullptr, false);
    document.remove_prefix(end + 1);
    if (!line.is_object()) return malformed(number, "a line is no JSON object");
    if (head) {
      head = false;
      const auto version = line.find("lockstep_users");
      const auto store = text(line, "store");
      if (version == line.end() || *version != 1 || !store) {
        return malformed(number, "it does not begin with a head of form 1");
      }
      out.store = *store;
      continue;
    }
    auto record = record_of(line);
    if (!record) return malformed(number, "a record lacks a field, or has one of another type");
    const std::string id = record->id;
    if (!out.state.emplace(id, std::move(*record)).second) {
      return malformed(number, "two records have one id");
    }
  }
  if (head) return malformed(number, "it is empty");
  if (const auto fit = check(out.state); !fit) return malformed(number, fit.error().what.c_str());
  return out;
}

}  // namespace lockstep::users
