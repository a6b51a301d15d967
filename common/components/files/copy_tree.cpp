#include "common/components/files/copy_tree.hpp"

#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "common/components/files/metadata.hpp"
#include "common/components/files/tree_walk.hpp"

namespace lockstep::files {

using component::Action;
using component::Context;
using component::Entry;
using component::EntryKind;

namespace {

constexpr std::uint64_t kTellEvery = 256;  // entries

Result<void> tell(const Context& context, const Copied& copied) {
  if (copied.entries % kTellEvery != 0) return {};
  if (context.stop.stop_requested()) {
    return make_error(ErrorCode::cancelled, "the copy was stopped on request");
  }
  if (context.progress) context.progress(copied.entries, copied.bytes);
  return {};
}

// "d/x" below "a/b" as "place/d/x".
std::string moved(const std::string& path, const std::string& start, const std::string& place) {
  std::string rest = path.substr(start.size());
  if (rest.starts_with('/')) rest.erase(0, 1);
  if (place.empty() || rest.empty()) return place + rest;
  return place + "/" + rest;
}

}  // namespace

Result<Copied> copy_tree(FileSource& source, const std::string& start, TreeWriter& writer,
                         const std::string& place, const Context& context) {
  Copied copied;
  std::vector<Entry> open;  // directories whose own metadata is still to be set, outermost first
  const auto leave_until_inside = [&](const std::string* path) -> Result<void> {
    while (!open.empty() && (path == nullptr || !component::path_inside(*path, open.back().path))) {
      LOCKSTEP_CHECK(writer.leave_directory(open.back()));
      open.pop_back();
    }
    return {};
  };
  LOCKSTEP_TRY(const auto cursor, source.entries_from(start));
  for (;;) {
    LOCKSTEP_TRY(std::optional<Entry> next, cursor->next());
    if (!next) break;
    Entry entry = std::move(*next);
    const std::string from = std::move(entry.path);
    entry.path = moved(from, start, place);
    if (entry.kind == EntryKind::hard_link) {
      entry.link_target = moved(entry.link_target, start, place);
    }
    LOCKSTEP_CHECK(leave_until_inside(&entry.path));
    LOCKSTEP_CHECK(writer.begin(entry, Action::create));
    if (entry.kind == EntryKind::regular && entry.size > 0) {
      LOCKSTEP_TRY(const os::Fd file, source.open_file(from));
      LOCKSTEP_CHECK(writer.fill_from(file.get()));
      copied.bytes += entry.size;
    }
    LOCKSTEP_CHECK(writer.finish());
    if (entry.kind == EntryKind::directory) open.push_back(std::move(entry));
    ++copied.entries;
    LOCKSTEP_CHECK(tell(context, copied));
  }
  LOCKSTEP_CHECK(leave_until_inside(nullptr));
  return copied;
}

Result<Copied> link_tree(os::Disk& disk, FileSource& source, TreeWriter& writer,
                         const std::string& scratch, const Context& context) {
  const OpenTree& tree = source.tree();
  TreeWalkOptions options;
  options.stat_files = false;
  TreeWalk walk(disk, tree.root.get(), tree.native.tree, scratch, std::move(options));
  Copied copied;
  const auto directory_entry = [&](const Visit& visit) -> Result<Entry> {
    Entry entry;
    entry.path = visit.path;
    take_stat(visit.info, entry);
    auto xattrs = read_xattrs(disk, visit.self);
    if (!xattrs) {
      return failed(Side::source, xattrs.error(), "read the extended attributes of",
                    full_path(tree.native.tree, visit.path));
    }
    entry.xattrs = std::move(*xattrs);
    return entry;
  };
  for (;;) {
    LOCKSTEP_TRY(std::optional<Visit> visit, walk.next());
    if (!visit) return copied;
    if (visit->what == Visit::What::leave) {
      LOCKSTEP_TRY(const Entry entry, directory_entry(*visit));
      LOCKSTEP_CHECK(writer.leave_directory(entry));
      continue;
    }
    if (visit->directory) {
      Entry entry;
      entry.path = visit->path;
      take_stat(visit->info, entry);
      LOCKSTEP_CHECK(writer.begin(entry, Action::create));
      LOCKSTEP_CHECK(writer.finish());
    } else if (auto linked = writer.link_from(visit->parent, visit->name, visit->path); !linked) {
      const int number = linked.error().number;
      // Too many names already, or a kernel that lets nobody but its owner name it again.
      if (number != EMLINK && number != EPERM) {
        return failed(Side::target, linked.error(), "link",
                      full_path(tree.native.tree, visit->path));
      }
      LOCKSTEP_CHECK(copy_tree(source, visit->path, writer, visit->path, context));
    }
    ++copied.entries;
    LOCKSTEP_CHECK(tell(context, copied));
  }
}

}  // namespace lockstep::files
