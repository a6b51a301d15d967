// Changes: what a list of touched paths comes to when each is looked at in the later version.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/component/source.hpp"
#include "common/components/files/cursor.hpp"
#include "common/components/files/directories.hpp"
#include "common/components/files/touched.hpp"

namespace lockstep::files {

struct ChangesRequest {
  CursorOptions cursor;         // of the later version; its start is not used
  Directories* directories;     // of the later version; outlives the cursor
  os::Fd subvolume;             // the later snapshot
  std::uint64_t base_tree = 0;  // the earlier one's: SubvolumeInfo::id, made
  std::uint64_t base_made = 0;
  std::string inside;  // the way from the snapshot's root to the set
};

// Null where btrfs does not tell (touched.hpp).
Result<std::unique_ptr<component::ChangeCursor>> make_changes(os::Disk& disk,
                                                              ChangesRequest request);

}  // namespace lockstep::files
