// What the Source and the Target of every tree-shaped component must do
// (common/component/source.hpp and target.hpp). A component's conformance test hands in a subject,
// once for each place it is built for.
#pragma once

#include <string>

#include "common/clock/clock.hpp"
#include "common/component/component.hpp"

namespace lockstep::test {

struct SourceTargetSubject {
  component::Component& component;  // pins, reads and receives
  const Clock& clock;
  std::string tree;  // an empty directory; the set's place, which the suite fills
  component::DataSet set;
  component::DataSet target;  // its pair; nothing is there
  std::string room;           // a directory that is there, to restore into
  bool privileged = true;     // may keep owners, devices and trusted.* attributes
};

// Each with a subject of its own.
void carries_everything(SourceTargetSubject subject);        // and restores it
void carries_changes(SourceTargetSubject subject);           // every sort of them, on a base
void is_idempotent(SourceTargetSubject subject);             // applied twice, and resumed
void shares_what_is_unchanged(SourceTargetSubject subject);  // and keeps it for who still needs it
void refuses_hostile_peers(SourceTargetSubject subject);
void restores_parts_and_in_place(SourceTargetSubject subject);
void leaves_nothing_behind(SourceTargetSubject subject);
void carries_deep_trees(SourceTargetSubject subject);

}  // namespace lockstep::test
