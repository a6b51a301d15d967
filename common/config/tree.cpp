#include "common/config/tree.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <map>
#include <sstream>

namespace lockstep::config {

namespace {

constexpr std::size_t kMaxBytes = 1024 * 1024;

Position position_of(const YAML::Mark& mark) {
  // A null mark (-1, -1) stands in errors of yaml-cpp that have no place.
  return {mark.line < 0 ? 1 : mark.line + 1, mark.column < 0 ? 1 : mark.column + 1};
}

class Builder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(anchor, leaf(Node::Kind::nothing, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw YAML::ParserException(mark, "an alias inside the node that it names");
    }
    place(found->second);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    auto node = leaf(Node::Kind::scalar, mark);
    node->text = value;
    node->plain = tag != "!" && tag != "tag:yaml.org,2002:str";
    if (node->plain && tag != "?" && !tag.empty()) refuse_tag(mark, tag);
    add(anchor, std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (tag != "?" && tag != "!" && !tag.empty()) refuse_tag(mark, tag);
    open_.push_back({leaf(Node::Kind::sequence, mark), anchor, nullptr});
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (tag != "?" && tag != "!" && !tag.empty()) refuse_tag(mark, tag);
    open_.push_back({leaf(Node::Kind::map, mark), anchor, nullptr});
  }
  void OnMapEnd() override { close(); }

  NodePtr root() const { return root_; }

 private:
  struct Open {
    std::shared_ptr<Node> node;
    YAML::anchor_t anchor;
    NodePtr key;  // of a map: read, its value is awaited
  };

  [[noreturn]] static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    throw YAML::ParserException(mark, "the tag `" + tag + "` is not used here; leave it out");
  }
  static std::shared_ptr<Node> leaf(Node::Kind kind, const YAML::Mark& mark) {
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->position = position_of(mark);
    return node;
  }
  void add(YAML::anchor_t anchor, std::shared_ptr<Node> node) {
    if (anchor != 0) anchors_[anchor] = node;
    place(std::move(node));
  }
  void place(NodePtr node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node->kind == Node::Kind::sequence) {
      parent.node->items.push_back(std::move(node));
    } else if (parent.key == nullptr) {
      parent.key = std::move(node);
    } else {
      parent.node->entries.emplace_back(std::move(parent.key), std::move(node));
      parent.key = nullptr;
    }
  }
  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(done.anchor, std::move(done.node));
  }

  NodePtr root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, NodePtr> anchors_;
};

Error syntax(const std::string& file, Position at, std::string what) {
  std::string hint;
  if (what.find("alias") != std::string::npos) {
    hint = "a value that begins with `*` or `&` stands in quotes: cron: \"* * * * *\"";
  } else if (what.find("end of map") != std::string::npos ||
             what.find("illegal map") != std::string::npos) {
    hint = "check the indentation, and put text that holds `: ` in quotes";
  }
  return make_error(ErrorCode::config_syntax, std::move(what),
                    file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                    std::move(hint));
}

}  // namespace

Result<NodePtr> parse_tree(std::string_view yaml, const std::string& file) {
  if (yaml.size() > kMaxBytes) {
    return syntax(file, {}, "the document is larger than 1 MiB");
  }
  std::istringstream in{std::string{yaml}};
  try {
    YAML::Parser parser{in};
    Builder builder;
    if (!parser.HandleNextDocument(builder) || builder.root() == nullptr ||
        builder.root()->kind == Node::Kind::nothing) {
      return make_error(ErrorCode::config_missing_key, "the document is empty", file + ":1:1");
    }
    Builder second;
    if (parser.HandleNextDocument(second)) {
      return syntax(file, second.root() == nullptr ? Position{} : second.root()->position,
                    "a second document begins here; one file holds one");
    }
    return builder.root();
  } catch (const YAML::Exception& exception) {
    return syntax(file, position_of(exception.mark), "not valid YAML: " + exception.msg);
  } catch (const std::exception& exception) {
    return syntax(file, {}, std::string{"not valid YAML: "} + exception.what());
  }
}

}  // namespace lockstep::config
