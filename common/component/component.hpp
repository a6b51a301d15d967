// The component seam: everything that an agent knows of a kind of store.
//
// A component is a folder under common/components/ with a CMake target of its own that only the
// agents link. It offers the interfaces it can; who runs a transfer sees capabilities, never kinds.
// One conformance suite (tests/conformance) holds for all. To write one:
// docs/writing-a-component.md.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/component/snapshots.hpp"
#include "common/component/source.hpp"
#include "common/component/target.hpp"

namespace lockstep::os {
class Disk;
class Processes;
}  // namespace lockstep::os
namespace lockstep {
class Clock;
}

namespace lockstep::component {

// What a component is handed at the start. All must outlive it.
struct Surroundings {
  os::Disk& disk;
  os::Processes& processes;
  const Clock& clock;
  std::string state_directory;  // the agent's own, for small files; exists, mode 0700
};

struct Health {
  bool good = false;
  std::string detail;  // what is wrong, or what was looked at
  // Of trouble that may come right by itself (a fail-over, a restart): for how long it is no reason
  // yet to call the store unwell. Of store_health() alone.
  std::optional<Nanos> may_last = {};
};

class Carries;  // carries.hpp

class Component {
 public:
  virtual ~Component() = default;

  virtual const std::string& kind() const = 0;  // "files"
  // True where versions are trees of entries, which may be sent to another tree-shaped kind.
  virtual bool tree_shaped() const = 0;
  // True where places are paths of this host, which others may look at, make and rename; false
  // where only the component reads them (a directory of HDFS).
  virtual bool places_are_paths() const { return true; }
  virtual Snapshots* snapshots() = 0;             // nullptr: cannot be a primary
  virtual Sources* sources() = 0;                 // nullptr: not carried by the stream
  virtual Target* target() = 0;                   // nullptr: cannot be a secondary
  virtual Carries* carries() { return nullptr; }  // nullptr: the stream carries all
  // Looks at the place as a client of the health-monitor would: mounted, writable, opens.
  virtual Health health(const DataSet& set) = 0;
  // Looks at the store as a whole, whatever places it has: are its servers there, has it room.
  // Nothing: there is no more to it than its places. Takes a few seconds at most.
  virtual std::optional<Health> store_health() { return std::nullopt; }
};

// The components an agent was built with, by kind.
class Components {
 public:
  void add(std::unique_ptr<Component> component);
  Component* find(const std::string& kind) const;
  std::vector<std::string> kinds() const;

 private:
  std::vector<std::unique_ptr<Component>> components_;
};

}  // namespace lockstep::component
