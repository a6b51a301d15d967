#include "common/components/files/pin_walk.hpp"

#include "common/components/files/metadata.hpp"
#include "common/components/files/tree_walk.hpp"

namespace lockstep::files {

std::int64_t Node::ctime_ns() const { return files::ctime_ns(stat); }

Result<void> walk(os::Disk& disk, int root, const Exclude& exclude, const WalkOptions& options,
                  Visitor& visitor) {
  TreeWalkOptions of_tree;
  of_tree.side = Side::set;
  of_tree.live = options.live;
  of_tree.stat_files = !options.directories_only;
  of_tree.skip = [&exclude](const std::string& path, bool directory) {
    return exclude.leaves_out(path, directory);
  };
  TreeWalk tree(disk, root, options.shown, options.scratch, std::move(of_tree));
  while (true) {
    if (options.stop.stop_requested()) {
      return make_error(ErrorCode::cancelled, "the walk was stopped", options.shown);
    }
    LOCKSTEP_TRY(const std::optional<Visit> visit, tree.next());
    if (!visit) return {};
    const int in = visit->parent >= 0 ? visit->parent : visit->self;
    const Node node{visit->path, in, visit->name, visit->info};
    if (visit->what == Visit::What::leave) {
      LOCKSTEP_CHECK(visitor.leave(node, visit->self));
    } else if (visit->directory) {
      if (options.walked) options.walked();
      LOCKSTEP_CHECK(visitor.enter(node));
    } else if (!options.directories_only) {
      LOCKSTEP_CHECK(visitor.entry(node));
    }
  }
}

}  // namespace lockstep::files
