// TreeWriter: applies entries below a root that nobody else looks at yet. What a peer sends is not
// trusted: no path leads out of the root, no symbolic link is followed.
//
// A directory in which something is applied is opened up first (all rights for its owner, no
// set-group-ID bit, no default ACL), so that it can be written in and gives nothing on to what is
// made there; leave_directory() sets its own metadata, and must be called for every directory that
// was begun, or in which anything was begun or removed.
//
// Thread rule: one thread.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "common/component/entry.hpp"
#include "common/component/target.hpp"
#include "common/components/files/directories.hpp"
#include "common/components/files/set_metadata.hpp"
#include "common/components/files/side.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

struct WriterOptions {
  std::string where;  // the root's path, for errors
  // True in a hard-link farm: a regular file with several links belongs to other versions too and
  // is copied, in `scratch` (on the same file system), before anything of it changes.
  bool shares_inodes = false;
  std::string scratch;
  // The base's directories, in a farm that has one; outlives the writer.
  Directories* base = nullptr;
};

class TreeWriter {
 public:
  TreeWriter(os::Disk& disk, os::Fd root, WriterOptions options);

  // As component::Staging, whose contract these have.
  Result<void> begin(const component::Entry& entry, component::Action action);
  Result<void> write(std::uint64_t offset, std::span<const std::byte> data);
  Result<void> finish();
  Result<std::size_t> read_back(std::uint64_t offset, std::span<std::byte> into);
  Result<void> remove(const std::string& path);
  Result<void> leave_directory(const component::Entry& directory);

  // Fills the regular file begun with all of `from`, which has the size that the entry says: shared
  // where the file systems can, else copied without its holes.
  Result<void> fill_from(int from);

  // Lets `path` be a further name of what is `name` in `directory`, outside of the tree. Nothing
  // else lies at `path` yet. The error is link(2)'s.
  os::Sys<void> link_from(int directory, const std::string& name, const std::string& path);

  int root() const { return root_.get(); }

 private:
  struct Open {  // the regular file begun
    os::Fd fd;
    Before before;
    bool fresh = false;            // made now, empty
    bool over = false;             // small, and all of it is written anew
    std::uint64_t written_to = 0;  // how far what was written reaches
  };

  Result<void> check(const component::Entry& entry) const;
  Result<std::shared_ptr<Directory>> parent_of_entry(std::string_view path, bool to_write);
  Result<void> open_up(Directory& directory, std::string_view path);
  Result<void> begin_directory(Directory& parent, const std::string& name);
  Result<void> begin_new_file(Directory& parent, const std::string& name);
  bool is_written_over(const struct ::stat& there) const;
  Result<void> begin_base_file(Directory& parent, const std::string& name,
                               component::Action action);
  Result<void> begin_old_file(Directory& parent, const std::string& name,
                              const struct ::stat& there, component::Action action);
  Result<os::Fd> copy_apart(Directory& parent, const std::string& name, int from_directory,
                            component::Action action);
  Result<void> make_link(Directory& parent, const std::string& name);
  Result<void> make_other(Directory& parent, const std::string& name);
  Result<void> clear(Directory& parent, const std::string& name, std::string_view path);
  Result<void> cut(const Open& open, std::uint64_t size);
  Error error(os::Errno number, std::string_view act) const;

  os::Disk& disk_;
  os::Fd root_;
  WriterOptions options_;
  Directories directories_;
  component::Entry entry_;  // the one begun
  std::shared_ptr<Directory> parent_;
  std::optional<Open> open_;
};

}  // namespace lockstep::files
