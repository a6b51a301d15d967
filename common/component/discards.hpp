// Discards: offered by a Target whose places are no paths of this host
// (Component::places_are_paths): what it gave back for a while is removed by itself alone.
#pragma once

#include "common/component/target.hpp"

namespace lockstep::component {

// Thread rule: any thread.
class Discards {
 public:
  virtual ~Discards() = default;
  // Removes what stands at `place`, which the caller alone uses, with all it holds; of what is not
  // there: success. Errors: target-write.
  virtual Result<void> discard(const Place& place) = 0;
};

}  // namespace lockstep::component
