#include "common/components/hdfs/changes.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace lockstep::hdfs {

using component::Change;
using component::Entry;

namespace {
constexpr std::size_t kBatch = 256;

struct InOrder {
  bool operator()(const std::string& a, const std::string& b) const {
    return component::path_less(a, b);
  }
};
}  // namespace

// Paths of a difference are those of the older state, and may be of neither where directories above
// were renamed. That does no harm: a path that is not there is one more look, and what lies in a
// renamed directory is listed whole.
std::vector<Touched> touched_by(std::vector<Difference> differences) {
  std::map<std::string, bool, InOrder> all;
  const auto touch = [&all](std::string path, bool below) {
    bool& known = all[std::move(path)];
    known = known || below;
  };
  for (Difference& difference : differences) {
    if (difference.kind == Difference::Kind::renamed) touch(std::move(difference.to), true);
    touch(std::move(difference.path), difference.kind == Difference::Kind::created);
  }
  std::vector<Touched> out;
  std::optional<std::string> whole;  // the last directory with all it holds
  for (auto& [path, below] : all) {
    if (whole && component::path_inside(path, *whole)) continue;
    if (below) whole = path;
    out.push_back({path, below});
  }
  return out;
}

Changes::Changes(WebHdfs& hdfs, Crew& crew, std::string root, std::vector<Touched> touched,
                 std::uint64_t mark, ErrorCode side)
    : hdfs_(hdfs),
      crew_(crew),
      root_(std::move(root)),
      touched_(std::move(touched)),
      mark_(mark),
      side_(side) {}

Result<void> Changes::describe() {
  described_ = position_;
  const std::size_t count = std::min(kBatch, touched_.size() - position_);
  std::vector<std::optional<Result<std::optional<Entry>>>> got(count);
  crew_.each(count, [&](std::size_t i) {
    got[i] = look_at(hdfs_, root_, touched_[position_ + i].path, side_);
  });
  entries_.clear();
  for (auto& entry : got) {
    LOCKSTEP_TRY(std::optional<Entry> described, std::move(*entry));
    entries_.push_back(std::move(described));
  }
  return {};
}

Result<std::optional<Change>> Changes::next() {
  if (below_ != nullptr) {
    LOCKSTEP_TRY(std::optional<Entry> entry, below_->next());
    if (entry) {
      Change change{entry->path, {}, false};
      change.now = std::move(entry);
      return std::optional<Change>(std::move(change));
    }
    below_.reset();
  }
  if (position_ == touched_.size()) return std::optional<Change>();
  if (position_ >= described_ + entries_.size()) LOCKSTEP_CHECK(describe());
  Change change;
  change.path = touched_[position_].path;
  change.now = std::move(entries_[position_ - described_]);
  const bool directory = change.now && change.now->kind == component::EntryKind::directory;
  if (change.now && !directory) change.now->native.generation = mark_;
  if (directory && touched_[position_].below) {
    change.below = true;
    below_ = std::make_unique<Listing>(hdfs_, crew_, root_, change.path, side_);
    LOCKSTEP_CHECK(below_->next());  // itself
  }
  ++position_;
  return std::optional<Change>(std::move(change));
}

}  // namespace lockstep::hdfs
