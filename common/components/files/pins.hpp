// The pinning half of the files component: how a tree of files is fixed on the primary.
//
//   btrfs              a read-only snapshot of the subvolume that holds the set: one instant
//   with reflinks      a clone of the tree, file by file           } one instant only by the proof
//   else               a copy of what changed since the last pin   } that nothing wrote meanwhile
//
// The proof (docs/components/files.md): sync, then `requested`, then clone or copy, then every
// inode of the set, directories too, has a ctime more than a clock tick before `requested`.
#pragma once

#include <memory>

#include "common/component/component.hpp"

namespace lockstep::files {

std::unique_ptr<component::Snapshots> make_file_snapshots(
    const component::Surroundings& surroundings);

}  // namespace lockstep::files
