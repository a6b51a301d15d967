#include "common/components/files/pin_mirror.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/components/files/directories.hpp"
#include "common/os/durable.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

namespace {

constexpr std::size_t kOpenLevels = 32;

bool same_state(const std::optional<Origin>& origin, const Node& node) {
  return origin && origin->inode == node.stat.st_ino && origin->ctime_ns == node.ctime_ns();
}

std::string link_name(const Node& node) {
  return std::to_string(node.stat.st_ino) + "-" + std::to_string(node.ctime_ns());
}

}  // namespace

Mirror::Mirror(os::Disk& disk, InodeCopier& copier, MirrorPlan plan, std::function<bool()> stop)
    : disk_(disk), copier_(copier), plan_(std::move(plan)), stop_(std::move(stop)) {}

std::string Mirror::shown(const Node& node) const {
  return node.path.empty() ? plan_.shown : plan_.shown + "/" + node.path;
}

Error Mirror::stop_here() {
  stopped_ = true;
  return make_error(ErrorCode::cancelled, "the pass over the data set was stopped", plan_.shown);
}

Result<void> Mirror::record(const Node& node) {
  return plan_.record->add({.path = node.path,
                            .inode = node.stat.st_ino,
                            .ctime_ns = node.ctime_ns(),
                            .links = static_cast<std::uint32_t>(node.stat.st_nlink)});
}

// The directory of the pin that stands for the one where the walk is.
Result<int> Mirror::inside() {
  Level& level = levels_.back();
  if (!level.fd) {
    auto opened = open_directory_beneath(disk_, plan_.tree, level.path);
    if (!opened) {
      return os::write_error(opened.error(), "open the pin of", full_path(plan_.shown, level.path));
    }
    level.fd = std::move(*opened);
  }
  return level.fd.get();
}

Result<void> Mirror::enter(const Node& node) {
  if (stop_ && stop_()) return stop_here();
  ++counts_.entries;
  if (!plan_.live) {
    if (node.ctime_ns() >= plan_.settled_before_ns) {
      return changed_error(shown(node), node.ctime_ns(), plan_.settled_before_ns);
    }
    LOCKSTEP_CHECK(record(node));
  }
  LOCKSTEP_CHECK(go_down(node));
  if (plan_.live) return {};
  Level& level = levels_.back();
  LOCKSTEP_TRY(SortedNames there, SortedNames::read(disk_, level.fd.get(), plan_.scratch, budget_,
                                                    Side::target, "the pin of " + shown(node)));
  level.there = std::make_unique<SortedNames>(std::move(there));
  LOCKSTEP_TRY(level.next, level.there->next());
  return {};
}

// Opens the directory of the pin that stands for `node`, made where it is missing.
Result<void> Mirror::go_down(const Node& node) {
  Level level;
  level.path = node.path;
  auto opened = os::Sys<os::Fd>(os::Errno{ENOENT});
  if (levels_.empty()) {
    opened = disk_.open(plan_.tree, ".", O_RDONLY | O_DIRECTORY);
  } else {
    LOCKSTEP_CHECK(remove_until(&node.name));
    LOCKSTEP_TRY(const int in, inside());
    opened = disk_.open(in, node.name, O_RDONLY | O_DIRECTORY);
    if (!opened) {
      LOCKSTEP_CHECK(os::remove_tree(disk_, in, node.name));
      if (auto made = disk_.make_directory(in, node.name, 0700); !made) {
        return os::write_error(made.error(), "make the pin of", shown(node));
      }
      opened = disk_.open(in, node.name, O_RDONLY | O_DIRECTORY);
    }
  }
  if (!opened) return os::write_error(opened.error(), "open the pin of", shown(node));
  level.fd = std::move(*opened);
  levels_.push_back(std::move(level));
  if (levels_.size() > kOpenLevels) levels_[levels_.size() - 1 - kOpenLevels].fd.reset();
  return {};
}

// Second pass: removes what the first made and the set no longer holds, in this directory, of the
// names before `name`, or (nullptr) of all that are left.
Result<void> Mirror::remove_until(const std::string* name) {
  if (levels_.back().there == nullptr) return {};
  while (levels_.back().next && (name == nullptr || levels_.back().next->text <= *name)) {
    Level& level = levels_.back();
    if (name == nullptr || level.next->text != *name) {
      LOCKSTEP_TRY(const int in, inside());
      LOCKSTEP_CHECK(os::remove_tree(disk_, in, level.next->text));
    }
    LOCKSTEP_TRY(level.next, level.there->next());
  }
  return {};
}

Result<void> Mirror::leave(const Node& node, int descriptor) {
  LOCKSTEP_CHECK(remove_until(nullptr));
  LOCKSTEP_TRY(const int in, inside());
  // Only the second pass gives directories their modes and times: until then they must be writable.
  if (!plan_.live) {
    LOCKSTEP_CHECK(copier_.copy_directory_metadata(node, descriptor, in, shown(node)));
  }
  levels_.pop_back();
  return {};
}

// Second pass: whether what the first made of this entry still stands; else it is taken away.
Result<bool> Mirror::keep(const Node& node, int in) {
  if (plan_.ahead == nullptr) return false;
  LOCKSTEP_TRY(const std::optional<Origin> origin, plan_.ahead->find(node.path));
  if (same_state(origin, node)) return true;
  LOCKSTEP_CHECK(os::remove_tree(disk_, in, node.name));
  return false;
}

// Links another name of the same inode, or the same file of an earlier pin. That these cannot be
// linked (too many names, gone meanwhile, not ours) is no error: then the file is copied.
Result<bool> Mirror::link_known(const Node& node, int in) {
  if (node.stat.st_nlink > 1 &&
      disk_.link(plan_.links, link_name(node), in, node.name).has_value()) {
    return true;
  }
  if (plan_.base == nullptr) return false;
  LOCKSTEP_TRY(const std::optional<Origin> origin, plan_.base->find(node.path));
  return same_state(origin, node) &&
         disk_.link(plan_.base_tree, node.path, in, node.name).has_value();
}

Result<void> Mirror::entry(const Node& node) {
  if (stop_ && stop_()) return stop_here();
  ++counts_.entries;
  if (node.ctime_ns() >= plan_.settled_before_ns) {
    if (plan_.live) return {};
    return changed_error(shown(node), node.ctime_ns(), plan_.settled_before_ns);
  }
  LOCKSTEP_CHECK(remove_until(&node.name));
  LOCKSTEP_TRY(const int in, inside());
  LOCKSTEP_TRY(bool there, keep(node, in));
  if (!there) {
    LOCKSTEP_TRY(there, link_known(node, in));
    if (!there) {
      LOCKSTEP_TRY(const InodeCopier::Outcome outcome, copier_.copy(node, in, shown(node)));
      if (outcome == InodeCopier::Outcome::stopped) return stop_here();
      if (outcome == InodeCopier::Outcome::changed) {
        if (plan_.live) return {};
        return make_error(ErrorCode::set_changed, "it was changed while it was pinned",
                          shown(node));
      }
      ++counts_.copied;
    }
    if (node.stat.st_nlink > 1) {
      auto linked = disk_.link(in, node.name, plan_.links, link_name(node));
      if (!linked && linked.error().number != EEXIST) {
        return os::write_error(linked.error(), "link the pin of", shown(node));
      }
    }
  }
  ++counts_.done;
  return record(node);
}

Error changed_error(const std::string& shown, std::int64_t ctime_ns,
                    std::int64_t settled_before_ns) {
  const Nanos late{ctime_ns - settled_before_ns};
  return make_error(
      ErrorCode::set_changed,
      "it was changed at " + to_rfc3339(UtcNanos{ctime_ns}) + ", " + to_duration(late) +
          " later than the last instant at which nobody could have been writing",
      shown, "fence the writers with a hook or their cgroup, or put the data on btrfs");
}

namespace {

class Settled final : public Visitor {
 public:
  Settled(const std::string& place, std::int64_t before) : place_(place), before_(before) {}

  Result<void> enter(const Node& node) override { return entry(node); }
  Result<void> leave(const Node&, int) override { return {}; }
  Result<void> entry(const Node& node) override {
    if (node.ctime_ns() < before_) return {};
    return changed_error(node.path.empty() ? place_ : place_ + "/" + node.path, node.ctime_ns(),
                         before_);
  }

 private:
  const std::string& place_;
  std::int64_t before_;
};

}  // namespace

Result<void> prove_settled(os::Disk& disk, int root, const Exclude& exclude,
                           const WalkOptions& options, std::int64_t settled_before_ns) {
  Settled settled(options.shown, settled_before_ns);
  return walk(disk, root, exclude, options, settled);
}

}  // namespace lockstep::files
