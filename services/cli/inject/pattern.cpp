#include "services/cli/inject/pattern.hpp"

#include <regex>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"

namespace lockstep::cli::inject {

namespace {

std::string shown(const Body& value) { return message::showable(value).dump(); }

std::string differs(const std::string& pointer, const std::string& expected, const Body& value) {
  return (pointer.empty() ? "/" : pointer) + ": expected " + expected + ", found " + shown(value);
}

bool is_regex(const std::string& text) {
  return text.size() > 2 && text.front() == '/' && text.back() == '/';
}

bool fits(const std::string& pattern, const Body& value) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  try {
    // libstdc++'s needs stack for every character.
    return std::regex_match(text.substr(0, 4096),
                            std::regex(pattern.substr(1, pattern.size() - 2)));
  } catch (const std::regex_error&) {
    return false;
  }
}

}  // namespace

std::optional<std::string> mismatch(const Body& pattern, const Body& value,
                                    const std::string& pointer) {
  if (pattern.is_object()) {
    if (!value.is_object()) return differs(pointer, "a map", value);
    for (const auto& [key, inner] : pattern.items()) {
      const auto found = value.find(key);
      if (found == value.end()) return (pointer + "/").append(key) + ": not there";
      if (auto wrong = mismatch(inner, *found, (pointer + "/").append(key))) return wrong;
    }
    return {};
  }
  if (pattern.is_array()) {
    if (!value.is_array() || value.size() != pattern.size()) {
      return differs(pointer, "a list of " + std::to_string(pattern.size()), value);
    }
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if (auto wrong = mismatch(pattern[i], value[i], pointer + "/" + std::to_string(i))) {
        return wrong;
      }
    }
    return {};
  }
  if (pattern.is_string()) {
    const auto& text = pattern.get_ref<const std::string&>();
    if (text == "*") return {};
    if (is_regex(text)) {
      if (fits(text, value)) return {};
      return differs(pointer, text, value);
    }
  }
  if (pattern == value) return {};
  return differs(pointer, shown(pattern), value);
}

Result<Body> Values::look_up(const std::string& name, UtcNanos now) {
  if (name == "now") return Body(to_rfc3339(now));
  if (name.starts_with("now+") || name.starts_with("now-")) {
    LOCKSTEP_TRY(const Nanos span, parse_duration(name.substr(4)));
    return Body(to_rfc3339(name[3] == '+' ? now + span : now - span));
  }
  if (name.starts_with("uuid:") && !values_.contains(name)) {
    values_[name] = message::make_uuid7(now);
  }
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  return make_error(ErrorCode::config_bad_value, "the scenario names a value that it has not",
                    "${" + name + "}", "give it by --set " + name + "=VALUE, or `keep` it before");
}

Result<Body> Values::fill(const Body& wish, UtcNanos now) {
  if (wish.is_structured()) {
    Body out = wish;
    for (auto& item : out) {
      LOCKSTEP_TRY(item, fill(item, now));
    }
    return out;
  }
  if (!wish.is_string()) return wish;
  const auto& text = wish.get_ref<const std::string&>();
  std::string out;
  std::size_t done = 0;
  for (;;) {
    const auto open = text.find("${", done);
    const auto close = open == std::string::npos ? open : text.find('}', open);
    if (close == std::string::npos) break;
    LOCKSTEP_TRY(Body value, look_up(text.substr(open + 2, close - open - 2), now));
    if (open == 0 && close + 1 == text.size()) return value;
    out += text.substr(done, open - done);
    out += value.is_string() ? value.get<std::string>() : value.dump();
    done = close + 1;
  }
  if (done == 0) return wish;
  return Body(out + text.substr(done));
}

}  // namespace lockstep::cli::inject
