// The reading half of the files component: what the primary pinned and what the secondary keeps are
// trees of one kind, read by one source.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/component/component.hpp"
#include "common/component/source.hpp"
#include "common/components/files/cursor.hpp"
#include "common/components/files/directories.hpp"
#include "common/components/files/exclude.hpp"
#include "common/components/files/native.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// A version's tree, opened: found to be the one that the version names.
struct OpenTree {
  Native native;
  os::Fd root;
  std::string file_system;      // Disk::file_system_id
  bool shares_extents = false;  // a file system whose files can share blocks (btrfs, XFS)
  std::unique_ptr<Directories> directories;
};

// Errors: version-missing (no such tree, or another one under its name), source-read.
Result<std::unique_ptr<OpenTree>> open_tree(os::Disk& disk, const component::Version& version);

class FileSource final : public component::Source {
 public:
  // `scratch`: a directory for scratch files.
  static Result<std::unique_ptr<FileSource>> open(os::Disk& disk, std::string scratch,
                                                  const component::Version& version);

  Result<std::unique_ptr<component::EntryCursor>> entries() override;
  Result<std::unique_ptr<component::EntryCursor>> counted() override;
  // Only `start` and what it holds.
  Result<std::unique_ptr<component::EntryCursor>> entries_from(const std::string& start);
  // Of two btrfs snapshots of one subvolume, where btrfs may be asked.
  Result<std::unique_ptr<component::ChangeCursor>> changes(const component::Version& base) override;
  Result<std::unique_ptr<component::EntryReader>> open(const component::Entry& entry) override;
  bool unchanged(const component::Entry& before, const component::Entry& now) const override;
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const component::Entry& entry, const component::Version& base) override;

  // The regular file at `path`, opened for reading.
  Result<os::Fd> open_file(const std::string& path);
  const OpenTree& tree() const { return *tree_; }

 private:
  FileSource(os::Disk& disk, std::string scratch, std::unique_ptr<OpenTree> tree);
  CursorOptions cursor_options() const;
  Result<os::Fd> open_named(const std::string& path, int flags);
  Result<std::unique_ptr<component::EntryCursor>> cursor_of(CursorOptions options);
  Result<std::shared_ptr<OpenTree>> base_tree(const component::Version& base);

  os::Disk& disk_;
  std::string scratch_;
  std::unique_ptr<OpenTree> tree_;
  Exclude exclude_;
  std::mutex mutex_;  // of base_
  std::string base_native_;
  std::shared_ptr<OpenTree> base_;
};

std::unique_ptr<component::Sources> make_file_sources(const component::Surroundings& surroundings);

}  // namespace lockstep::files
