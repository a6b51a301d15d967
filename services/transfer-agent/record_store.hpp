// RecordStore: the records on disk. A point exists if and only if its record does.
//
// Thread rule: any thread; who writes and removes takes EpochKeeper::publish.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/transfer-agent/agent.hpp"

namespace lockstep::transfer {

class RecordStore {
 public:
  explicit RecordStore(const Agent& agent) : agent_(agent) {}

  // Services that have, or had, points.
  Result<std::vector<std::string>> services() const;
  // The ids of a service's points; of all where it is empty: pairs of service and id.
  struct Name {
    std::string service;
    std::string id;
  };
  Result<std::vector<Name>> names(const std::string& service) const;

  // Errors: point-missing, point-damaged (not JSON), source-read.
  Result<message::Body> read(const Name& name) const;
  // Where the record of that id lies, readable or not. Error: point-missing.
  Result<Name> locate(const std::string& id) const;
  // By id alone.
  Result<message::Body> find(const std::string& id) const;
  // Whether the record is there. Error: source-read.
  Result<bool> exists(const Name& name) const;

  // Every record that can be read, newest moment first; `unreadable` gets what is wrong with
  // others.
  Result<std::vector<message::Body>> all(const std::string& service,
                                         std::vector<Error>* unreadable) const;

  // Both require EpochKeeper::publish.
  Result<void> write(const message::Body& record) const;
  Result<void> remove(const Name& name) const;
  // What a crash left of a record that was being written.
  Result<void> remove_part(const Name& name) const;

 private:
  const Agent& agent_;
};

// From a record's set, where text that is not UTF-8 is shown.
component::Version version_in(const message::Body& record, const message::Body& set);
std::string manifest_in(const message::Body& set);

}  // namespace lockstep::transfer
