// Tree: a YAML document as it was written: every node with its place, plain scalars told apart from
// quoted ones, duplicate keys kept. What the text of a scalar means is left to reader.hpp.
//
// Source of the facts on yaml-cpp 0.7: it keeps duplicate keys, reads 010 as 8, and its events
// carry marks that count lines and columns from 0.
//
// Thread rule: values; a tree that is built does not change.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/error/error.hpp"

namespace lockstep::config {

// From 1, in characters of the file.
struct Position {
  int line = 1;
  int column = 1;
  auto operator<=>(const Position&) const = default;
};

struct Node;
using NodePtr = std::shared_ptr<const Node>;

struct Node {
  enum class Kind { nothing, scalar, sequence, map };
  Kind kind = Kind::nothing;
  Position position;
  std::string text;            // scalars
  bool plain = true;           // scalars: without quotes, so that YAML would guess their type
  std::vector<NodePtr> items;  // sequences
  std::vector<std::pair<NodePtr, NodePtr>> entries;  // maps, in order, duplicates too
};

// Exactly one document of at most 1 MiB. An alias shares the node of its anchor, so that a document
// cannot grow by them. Errors: config-syntax (also more than one document, and explicit tags),
// config-missing-key for an empty one.
Result<NodePtr> parse_tree(std::string_view yaml, const std::string& file);

}  // namespace lockstep::config
