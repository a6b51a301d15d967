#include "services/cli/inject/scenario.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "common/config/reader.hpp"

namespace lockstep::cli::inject {

namespace {

using config::Map;
using config::Node;
using config::NodePtr;
using config::Value;

// Aliases let a small document say a great deal.
constexpr int kMostNodes = 100'000;

// A message's part as it is written: plain words as JSON has them, quoted ones are text, and
// {$hex: "00ff"} is bytes.
Body json_of(const Node& node, int& left);

Body scalar_of(const Node& node) {
  const std::string& text = node.text;
  if (!node.plain) return text;
  if (text == "true" || text == "false") return text == "true";
  if (text == "null" || text == "~" || text.empty()) return nullptr;
  std::int64_t number = 0;
  const auto* end = text.data() + text.size();
  if (const auto read = std::from_chars(text.data(), end, number);
      read.ec == std::errc{} && read.ptr == end) {
    return number;
  }
  double real = 0;
  if (const auto read = std::from_chars(text.data(), end, real);
      read.ec == std::errc{} && read.ptr == end) {
    return real;
  }
  return text;
}

std::optional<std::string> bytes_from_hex(const std::string& text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    unsigned value = 0;
    const auto read = std::from_chars(text.data() + i, text.data() + i + 2, value, 16);
    if (read.ec != std::errc{} || read.ptr != text.data() + i + 2) return std::nullopt;
    out += static_cast<char>(value);
  }
  return out;
}

Body json_of(const Node& node, int& left) {
  if (--left < 0) return nullptr;
  switch (node.kind) {
    case Node::Kind::nothing:
      return nullptr;
    case Node::Kind::scalar:
      return scalar_of(node);
    case Node::Kind::sequence: {
      Body out = Body::array();
      for (const auto& item : node.items) out.push_back(json_of(*item, left));
      return out;
    }
    case Node::Kind::map:
      break;
  }
  Body out = Body::object();
  for (const auto& [key, value] : node.entries) out[key->text] = json_of(*value, left);
  if (out.size() == 1 && out.contains("$hex") && out["$hex"].is_string()) {
    const auto bytes = bytes_from_hex(out["$hex"].get<std::string>());
    if (bytes) return Body::binary({bytes->begin(), bytes->end()});
  }
  return out;
}

const Node* below(const Node& node, std::string_view key) {
  for (const auto& [name, value] : node.entries) {
    if (name->text == key) return value.get();
  }
  return nullptr;
}

// Reads the map of one step; `node` is the same map, of which messages are taken as they are.
class StepReader {
 public:
  StepReader(Map map, const Node& node) : map_(std::move(map)), node_(node) {}
  ~StepReader() { map_.finish(); }
  StepReader(const StepReader&) = delete;
  StepReader& operator=(const StepReader&) = delete;

  std::string text(const char* key, const char* what_for) {
    const auto value = map_.require(key, what_for);
    return value ? value->text().value_or("") : "";
  }
  std::string text_or(const char* key, const std::string& otherwise) {
    const auto value = map_.find(key);
    return value ? value->text().value_or("") : otherwise;
  }
  void span(const char* key, Nanos& into) {
    if (const auto value = map_.find(key)) into = value->duration(Nanos{1}).value_or(into);
  }
  void number(const char* key, int& into, int least) {
    if (const auto value = map_.find(key)) {
      into = static_cast<int>(value->integer(least, 1'000'000).value_or(into));
    }
  }
  bool flag(const char* key) {
    const auto value = map_.find(key);
    return value && value->boolean().value_or(false);
  }
  std::optional<Body> json(const char* key) {
    if (!map_.find(key)) return std::nullopt;
    const Node* found = below(node_, key);
    int left = kMostNodes;
    Body out = found == nullptr ? Body(nullptr) : json_of(*found, left);
    if (left < 0) map_.problem(ErrorCode::config_bad_value, "this is too much for one message");
    return out;
  }
  std::map<std::string, std::string> texts(const char* key) {
    std::map<std::string, std::string> out;
    const auto value = map_.find(key);
    auto inner = value ? value->map() : std::nullopt;
    if (!inner) return out;
    for (const auto& [name, entry] : inner->entries()) out[name] = entry.text().value_or("");
    return out;
  }
  Map& map() { return map_; }
  const Node& node() const { return node_; }

 private:
  Map map_;
  const Node& node_;
};

constexpr const char* kReceiver = "the service that gets it";

Send send_of(StepReader& in) {
  Send out;
  out.to = in.text("to", kReceiver);
  out.as = in.text_or("as", "");
  if (const auto bytes = in.map().find("bytes")) {
    out.bytes = bytes_from_hex(bytes->text().value_or(""));
    if (!out.bytes) bytes->problem(ErrorCode::config_bad_value, "expected hexadecimal digits");
  } else {
    out.type = in.text("type", "the message's type");
  }
  out.body = in.json("body").value_or(out.body);
  out.envelope = in.json("envelope").value_or(out.envelope);
  out.expect = in.json("expect");
  if (const auto silent = in.map().find("silent")) out.silent = silent->duration();
  in.span("within", out.within);
  out.call = in.text_or("call", "");
  out.keep = in.texts("keep");
  return out;
}

Reply reply_of(StepReader& in) {
  Reply out;
  out.to = in.text("to", "the name that `call` gave the message");
  out.expect = in.json("expect").value_or(Body::object());
  in.span("within", out.within);
  out.keep = in.texts("keep");
  return out;
}

Event event_of(StepReader& in) {
  Event out;
  out.from = in.text("from", "the service that tells it");
  out.pattern = {{"type", in.text("type", "the event's type")}};
  for (const char* key : {"subject", "data"}) {
    if (auto value = in.json(key)) out.pattern[key] = std::move(*value);
  }
  in.span("within", out.within);
  out.absent = in.flag("absent");
  return out;
}

Rule rule_of(StepReader& in) {
  Rule out;
  out.type = in.text("type", "of which messages");
  if (const auto fate = in.map().require("do", "drop, delay, duplicate or reorder")) {
    constexpr Fate kFates[] = {Fate::drop, Fate::delay, Fate::duplicate, Fate::reorder};
    out.fate = kFates[fate->choice({"drop", "delay", "duplicate", "reorder"}).value_or(0)];
  }
  in.number("skip", out.skip, 0);
  in.number("times", out.times, 1);
  in.span("by", out.by);
  return out;
}

Between between_of(StepReader& in) {
  Between out{in.text("from", "who asks"), in.text("to", "who is asked"), {}};
  const auto rules = in.map().require("rules", "what happens to their messages");
  const auto list = rules ? rules->list() : std::nullopt;
  const Node* nodes = below(in.node(), "rules");
  for (std::size_t i = 0; list && nodes != nullptr && i < list->size(); ++i) {
    auto map = (*list)[i].map();
    if (!map) continue;
    StepReader rule{std::move(*map), *nodes->items[i]};
    out.rules.push_back(rule_of(rule));
  }
  return out;
}

Came came_of(StepReader& in) {
  Came out;
  out.from = in.text("from", "who asks");
  out.to = in.text("to", "who is asked");
  out.type = in.text("type", "of which messages");
  in.number("at_least", out.at_least, 1);
  in.span("within", out.within);
  return out;
}

Broken broken_of(StepReader& in) {
  Broken out;
  out.to = in.text("to", kReceiver);
  out.as = in.text_or("as", "");
  out.type = in.text("type", "the message's type");
  out.body = in.json("body").value_or(out.body);
  in.span("within", out.within);
  return out;
}

std::vector<Step> steps_of(const Value& value, const Node& node, const std::string& file);

Repeat repeat_of(StepReader& in, const std::string& file) {
  Repeat out;
  in.number("times", out.times, 1);
  if (const auto steps = in.map().require("steps", "what is repeated")) {
    if (const Node* node = below(in.node(), "steps")) out.steps = steps_of(*steps, *node, file);
  }
  return out;
}

std::optional<Act> act_of(const std::string& kind, const Value& value, const Node& node,
                          const std::string& file) {
  if (kind == "wait") return Wait{value.duration().value_or(Nanos{})};
  if (kind == "program") {
    return Program{value.texts().value_or(std::vector<std::string>{})};
  }
  if (kind == "kill" && !value.is_map()) return Kill{value.name().value_or("")};
  auto map = value.map();
  if (!map) return std::nullopt;
  StepReader in{std::move(*map), node};
  if (kind == "send") return send_of(in);
  if (kind == "reply") return reply_of(in);
  if (kind == "event") return event_of(in);
  if (kind == "between") return between_of(in);
  if (kind == "came") return came_of(in);
  if (kind == "broken") return broken_of(in);
  return repeat_of(in, file);
}

std::vector<Step> steps_of(const Value& value, const Node& node, const std::string& file) {
  static const std::vector<std::string> kKinds{"send", "reply",  "event", "wait",    "between",
                                               "came", "broken", "kill",  "program", "repeat"};
  std::vector<Step> out;
  const auto list = value.list();
  for (std::size_t i = 0; list && i < list->size(); ++i) {
    const Node& item = *node.items[i];
    auto map = (*list)[i].map();
    if (!map) continue;
    if (item.entries.size() != 1) {
      map->problem(ErrorCode::config_bad_value, "a step is one thing to do",
                   "begin each with its own `- `");
      continue;
    }
    std::optional<Step> step;
    for (const auto& kind : kKinds) {
      const auto found = map->find(kind);
      if (!found) continue;
      auto act = act_of(kind, *found, *item.entries[0].second, file);
      if (act) step = Step{std::move(*act), file + ":" + std::to_string(item.position.line)};
    }
    map->finish();
    if (step) out.push_back(std::move(*step));
  }
  return out;
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view yaml, const std::string& shown_as) {
  LOCKSTEP_TRY(const NodePtr tree, config::parse_tree(yaml, shown_as));
  config::Report report{shown_as};
  auto root = Value{tree, "", report}.map();
  if (!root) return report.error();
  Scenario out;
  if (const auto title = root->require("title", "the story in one line")) {
    out.title = title->text().value_or("");
  }
  if (const auto steps = root->require("steps", "what happens")) {
    const Node* node = below(*tree, "steps");
    if (node != nullptr) out.steps = steps_of(*steps, *node, shown_as);
  }
  root->finish();
  if (!report.clean()) return report.error();
  return out;
}

}  // namespace lockstep::cli::inject
