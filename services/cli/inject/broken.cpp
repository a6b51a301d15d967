#include "services/cli/inject/broken.hpp"

#include <algorithm>

#include "common/message/embedded_schemas.hpp"
#include "common/message/uuid.hpp"

namespace lockstep::cli::inject {

namespace {

std::string escaped(const std::string& key) {
  std::string out;
  for (const char c : key) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

// Walks a value along its schema and makes a copy of the whole for each way to spoil it.
class Breaker {
 public:
  Breaker(std::string name, Body schema, const Body& good)
      : name_(std::move(name)), schema_(std::move(schema)), good_(good) {}

  std::vector<std::pair<std::string, Body>> all() {
    walk(schema_, good_, "");
    return std::move(out_);
  }

 private:
  const Body& resolved(const Body& schema) const {
    const Body* at = &schema;
    while (at->contains("$ref")) {
      const auto reference = (*at)["$ref"].get<std::string>();
      at = &schema_.at("definitions").at(reference.substr(reference.rfind('/') + 1));
    }
    return *at;
  }

  // Keeps the whole with `value` at `pointer`, where the schema refuses it.
  void put(const std::string& pointer, const Body& value) {
    Body whole = good_;
    whole[Body::json_pointer(pointer)] = value;
    keep(pointer, std::move(whole));
  }
  void keep(const std::string& pointer, Body whole) {
    const auto checked = message::check_schema(name_, whole);
    if (!checked && checked.error().code == ErrorCode::message_schema) {
      out_.emplace_back(pointer, std::move(whole));
    }
  }

  void walk(const Body& unresolved, const Body& value, const std::string& pointer) {
    const Body& schema = resolved(unresolved);
    if (!pointer.empty()) of_other_types(pointer);
    if (value.is_string()) beyond_words(value.get<std::string>(), pointer);
    if (value.is_number()) beyond_numbers(schema, pointer);
    if (value.is_object()) inside_map(schema, value, pointer);
    if (value.is_array()) inside_list(schema, value, pointer);
  }

  void of_other_types(const std::string& pointer) {
    for (const Body& other :
         {Body(nullptr), Body(true), Body(7), Body(-7), Body(0.5), Body("\x01 no"), Body(""),
          Body::array(), Body::array({nullptr}), Body::object(), Body::object({{"odd", 1}}),
          Body::binary({0xff, 0x00})}) {
      put(pointer, other);
    }
  }
  void beyond_words(const std::string& text, const std::string& pointer) {
    for (const std::string& other :
         {text + "\n", " " + text, text + "/../x", text + std::string(3000, 'x'), "\"" + text,
          std::string(1, '\0') + text}) {
      put(pointer, other);
    }
  }
  void beyond_numbers(const Body& schema, const std::string& pointer) {
    if (schema.contains("minimum")) put(pointer, schema["minimum"].get<std::int64_t>() - 1);
    if (schema.contains("maximum")) put(pointer, schema["maximum"].get<std::int64_t>() + 1);
  }
  void inside_map(const Body& schema, const Body& value, const std::string& pointer) {
    for (const auto& [key, inner] : value.items()) {
      const std::string there = (pointer + "/").append(escaped(key));
      Body whole = good_;
      whole[Body::json_pointer(pointer)].erase(key);
      keep(there, std::move(whole));
      if (schema.contains("properties") && schema["properties"].contains(key)) {
        walk(schema["properties"][key], inner, there);
      } else if (schema.contains("additionalProperties") &&
                 schema["additionalProperties"].is_object()) {
        walk(schema["additionalProperties"], inner, there);
      }
    }
    put(pointer + "/a-key-too-many", "x");
  }
  void inside_list(const Body& schema, const Body& value, const std::string& pointer) {
    if (value.empty() || !schema.contains("items")) return;
    walk(schema["items"], value[0], pointer + "/0");
    Body longer = value;
    longer.push_back(Body::object({{"odd", nullptr}}));
    Body whole = good_;
    whole[Body::json_pointer(pointer)] = std::move(longer);
    keep(pointer + "/" + std::to_string(value.size()), std::move(whole));
  }

  std::string name_;
  Body schema_;
  const Body& good_;
  std::vector<std::pair<std::string, Body>> out_;
};

Body schema_of(std::string_view name) {
  for (std::size_t i = 0; i < message::kEmbeddedSchemaCount; ++i) {
    if (name == message::kEmbeddedSchemas[i].name) {
      return Body::parse(message::kEmbeddedSchemas[i].text);
    }
  }
  return Body::object();  // of a reply that has no body
}

}  // namespace

Result<std::vector<BrokenMessage>> break_in_every_way(const Body& envelope) {
  LOCKSTEP_CHECK(message::check_schema("envelope", envelope));
  const auto type = envelope["type"].get<std::string>();
  LOCKSTEP_CHECK(message::check_schema(type, envelope["body"]));
  std::vector<BrokenMessage> out;
  // What is wrong inside the body is for the body's own schema to say.
  Body outside = envelope;
  outside["body"] = Body::object();
  for (auto& [pointer, broken] : Breaker{"envelope", schema_of("envelope"), outside}.all()) {
    if (!pointer.starts_with("/body")) broken["body"] = envelope["body"];
    const auto id = broken.find("id");
    const bool answerable =
        id != broken.end() && id->is_string() && message::is_uuid(id->get<std::string>());
    out.push_back({std::move(broken), pointer, answerable});
  }
  for (auto& [pointer, body] : Breaker{type, schema_of(type), envelope["body"]}.all()) {
    Body broken = envelope;
    broken["body"] = std::move(body);
    out.push_back({std::move(broken), "/body" + pointer, true});
  }
  return out;
}

}  // namespace lockstep::cli::inject
