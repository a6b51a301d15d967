// Sets: the data sets of an instruction, as this agent reads them (docs/protocol.md).
#pragma once

#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::snapshot {

struct FenceWish {
  enum class Kind { none, own_lock, hook, cgroup } kind = Kind::none;
  std::string hook;
  std::string cgroup;
  Nanos timeout = seconds(5);
};
const char* kind_name(FenceWish::Kind kind);

struct OwnSet {
  component::DataSet data;
  FenceWish fence;
  message::Body body;  // as it came, to be journaled
};

// Requires bodies that their schema passed.
OwnSet read_set(const std::string& service, const message::Body& set);
// Those of `sets` that `agent` pins.
std::vector<OwnSet> own_sets(const std::string& service, const message::Body& sets,
                             const std::string& agent);

message::Body to_body(const component::Version& version);
message::Body to_body(const Interval& interval);

}  // namespace lockstep::snapshot
