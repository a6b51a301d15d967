// Version::native of hbase: compact JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/components/hbase/place.hpp"
#include "common/error/error.hpp"

namespace lockstep::hbase {

// A snapshot of one table. HBase knows it by its name alone; its creation tells it from another of
// the same name.
struct Snapshot {
  std::string name;
  TableName table;
  std::int64_t created_ms = 0;
  auto operator<=>(const Snapshot&) const = default;
};

struct Native {
  std::vector<Snapshot> snapshots;  // sorted by table
  std::string staging;  // of a staging: its directory in HDFS, or what else of it is there; no
                        // snapshots are whole
};

std::string to_text(const Native& native);
// Error: version-missing (the text is not one of ours).
Result<Native> native_from_text(const std::string& text);

}  // namespace lockstep::hbase
