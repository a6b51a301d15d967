// GivesAtOnce: offered by a Target that can give a whole version back in a time that does not
// depend on its size, where the file system has a way (a snapshot of a btrfs subvolume).
#pragma once

#include "common/component/target.hpp"

namespace lockstep::component {

// Thread rule: any thread.
class GivesAtOnce {
 public:
  virtual ~GivesAtOnce() = default;
  // True: `place`, where nothing was, is the version's content, writable, whole and durable.
  // False: not here; nothing was done but missing directories above made, and restore() does it.
  // Errors: as restore().
  virtual Result<bool> give_at_once(const Context& context, const Version& version,
                                    const Place& place) = 0;
};

}  // namespace lockstep::component
