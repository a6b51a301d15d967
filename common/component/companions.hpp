// Companions: offered by a Target whose live places consist of more than the place's own path.
#pragma once

#include <string>
#include <vector>

namespace lockstep::component {

// Thread rule: any thread.
class Companions {
 public:
  virtual ~Companions() = default;
  // What beside a live place belongs to it, as endings of its path ("-wal"), in the order in which
  // they are to be moved aside before the place itself.
  virtual std::vector<std::string> companions() const = 0;
};

}  // namespace lockstep::component
