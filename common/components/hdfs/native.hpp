// Version::native of hdfs: compact JSON.
#pragma once

#include <cstdint>
#include <string>

#include "common/components/hdfs/address.hpp"
#include "common/error/error.hpp"

namespace lockstep::hdfs {

struct Native {
  std::string directory;  // of which it is a snapshot: "/data/orders"
  std::string snapshot;   // its name; empty: a staging, that is, the directory itself
  // What the NameNode itself knows it by, besides the names: the directory's inode and the
  // snapshot's creation. A snapshot of the same name that somebody else made is another.
  std::uint64_t inode = 0;
  std::int64_t made_ms = 0;
  // The NameNode fixed the length of files that were open for writing (pins only). Without it a
  // file in a snapshot may grow until it is closed, and no difference tells of it.
  bool captures_open_files = false;
  std::string attempt;  // of a staging: "<run>.<attempt>"

  // The content, as a path.
  std::string root() const {
    return snapshot.empty() ? directory : join(directory, ".snapshot/" + snapshot);
  }
};

std::string to_text(const Native& native);
// Error: version-missing (the text is not one of ours).
Result<Native> native_from_text(const std::string& text);

}  // namespace lockstep::hdfs
