#include "common/components/files/native.hpp"

#include <nlohmann/json.hpp>

namespace lockstep::files {

std::string to_text(const Native& native) {
  nlohmann::json text = {
      {"tree", native.tree}, {"hold", native.hold}, {"form", native.form}, {"uuid", native.uuid}};
  if (!native.exclude.empty()) text["exclude"] = native.exclude;
  if (native.settled_before_ns != 0) text["settled_before_ns"] = native.settled_before_ns;
  return text.dump();
}

Result<Native> native_from_text(const std::string& text) {
  const nlohmann::json parsed = nlohmann::json::parse(text, nullptr, false);
  const auto string_of = [&parsed](const char* key) -> std::string {
    const auto found = parsed.find(key);
    return found != parsed.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  if (!parsed.is_object() || string_of("tree").empty() || string_of("hold").empty()) {
    return make_error(ErrorCode::version_missing, "this is no version of files", text);
  }
  Native native{.tree = string_of("tree"),
                .hold = string_of("hold"),
                .form = string_of("form"),
                .uuid = string_of("uuid"),
                .exclude = {},
                .settled_before_ns = 0};
  if (const auto found = parsed.find("exclude"); found != parsed.end() && found->is_array()) {
    for (const auto& pattern : *found) {
      if (pattern.is_string()) native.exclude.push_back(pattern.get<std::string>());
    }
  }
  if (const auto found = parsed.find("settled_before_ns");
      found != parsed.end() && found->is_number_integer()) {
    native.settled_before_ns = found->get<std::int64_t>();
  }
  return native;
}

}  // namespace lockstep::files
