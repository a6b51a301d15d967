// Agent: what every part of the transfer-agent is handed, and where it keeps its files.
#pragma once

#include <string>

#include "common/clock/clock.hpp"
#include "common/component/component.hpp"
#include "common/journal/journal.hpp"
#include "common/os/disk.hpp"

namespace lockstep::transfer {

// All that is referred to outlives every part. Thread rule: as its members; all of them may be used
// from any thread.
struct Agent {
  std::string name;     // in lockstep.yaml
  std::string cluster;  // whose agent it is
  std::string root;     // the cluster's, absolute
  Nanos lock;           // a younger point is not deleted
  bool registrar = false;
  os::Disk& disk;
  const Clock& clock;
  journal::Journal& journal;
  const component::Components& components;

  // docs/point-format.md: a point exists if and only if its record does.
  std::string record_directory(const std::string& service) const {
    return root + "/.lockstep/points/" + service;
  }
  std::string record_path(const std::string& service, const std::string& id) const {
    return record_directory(service) + "/" + id + ".json";
  }
  std::string manifest_directory(const std::string& service, const std::string& set) const {
    return root + "/.lockstep/manifests/" + service + "/" + set;
  }
  std::string manifest_path(const std::string& service, const std::string& set,
                            const std::string& run) const {
    return manifest_directory(service, set) + "/" + run + ".manifest";
  }
};

}  // namespace lockstep::transfer
