// MakesLive: offered by a Target whose places are no paths of this host
// (Component::places_are_paths): making a version live is then its own affair, and not a copy that
// the agent renames into place.
#pragma once

#include "common/component/target.hpp"

namespace lockstep::component {

// Thread rule: any thread.
class MakesLive {
 public:
  virtual ~MakesLive() = default;
  // Afterwards the place holds the version's content, for applications to work with. Done again it
  // finds that done. What was there and is in no version is kept, where `moved_aside` says. Errors:
  // not-supported (not the version's own place), target-write, version-missing.
  virtual Result<Target::RestoreResult> make_live(const Context& context, const Version& version,
                                                  const Place& place) = 0;
};

}  // namespace lockstep::component
