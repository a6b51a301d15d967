// The only translation unit that sees valijson.
#include <map>
#include <mutex>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include "common/message/bytes.hpp"
#include "common/message/embedded_schemas.hpp"

namespace lockstep::message {

namespace {

using Adapter = valijson::adapters::NlohmannJsonAdapter;

// JSON Schema has no bytes: for the check a bin stands as {"$bin": its length}, which schemas allow
// where any bytes may stand (definitions.json, "bytes").
constexpr const char* kBin = "$bin";
// valijson matches patterns by std::regex, whose libstdc++ form needs stack for every character.
// Texts are cut to this for the check; no schema sets a length or a pattern that looks further.
constexpr std::size_t kLongestChecked = 2048;

struct Find {
  bool needs_view = false;
  bool forged_bin = false;
};

void look(const Body& value, Find& find) {
  if (value.is_binary()) find.needs_view = true;
  if (value.is_string() && value.get_ref<const std::string&>().size() > kLongestChecked) {
    find.needs_view = true;
  }
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      if (key == kBin) find.forged_bin = true;
      look(item, find);
    }
  } else if (value.is_array()) {
    for (const auto& item : value) look(item, find);
  }
}

// `value` as the check sees it.
Body view_of(const Body& value) {
  if (value.is_binary()) return Body{{kBin, value.get_binary().size()}};
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() <= kLongestChecked) return value;
    std::size_t cut = kLongestChecked;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) == 0x80U) --cut;
    return text.substr(0, cut);
  }
  if (value.is_array()) {
    Body out = Body::array();
    for (const auto& item : value) out.push_back(view_of(item));
    return out;
  }
  if (value.is_object()) {
    Body out = Body::object();
    for (const auto& [key, item] : value.items()) out[key] = view_of(item);
    return out;
  }
  return value;
}

const EmbeddedSchema* find_embedded(std::string_view name) {
  const EmbeddedSchema* end = kEmbeddedSchemas + kEmbeddedSchemaCount;
  for (const auto* row = kEmbeddedSchemas; row != end; ++row) {
    if (name == row->name) return row;
  }
  return nullptr;
}

// The schema's own name, or "empty" for a reply whose request is known and that has no body.
const EmbeddedSchema* resolve(std::string_view name) {
  if (const auto* own = find_embedded(name)) return own;
  for (const std::string_view stage : {".done", ".accepted"}) {
    if (!name.ends_with(stage)) continue;
    if (find_embedded(name.substr(0, name.size() - stage.size()))) return find_embedded("empty");
  }
  return nullptr;
}

const valijson::Schema& parsed(const EmbeddedSchema& embedded) {
  static std::mutex mutex;
  static std::map<const EmbeddedSchema*, std::unique_ptr<valijson::Schema>> cache;
  const std::lock_guard lock(mutex);
  auto& slot = cache[&embedded];
  if (!slot) {
    auto schema = std::make_unique<valijson::Schema>();
    const Body document = Body::parse(embedded.text);
    valijson::SchemaParser(valijson::SchemaParser::kDraft7)
        .populateSchema(Adapter(document), *schema);
    slot = std::move(schema);
  }
  return *slot;
}

// Keys of a message may be as long as the message; what is told of them is not.
std::string clipped(std::string text) {
  constexpr std::size_t kLongest = 300;
  if (text.size() <= kLongest) return text;
  return show(text.substr(0, kLongest)) + "...";
}

std::string pointer_part(std::string part) {
  std::string out = "/";
  for (const char c : part) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

// valijson's context is {"<root>", "[sets]", "[0]"}; a missing or an unwanted key stands only in
// the description, in quotes.
std::string pointer(const valijson::ValidationResults::Error& error) {
  std::string out;
  for (std::size_t i = 1; i < error.context.size(); ++i) {
    std::string part = error.context[i];
    if (part.size() >= 2 && part.front() == '[') part = part.substr(1, part.size() - 2);
    out += pointer_part(std::move(part));
  }
  const bool names_key = error.description.starts_with("Missing required property") ||
                         error.description.starts_with("Object contains a property");
  const auto open = error.description.find(": '");
  const auto missing = error.description.find("property '");
  const auto begin = open != std::string::npos ? open + 3 : missing + 10;
  const auto close = error.description.rfind('\'');
  if (names_key && close != std::string::npos && begin <= close) {
    out += pointer_part(error.description.substr(begin, close - begin));
  }
  return out.empty() ? "/" : clipped(std::move(out));
}

// The deepest problem is the one that says which field; those above it follow from it.
Error explain(std::string_view name, const valijson::ValidationResults& results) {
  const valijson::ValidationResults::Error* deepest = nullptr;
  for (const auto& error : results) {
    if (deepest == nullptr || error.context.size() > deepest->context.size()) deepest = &error;
  }
  if (deepest == nullptr) {
    return make_error(ErrorCode::message_schema, std::string(name) + " does not match its schema",
                      "/");
  }
  std::string what = deepest->description;
  if (what.ends_with('.')) what.pop_back();
  return make_error(ErrorCode::message_schema, std::string(name) + ": " + clipped(std::move(what)),
                    pointer(*deepest));
}

}  // namespace

bool schema_exists(std::string_view name) { return resolve(name) != nullptr; }

Result<void> check_schema(std::string_view name, const Body& body) {
  const EmbeddedSchema* embedded = resolve(name);
  if (embedded == nullptr) {
    return make_error(ErrorCode::message_unknown_type, "no message of this name is known",
                      show(name.substr(0, 200)));
  }
  Find find;
  look(body, find);
  if (find.forged_bin) {
    return make_error(ErrorCode::message_schema, std::string(name) + ": the key '$bin' is reserved",
                      "/");
  }
  const Body view = find.needs_view ? view_of(body) : Body();
  const Body& checked = find.needs_view ? view : body;
  thread_local valijson::Validator validator;
  try {
    const valijson::Schema& schema = parsed(*embedded);
    if (validator.validate(schema, Adapter(checked), nullptr)) return {};
    valijson::ValidationResults results;
    validator.validate(schema, Adapter(checked), &results);
    return explain(name, results);
  } catch (const std::exception& problem) {
    return make_error(ErrorCode::internal,
                      "cannot check a message against its schema: " + std::string(problem.what()),
                      std::string(name));
  }
}

}  // namespace lockstep::message
