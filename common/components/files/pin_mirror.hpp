// Mirror: brings a pin's tree to what the data set holds, in one pass over the set.
//
// A tree pin is made in two passes. The first, at arm, runs while writers may be at work and does
// most of it: it leaves out what was changed too lately to be told from a change still to come. The
// second, under the fence, brings the tree up to date and is followed by the proof.
//
// Hard links: an inode with several names is also linked as "<inode>-<ctime>" in a directory of its
// own, which finds it again for the next name without a map in memory.
//
// Thread rule: one thread an object.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/components/files/names.hpp"
#include "common/components/files/origin.hpp"
#include "common/components/files/pin_copy.hpp"
#include "common/components/files/pin_walk.hpp"

namespace lockstep::files {

// A clock tick and more: the kernel stamps inodes with a clock that moves 100 to 1000 times a
// second, so that two changes within one tick may carry one ctime.
inline constexpr Nanos kTick = milliseconds(10);

struct MirrorPlan {
  std::string shown;    // the set's place, for messages
  std::string scratch;  // a directory for scratch files
  bool live = false;    // the first pass
  // What has a ctime at or after this instant is left out by the first pass and fails the second.
  std::int64_t settled_before_ns = 0;
  int tree = -1;   // the pin's root directory
  int links = -1;  // where inodes with several names are kept
  // An earlier pin to link unchanged files from; -1: none.
  int base_tree = -1;
  OriginReader* base = nullptr;
  OriginReader* ahead = nullptr;  // second pass: what the first recorded
  OriginWriter* record = nullptr;
};

struct MirrorCounts {
  std::uint64_t entries = 0;  // seen, directories too
  std::uint64_t done = 0;     // files and the like that lie in the tree now
  std::uint64_t copied = 0;   // of them: made anew
};

class Mirror final : public Visitor {
 public:
  Mirror(os::Disk& disk, InodeCopier& copier, MirrorPlan plan, std::function<bool()> stop);

  Result<void> enter(const Node& node) override;
  Result<void> leave(const Node& node, int descriptor) override;
  Result<void> entry(const Node& node) override;

  const MirrorCounts& counts() const { return counts_; }
  // True where `stop` ended the walk (which then returns `cancelled`).
  bool stopped() const { return stopped_; }

 private:
  std::string shown(const Node& node) const;
  // A directory of the pin on the way to where the walk is.
  struct Level {
    std::string path;
    os::Fd fd;  // of the deepest levels only; opened again when needed
    // Second pass: what the pin holds there already, as far as the walk has not come to it.
    std::unique_ptr<SortedNames> there;
    std::optional<Name> next;
  };
  Result<int> inside();
  Error stop_here();
  Result<void> record(const Node& node);
  Result<bool> keep(const Node& node, int in);
  Result<bool> link_known(const Node& node, int in);
  Result<void> go_down(const Node& node);
  Result<void> remove_until(const std::string* name);

  os::Disk& disk_;
  InodeCopier& copier_;
  MirrorPlan plan_;
  std::function<bool()> stop_;
  SortBudget budget_;
  std::vector<Level> levels_;  // from the pin's root to where the walk is
  MirrorCounts counts_;
  bool stopped_ = false;
};

// The error that ends a pin: something in the set has a ctime that is not older than the proof
// needs.
Error changed_error(const std::string& shown, std::int64_t ctime_ns,
                    std::int64_t settled_before_ns);

// The proof: every inode of the set has a ctime before `settled_before_ns`. Error: set-changed.
Result<void> prove_settled(os::Disk& disk, int root, const Exclude& exclude,
                           const WalkOptions& options, std::int64_t settled_before_ns);

}  // namespace lockstep::files
