#include "common/components/files/pin_mirror.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "common/components/files/pin_errors.hpp"
#include "common/components/files/remove_tree.hpp"

namespace lockstep::files {

namespace {

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

Result<void> Mirror::enter(const Node& node, int /*descriptor*/,
                           const std::vector<std::string>& names) {
  if (stop_ && stop_()) return stop_here();
  ++counts_.entries;
  if (!plan_.live) {
    if (node.ctime_ns() >= plan_.settled_before_ns) {
      return changed_error(shown(node), node.ctime_ns(), plan_.settled_before_ns);
    }
    LOCKSTEP_CHECK(record(node));
  }
  if (directories_.empty()) {
    auto root = disk_.open(plan_.tree, ".", O_RDONLY | O_DIRECTORY);
    if (!root) return store_error(root.error().number, "open the pin of", shown(node));
    directories_.push_back(std::move(*root));
  } else {
    auto opened = disk_.open(inside(), node.name, O_RDONLY | O_DIRECTORY);
    if (!opened) {
      LOCKSTEP_CHECK(remove_tree(disk_, inside(), node.name));
      if (auto made = disk_.make_directory(inside(), node.name, 0700); !made) {
        return store_error(made.error().number, "make the pin of", shown(node));
      }
      opened = disk_.open(inside(), node.name, O_RDONLY | O_DIRECTORY);
    }
    if (!opened) return store_error(opened.error().number, "open the pin of", shown(node));
    directories_.push_back(std::move(*opened));
  }
  return plan_.live ? Result<void>{} : remove_others(inside(), names, shown(node));
}

// What the first pass made and the set no longer holds.
Result<void> Mirror::remove_others(int directory, const std::vector<std::string>& names,
                                   const std::string& where) {
  LOCKSTEP_TRY(const std::vector<std::string> there, sorted_names(disk_, directory, where));
  for (const std::string& name : there) {
    if (std::binary_search(names.begin(), names.end(), name)) continue;
    LOCKSTEP_CHECK(remove_tree(disk_, directory, name));
  }
  return {};
}

Result<void> Mirror::leave(const Node& node, int descriptor) {
  const os::Fd directory = std::move(directories_.back());
  directories_.pop_back();
  // Only the second pass gives directories their modes and times: until then they must be writable.
  if (plan_.live) return {};
  return copier_.copy_directory_metadata(node, descriptor, directory.get(), shown(node));
}

// Second pass: whether what the first made of this entry still stands; else it is taken away.
Result<bool> Mirror::keep(const Node& node) {
  if (plan_.ahead == nullptr) return false;
  LOCKSTEP_TRY(const std::optional<Origin> origin, plan_.ahead->find(node.path));
  if (same_state(origin, node)) return true;
  LOCKSTEP_CHECK(remove_tree(disk_, inside(), node.name));
  return false;
}

// Links another name of the same inode, or the same file of an earlier pin. That these cannot be
// linked (too many names, gone meanwhile, not ours) is no error: then the file is copied.
Result<bool> Mirror::link_known(const Node& node) {
  if (node.stat.st_nlink > 1 &&
      disk_.link(plan_.links, link_name(node), inside(), node.name).has_value()) {
    return true;
  }
  if (plan_.base == nullptr) return false;
  LOCKSTEP_TRY(const std::optional<Origin> origin, plan_.base->find(node.path));
  return same_state(origin, node) &&
         disk_.link(plan_.base_tree, node.path, inside(), node.name).has_value();
}

Result<void> Mirror::entry(const Node& node) {
  if (stop_ && stop_()) return stop_here();
  ++counts_.entries;
  if (node.ctime_ns() >= plan_.settled_before_ns) {
    if (plan_.live) return {};
    return changed_error(shown(node), node.ctime_ns(), plan_.settled_before_ns);
  }
  LOCKSTEP_TRY(bool there, keep(node));
  if (!there) {
    LOCKSTEP_TRY(there, link_known(node));
    if (!there) {
      LOCKSTEP_TRY(const InodeCopier::Outcome outcome, copier_.copy(node, inside(), shown(node)));
      if (outcome == InodeCopier::Outcome::stopped) return stop_here();
      if (outcome == InodeCopier::Outcome::changed) {
        if (plan_.live) return {};
        return make_error(ErrorCode::set_changed, "it was changed while it was pinned",
                          shown(node));
      }
      ++counts_.copied;
    }
    if (node.stat.st_nlink > 1) {
      auto linked = disk_.link(inside(), node.name, plan_.links, link_name(node));
      if (!linked && linked.error().number != EEXIST) {
        return store_error(linked.error().number, "link the pin of", shown(node));
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

  Result<void> enter(const Node& node, int, const std::vector<std::string>&) override {
    return entry(node);
  }
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
