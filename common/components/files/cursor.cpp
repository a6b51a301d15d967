#include "common/components/files/cursor.hpp"

#include <fcntl.h>

#include <utility>

#include "common/components/files/links.hpp"
#include "common/components/files/metadata.hpp"
#include "common/components/files/tree_walk.hpp"

namespace lockstep::files {

using component::Entry;
using component::EntryKind;

namespace {

class Cursor final : public component::EntryCursor {
 public:
  Cursor(os::Disk& disk, CursorOptions options)
      : disk_(disk),
        options_(std::move(options)),
        links_(options_.scratch),
        walk_(disk, options_.root, options_.where, options_.scratch, walk_options()) {}

  Result<std::optional<Entry>> next() override {
    for (;;) {
      LOCKSTEP_TRY(std::optional<Visit> visit, walk_.next());
      if (!visit) return std::optional<Entry>{};
      if (visit->what == Visit::What::leave) continue;
      LOCKSTEP_TRY(Entry entry, read(*visit));
      return std::optional<Entry>(std::move(entry));
    }
  }

 private:
  TreeWalkOptions walk_options() const {
    TreeWalkOptions walk;
    walk.start = options_.start;
    walk.alone = options_.alone;
    if (options_.exclude != nullptr) {
      walk.skip = [exclude = options_.exclude](const std::string& path, bool directory) {
        return exclude->leaves_out(path, directory);
      };
    }
    return walk;
  }

  Error error(os::Errno number, std::string_view act, const std::string& path) const {
    return failed(Side::source, number, act, full_path(options_.where, path));
  }

  // The names that the inode had in the data set, and what identifies it there.
  struct Identity {
    Entry::Native native;
    std::uint64_t inode = 0;
    std::uint64_t names = 1;
  };

  Result<Identity> identify(const Visit& visit) {
    Identity identity;
    identity.native = {visit.info.st_ino, ctime_ns(visit.info), 0};
    identity.names = visit.info.st_nlink;
    identity.inode = visit.info.st_ino;
    if (options_.origins) {
      LOCKSTEP_TRY(const std::optional<Origin> origin, options_.origins->find(visit.path));
      if (!origin) {
        identity.native = {};
        return identity;
      }
      identity.native = {origin->inode, origin->ctime_ns, 0};
      identity.inode = origin->inode;
      identity.names = origin->links;
    }
    if (options_.settled_before_ns != 0 && identity.native.ctime_ns >= options_.settled_before_ns) {
      identity.native = {};
    }
    return identity;
  }

  // Nothing where `path` is the first.
  Result<std::optional<std::string>> first_name(const Identity& identity, const std::string& path) {
    if (!options_.first_name) return links_.first(identity.inode, identity.names, path);
    LOCKSTEP_TRY(std::string first, options_.first_name(identity.inode, path));
    if (first == path) return std::optional<std::string>{};
    return std::optional<std::string>(std::move(first));
  }

  Result<Entry> read(Visit& visit) {
    Entry entry;
    entry.path = std::move(visit.path);
    visit.path = entry.path;
    LOCKSTEP_TRY(const Identity identity, identify(visit));
    entry.native = identity.native;
    if (S_ISREG(visit.info.st_mode) && identity.names > 1) {
      LOCKSTEP_TRY(std::optional<std::string> first, first_name(identity, entry.path));
      if (first) {
        entry.kind = EntryKind::hard_link;
        entry.link_target = std::move(*first);
        return entry;
      }
    }
    take_stat(visit.info, entry);
    if (options_.xattrs) {
      auto xattrs = visit.directory ? read_xattrs(disk_, visit.self)
                                    : read_xattrs_at(disk_, visit.parent, visit.name);
      if (!xattrs) return error(xattrs.error(), "read the extended attributes of", entry.path);
      entry.xattrs = std::move(*xattrs);
    }
    if (entry.kind == EntryKind::symlink) {
      auto text = disk_.read_link(visit.parent, visit.name);
      if (!text) return error(text.error(), "read the symbolic link", entry.path);
      entry.link_target = std::move(*text);
    }
    if (may_have_holes(visit.info)) {
      auto file = disk_.open(visit.parent, visit.name, O_RDONLY | O_NONBLOCK);
      if (!file) return error(file.error(), "open", entry.path);
      auto holes = find_holes(disk_, file->get(), entry.size);
      if (!holes) return error(holes.error(), "look for holes in", entry.path);
      entry.holes = std::move(*holes);
    }
    return entry;
  }

  os::Disk& disk_;
  CursorOptions options_;
  Links links_;
  TreeWalk walk_;
};

}  // namespace

std::unique_ptr<component::EntryCursor> make_cursor(os::Disk& disk, CursorOptions options) {
  return std::make_unique<Cursor>(disk, std::move(options));
}

}  // namespace lockstep::files
