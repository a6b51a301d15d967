// Copying a version's tree: into the staging that starts from it, or to the place of a restore.
#pragma once

#include <cstdint>
#include <string>

#include "common/component/data_set.hpp"
#include "common/components/files/source.hpp"
#include "common/components/files/tree_writer.hpp"

namespace lockstep::files {

struct Copied {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;  // of content, holes included
};

// `start` of the version ("" for all) and what it holds, as `place` in the writer's tree; content
// is shared where the file systems can, metadata whole. Errors: source-read, target-*, cancelled.
Result<Copied> copy_tree(FileSource& source, const std::string& start, TreeWriter& writer,
                         const std::string& place, const component::Context& context);

// The whole version into an empty tree on the same file system, in which everything but directories
// is a further name of the version's own inodes. What cannot have one more name is copied.
Result<Copied> link_tree(os::Disk& disk, FileSource& source, TreeWriter& writer,
                         const std::string& scratch, const component::Context& context);

}  // namespace lockstep::files
