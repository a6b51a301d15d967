// Listing: a tree of HDFS as entries in manifest order.
//
// A directory's names are read whole and sorted here: the NameNode's order is that of signed bytes.
// That is what memory depends on: about 300 bytes for each name of the directories on the way down,
// of which HDFS itself lets one hold a million (dfs.namenode.fs-limits.max-directory-items).
// Attributes and ACLs, which no listing brings, are asked for many at a time.
//
// Thread rule: one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/component/source.hpp"
#include "common/components/hdfs/crew.hpp"
#include "common/components/hdfs/webhdfs.hpp"

namespace lockstep::hdfs {

class Listing final : public component::EntryCursor {
 public:
  // Lists what is at `root` + `top` (relative; "": all), itself first. `side` is whose fault an
  // error is.
  Listing(WebHdfs& hdfs, Crew& crew, std::string root, std::string top, ErrorCode side);

  Result<std::optional<component::Entry>> next() override;

 private:
  struct Directory {
    std::string path;  // relative to the root
    std::vector<Status> statuses;
    std::size_t position = 0;
    std::vector<component::Entry> entries;  // of statuses from `described` on
    std::size_t described = 0;
  };

  Result<void> enter(const std::string& path);
  Result<void> describe(Directory& directory);

  WebHdfs& hdfs_;
  Crew& crew_;
  std::string root_;
  std::string top_;
  ErrorCode side_;
  bool begun_ = false;
  std::vector<Directory> way_;
};

// One inode with its ACL and attributes; nothing where there is none.
Result<std::optional<component::Entry>> look_at(WebHdfs& hdfs, const std::string& root,
                                                const std::string& path, ErrorCode side);

// All that a directory holds, sorted by name.
Result<std::vector<Status>> list_all(WebHdfs& hdfs, const std::string& directory, ErrorCode side);

// The names in a directory that begin with `prefix`, which is not empty; none where it is not
// there.
Reply<std::vector<std::string>> list_names(WebHdfs& hdfs, const std::string& directory,
                                           const std::string& prefix);

}  // namespace lockstep::hdfs
