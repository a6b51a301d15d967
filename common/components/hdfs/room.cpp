#include "common/components/hdfs/room.hpp"

#include <algorithm>

#include "common/components/hdfs/answers.hpp"

namespace lockstep::hdfs {

Result<void> check_room(WebHdfs& hdfs, const std::string& directory, std::uint64_t bytes) {
  const std::string expected = std::to_string(bytes) + " are expected";
  const auto left = hdfs.remaining_space();
  if (left && *left < bytes) {
    return make_error(
        ErrorCode::no_space,
        "HDFS has " + std::to_string(*left) + " bytes left (before replication) and " + expected,
        directory);
  }
  for (std::string at = directory;; at = parent_of(at)) {
    // One that is not there yet has none.
    const auto quotas = hdfs.quota_left(at);
    if (quotas && quotas->bytes && *quotas->bytes < static_cast<std::int64_t>(bytes)) {
      return make_error(ErrorCode::no_space,
                        "its space quota leaves " +
                            std::to_string(std::max<std::int64_t>(*quotas->bytes, 0)) +
                            " bytes (each replica counts) and " + expected + ", before replication",
                        at, "raise it: hdfs dfsadmin -setSpaceQuota BYTES " + at);
    }
    if (quotas && quotas->names && *quotas->names < 1) {
      return make_error(ErrorCode::no_space,
                        "its quota of names is used up: nothing more can be written there", at,
                        "raise it: hdfs dfsadmin -setQuota NAMES " + at);
    }
    if (at == "/") return {};
  }
}

}  // namespace lockstep::hdfs
