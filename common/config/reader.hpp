// Reader: a YAML document read key by key, every mistake with its place and what was expected.
//
// A caller asks a Map for the keys it knows; finish() then names those that nobody asked for, with
// the nearest known one. Reads return nothing after recording a finding, so that one pass shows all
// findings of a document. What YAML readers disagree on (yes, 010, 1:30, 1e3, ~) is refused where
// it could mislead, never guessed.
//
// Thread rule: one thread; a Report outlives the Values and Maps that write to it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/config/tree.hpp"
#include "common/error/error.hpp"

namespace lockstep::config {

// Findings of one document.
class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  void add(Position at, ErrorCode code, std::string what, std::string hint = {});
  bool clean() const { return findings_.empty(); }
  // In the order of the document.
  std::vector<Error> findings() const;
  // The first finding; the others stand in its hint, one a line. Requires: not clean().
  Error error() const;
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::vector<std::pair<Position, Error>> findings_;
};

class Map;

// A node of the document and the way to it ("data_sets[1].path").
class Value {
 public:
  Value(NodePtr node, std::string path, Report& report)
      : node_(std::move(node)), path_(std::move(path)), report_(&report) {}

  Position position() const { return node_->position; }
  const std::string& path() const { return path_; }
  bool is_map() const { return node_->kind == Node::Kind::map; }
  bool is_list() const { return node_->kind == Node::Kind::sequence; }

  // Records a finding at this value.
  void problem(ErrorCode code, std::string what, std::string hint = {}) const;

  std::optional<Map> map() const;
  std::optional<std::vector<Value>> list() const;
  // Not empty; at most 4096 bytes, without NUL. A plain scalar that YAML would take for something
  // else than text is refused.
  std::optional<std::string> text() const;
  // A path without `..`, `.`, `//` or a `/` at its end. `hint`: where it is not absolute.
  std::optional<std::string> absolute_path(std::string hint = {}) const;
  // [a-z0-9][a-z0-9-]*, at most 63 characters: it stands in file names.
  std::optional<std::string> name() const;
  std::optional<std::vector<std::string>> texts() const;
  std::optional<std::vector<std::string>> names() const;
  std::optional<std::int64_t> integer(std::int64_t least, std::int64_t most) const;
  std::optional<bool> boolean() const;  // true or false, nothing else
  std::optional<Nanos> duration(Nanos least = {1},
                                Nanos most = {std::numeric_limits<std::int64_t>::max()}) const;
  std::optional<UtcNanos> instant() const;
  // "512KiB", "20MB": bytes. A bare number is refused.
  std::optional<std::uint64_t> bytes() const;
  // Which of `words` it is.
  std::optional<std::size_t> choice(std::initializer_list<std::string_view> words) const;

 private:
  const std::string* scalar(std::string_view expected) const;
  std::string found() const;

  NodePtr node_;
  std::string path_;
  Report* report_;
};

// A map of which the caller knows the keys, or (entries) whose keys are names that the user chose.
class Map {
 public:
  Map(NodePtr node, std::string path, Report& report);

  // The key's value; nothing where it does not stand there.
  std::optional<Value> find(std::string_view key);
  // Records config-missing-key where it does not stand there; `what_for` says what it is.
  std::optional<Value> require(std::string_view key, std::string_view what_for);
  // All entries; the keys are checked as names.
  std::vector<std::pair<std::string, Value>> entries();
  // Records every key that was not asked for. Call last.
  void finish();
  Position position() const { return node_->position; }
  const std::string& path() const { return path_; }
  void problem(ErrorCode code, std::string what, std::string hint = {}) const;

 private:
  std::string below(std::string_view key) const;

  NodePtr node_;
  std::string path_;
  Report* report_;
  std::vector<std::string> asked_;
  bool all_known_ = false;
};

// The document's root. Error: config-syntax.
Result<Value> read_document(std::string_view yaml, Report& report);

// The word of `known` that `word` is probably meant for, or nothing.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

// Why a plain scalar could be taken for something else than text: "a number in octal", "true or
// false", ...; nothing where it cannot.
std::optional<std::string> plain_scalar_trap(std::string_view text);

bool is_name(std::string_view text);

}  // namespace lockstep::config
