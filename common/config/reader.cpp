#include "common/config/reader.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

namespace lockstep::config {

namespace {

std::string listed(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

std::string in_ticks(std::string_view text) {
  std::string out = "`";
  out += text.size() > 80 ? std::string{text.substr(0, 77)} + "..." : std::string{text};
  out += "`";
  return out;
}

}  // namespace

void Report::add(Position at, ErrorCode code, std::string what, std::string hint) {
  findings_.emplace_back(
      at, make_error(code, std::move(what),
                     file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                     std::move(hint)));
}

std::vector<Error> Report::findings() const {
  auto sorted = findings_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Error> out;
  for (auto& [at, error] : sorted) out.push_back(std::move(error));
  return out;
}

Error Report::error() const {
  const auto all = findings();
  if (all.empty()) std::abort();
  Error first = all.front();
  if (all.size() == 1) return first;
  constexpr std::size_t kShown = 20;
  first.hint = std::string{first.advice()};
  for (std::size_t i = 1; i < all.size() && i < kShown; ++i) {
    first.hint += "\nalso " + all[i].where + ": " + all[i].what;
    if (!all[i].hint.empty()) first.hint += " (" + all[i].hint + ")";
  }
  if (all.size() > kShown) first.hint += "\nand " + std::to_string(all.size() - kShown) + " more";
  return first;
}

void Value::problem(ErrorCode code, std::string what, std::string hint) const {
  report_->add(position(), code, path_.empty() ? std::move(what) : path_ + ": " + what,
               std::move(hint));
}

std::string Value::found() const {
  switch (node_->kind) {
    case Node::Kind::nothing:
      return "nothing";
    case Node::Kind::sequence:
      return "a list";
    case Node::Kind::map:
      return "a map of keys";
    case Node::Kind::scalar:
      break;
  }
  return node_->plain ? in_ticks(node_->text) : "the text \"" + node_->text + "\"";
}

const std::string* Value::scalar(std::string_view expected) const {
  if (node_->kind == Node::Kind::scalar) return &node_->text;
  problem(ErrorCode::config_wrong_type, "expected " + std::string{expected} + ", found " + found());
  return nullptr;
}

std::optional<Map> Value::map() const {
  if (is_map()) return Map{node_, path_, *report_};
  problem(ErrorCode::config_wrong_type, "expected a map of keys, found " + found());
  return std::nullopt;
}

std::optional<std::vector<Value>> Value::list() const {
  if (!is_list()) {
    problem(ErrorCode::config_wrong_type, "expected a list, found " + found(),
            node_->kind == Node::Kind::scalar && node_->plain ? "write [" + node_->text + "]" : "");
    return std::nullopt;
  }
  std::vector<Value> out;
  for (std::size_t i = 0; i < node_->items.size(); ++i) {
    out.emplace_back(node_->items[i], path_ + "[" + std::to_string(i) + "]", *report_);
  }
  return out;
}

std::optional<std::string> Value::text() const {
  const std::string* text = scalar("text");
  if (text == nullptr) return std::nullopt;
  if (node_->plain) {
    if (const auto trap = plain_scalar_trap(*text)) {
      problem(ErrorCode::config_wrong_type,
              "expected text, found " + found() + ", which is " + *trap,
              "write it in quotes: \"" + *text + "\"");
      return std::nullopt;
    }
  }
  if (text->empty() || text->size() > 4096 || text->find('\0') != std::string::npos) {
    problem(ErrorCode::config_bad_value, text->empty() ? "expected text, found an empty one"
                                                       : "expected at most 4096 bytes without NUL");
    return std::nullopt;
  }
  return *text;
}

std::optional<std::string> Value::absolute_path(std::string hint) const {
  const auto text = this->text();
  if (!text) return std::nullopt;
  const std::filesystem::path path{*text};
  const auto normal = path.lexically_normal();
  if (path.is_absolute() && *text == normal.string() && path.has_filename()) return text;
  if (path.is_absolute()) {
    const auto meant = normal.has_filename() ? normal : normal.parent_path();
    hint = normal.has_relative_path() ? "write " + meant.string() : "";
  }
  problem(ErrorCode::config_bad_value,
          "expected an absolute path without `..`, `.`, `//` or a `/` at its end, found " + found(),
          std::move(hint));
  return std::nullopt;
}

std::optional<std::string> Value::name() const {
  const auto word = text();
  if (!word) return std::nullopt;
  if (is_name(*word)) return word;
  problem(ErrorCode::config_bad_value,
          "expected a name of small letters, digits and `-` (at most 63, not beginning with `-`), "
          "found " +
              in_ticks(*word));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Value::texts() const {
  const auto values = list();
  if (!values) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& value : *values) {
    if (auto word = value.text()) out.push_back(std::move(*word));
  }
  return out;
}

std::optional<std::vector<std::string>> Value::names() const {
  const auto values = list();
  if (!values) return std::nullopt;
  std::vector<std::string> out;
  for (const auto& value : *values) {
    auto word = value.name();
    if (!word) continue;
    if (std::find(out.begin(), out.end(), *word) != out.end()) {
      value.problem(ErrorCode::config_bad_value, in_ticks(*word) + " stands twice in the list");
      continue;
    }
    out.push_back(std::move(*word));
  }
  return out;
}

std::optional<std::int64_t> Value::integer(std::int64_t least, std::int64_t most) const {
  const std::string range =
      "a whole number from " + std::to_string(least) +
      (most == std::numeric_limits<std::int64_t>::max() ? std::string{" up"}
                                                        : " to " + std::to_string(most));
  const std::string* text = scalar(range);
  if (text == nullptr) return std::nullopt;
  if (!node_->plain) {
    problem(ErrorCode::config_wrong_type, "expected " + range + ", found " + found(),
            "write it without quotes");
    return std::nullopt;
  }
  const std::string_view digits =
      text->starts_with('-') ? std::string_view{*text}.substr(1) : std::string_view{*text};
  const bool decimal =
      !digits.empty() && digits.size() <= 19 &&
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!decimal || (digits.size() > 1 && digits.front() == '0')) {
    const auto trap = plain_scalar_trap(*text);
    problem(ErrorCode::config_wrong_type,
            "expected " + range + ", found " + found() + (trap ? ", which is " + *trap : ""),
            "write it in plain decimal digits");
    return std::nullopt;
  }
  std::int64_t number = 0;
  const auto result = std::from_chars(text->data(), text->data() + text->size(), number);
  if (result.ec != std::errc{} || number < least || number > most) {
    problem(ErrorCode::config_bad_value, "expected " + range + ", found " + found());
    return std::nullopt;
  }
  return number;
}

std::optional<bool> Value::boolean() const {
  const std::string* text = scalar("true or false");
  if (text == nullptr) return std::nullopt;
  if (node_->plain && *text == "true") return true;
  if (node_->plain && *text == "false") return false;
  problem(ErrorCode::config_wrong_type, "expected true or false, found " + found(),
          "write true or false, in small letters and without quotes");
  return std::nullopt;
}

std::optional<Nanos> Value::duration(Nanos least, Nanos most) const {
  const std::string* text = scalar("a span of time such as 250ms, 30s, 1h30m");
  if (text == nullptr) return std::nullopt;
  const auto span = parse_duration(*text);
  if (!span) {
    std::string what = "expected a span of time such as 250ms, 30s, 1h30m, found " + found();
    std::string hint;
    const bool only_digits = !text->empty() && std::all_of(text->begin(), text->end(), [](char c) {
      return c >= '0' && c <= '9';
    });
    if (only_digits) {
      what += ", which has no unit";
      hint = "write " + *text + "s, " + *text + "m or " + *text + "h";
    } else if (text->find(':') != std::string::npos) {
      if (const auto trap = plain_scalar_trap(*text)) what += ", which is " + *trap;
    }
    problem(ErrorCode::config_bad_value, std::move(what), std::move(hint));
    return std::nullopt;
  }
  if (*span < least || *span > most) {
    std::string what = "expected at least " + to_duration(least);
    if (most.count != std::numeric_limits<std::int64_t>::max()) {
      what += " and at most " + to_duration(most);
    }
    problem(ErrorCode::config_bad_value, what + ", found " + found());
    return std::nullopt;
  }
  return *span;
}

std::optional<UtcNanos> Value::instant() const {
  const std::string* text = scalar("an instant such as 2026-11-21T02:00:00Z");
  if (text == nullptr) return std::nullopt;
  const auto instant = parse_rfc3339(*text);
  if (instant) return *instant;
  problem(ErrorCode::config_bad_value,
          "expected an instant such as 2026-11-21T02:00:00Z, found " + found());
  return std::nullopt;
}

std::optional<std::uint64_t> Value::bytes() const {
  const std::string* text = scalar("a size such as 512KiB, 20MB, 1GiB");
  if (text == nullptr) return std::nullopt;
  static const std::map<std::string_view, std::uint64_t> kUnits{{"B", 1},
                                                                {"kB", 1000},
                                                                {"MB", 1000000},
                                                                {"GB", 1000000000},
                                                                {"KiB", 1 << 10},
                                                                {"MiB", 1 << 20},
                                                                {"GiB", 1 << 30},
                                                                {"TiB", std::uint64_t{1} << 40},
                                                                {"TB", 1000000000000}};
  std::uint64_t number = 0;
  const char* end = text->data() + text->size();
  const auto result = std::from_chars(text->data(), end, number);
  const auto unit =
      kUnits.find(std::string_view{result.ptr, static_cast<std::size_t>(end - result.ptr)});
  std::uint64_t product = 0;
  if (result.ec != std::errc{} || unit == kUnits.end() ||
      __builtin_mul_overflow(number, unit->second, &product)) {
    problem(ErrorCode::config_bad_value,
            "expected a size such as 512KiB, 20MB, 1GiB, found " + found());
    return std::nullopt;
  }
  return product;
}

std::optional<std::size_t> Value::choice(std::initializer_list<std::string_view> words) const {
  const std::vector<std::string> known(words.begin(), words.end());
  const std::string expected = "one of " + listed(known);
  const std::string* text = scalar(expected);
  if (text == nullptr) return std::nullopt;
  const auto at = std::find(known.begin(), known.end(), *text);
  if (at != known.end()) return static_cast<std::size_t>(at - known.begin());
  const auto near = nearest(*text, known);
  problem(ErrorCode::config_bad_value, "expected " + expected + ", found " + found(),
          near ? "did you mean `" + *near + "`?" : "");
  return std::nullopt;
}

Map::Map(NodePtr node, std::string path, Report& report)
    : node_(std::move(node)), path_(std::move(path)), report_(&report) {
  std::map<std::string, Position> seen;
  for (const auto& [key, value] : node_->entries) {
    if (key->kind != Node::Kind::scalar) {
      report_->add(key->position, ErrorCode::config_wrong_type, "expected a key of text");
      continue;
    }
    const auto [at, fresh] = seen.emplace(key->text, key->position);
    if (!fresh) {
      report_->add(key->position, ErrorCode::config_duplicate_key,
                   "the key " + in_ticks(key->text) +
                       " stands here for the second time; the first is in line " +
                       std::to_string(at->second.line));
    }
  }
}

std::string Map::below(std::string_view key) const {
  return path_.empty() ? std::string{key} : path_ + "." + std::string{key};
}

void Map::problem(ErrorCode code, std::string what, std::string hint) const {
  report_->add(position(), code, path_.empty() ? std::move(what) : path_ + ": " + what,
               std::move(hint));
}

std::optional<Value> Map::find(std::string_view key) {
  asked_.emplace_back(key);
  for (const auto& [name, value] : node_->entries) {
    if (name->kind == Node::Kind::scalar && name->text == key) {
      return Value{value, below(key), *report_};
    }
  }
  return std::nullopt;
}

std::optional<Value> Map::require(std::string_view key, std::string_view what_for) {
  auto value = find(key);
  if (!value) {
    problem(ErrorCode::config_missing_key,
            "the key " + in_ticks(key) + " is missing (" + std::string{what_for} + ")");
  }
  return value;
}

std::vector<std::pair<std::string, Value>> Map::entries() {
  all_known_ = true;
  std::vector<std::pair<std::string, Value>> out;
  std::set<std::string> seen;
  for (const auto& [key, value] : node_->entries) {
    const auto name = Value{key, path_, *report_}.name();
    // Of a key that stands twice (already recorded) the first counts.
    if (name && seen.insert(*name).second) {
      out.emplace_back(*name, Value{value, below(*name), *report_});
    }
  }
  return out;
}

void Map::finish() {
  if (all_known_) return;
  for (const auto& [key, value] : node_->entries) {
    if (key->kind != Node::Kind::scalar) continue;
    if (std::find(asked_.begin(), asked_.end(), key->text) != asked_.end()) continue;
    const auto near = nearest(key->text, asked_);
    report_->add(key->position, ErrorCode::config_unknown_key,
                 "unknown key " + in_ticks(key->text) + (path_.empty() ? "" : " in " + path_),
                 near ? "did you mean `" + *near + "`?" : "known keys: " + listed(asked_));
  }
}

Result<Value> read_document(std::string_view yaml, Report& report) {
  LOCKSTEP_TRY(auto tree, parse_tree(yaml, report.file()));
  return Value{std::move(tree), "", report};
}

}  // namespace lockstep::config
