// Contents: what the snapshots of one version are made of, as a tree.
//
//   data/<namespace>/<table>/<region>/<family>/<hfile>    HFiles; those that tables share, once
//   tables/<namespace>/<table>/<run>/info                 a snapshot's description, but for its
//   name tables/<namespace>/<table>/<run>/data.manifest        its regions and the files of each
// HFiles lie where HBase has them: in its `data`, or in its `archive`, to which a compaction moves
// them while they are read. The run in the path of what is new with each run makes it new in the
// tree: only HFiles are ever taken from a base, and these never change.
// Owners, modes and times are constants: HFiles are HBase's own.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/component/entry.hpp"
#include "common/components/hbase/snapshot_names.hpp"

namespace lockstep::hbase {

struct Item {
  component::Entry entry;
  std::vector<std::string> paths;  // of a file: where in HDFS it may lie
  std::string bytes;               // of one that lies nowhere
};

// In manifest order. Memory: some 600 bytes for each HFile. Errors: version-missing, `side`.
using Contents = std::vector<Item>;
Result<std::shared_ptr<const Contents>> read_contents(const Cluster& cluster, const Native& native,
                                                      const std::string& run, ErrorCode side);

// Whether the path in the tree is an HFile's.
bool is_hfile(std::string_view path);

// An HFile of a snapshot.
struct HFile {
  std::string place;  // in the tree, and below an HBase's `data` or `archive`: "data/orders/..."
  std::uint64_t size = 0;
  std::uint64_t inode = 0;
  std::uint64_t block_size = 0;
  std::vector<std::string> paths;  // where in HDFS it may lie; at least one
};
// The HFiles of a snapshot in the HBase whose root is `address` ("hdfs://nn:8020/hbase"), which may
// be another cluster's: each once. Errors: version-missing, `side`.
Result<std::vector<HFile>> read_hfiles(Bridge& bridge, const std::string& address,
                                       const std::string& snapshot, ErrorCode side,
                                       const std::stop_token& stop);

// Where a version's tables lie in the tree: "tables/orders/lines/<run>".
std::string table_path(const TableName& table, const std::string& run);

// The constants.
component::Entry make_entry(std::string path, component::EntryKind kind, std::uint64_t size);

}  // namespace lockstep::hbase
