#include "common/stream/manifest.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/stream/manifest_reader.hpp"
#include "common/stream/tree_digest.hpp"

namespace lockstep::stream {
namespace {

using component::EntryKind;

Error damaged(const std::string& manifest, const std::string& what) {
  return make_error(ErrorCode::point_damaged, "the manifest is damaged: " + what, manifest);
}

}  // namespace

namespace {

// Where the end's record begins.
Result<std::uint64_t> offset_of_end(os::Disk& disk, const std::string& path) {
  auto fd = disk.open(os::kCwd, path, O_RDONLY);
  if (!fd) {
    return from_errno(fd.error().number == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                      fd.error().number, "open the manifest", path);
  }
  auto info = disk.stat(fd->get());
  if (!info) return from_errno(ErrorCode::io, info.error().number, "stat the manifest", path);
  const auto size = static_cast<std::uint64_t>(info->st_size);
  if (size < kManifestHeaderBytes + kManifestTrailerBytes) return damaged(path, "it ends early");
  return size - kManifestTrailerBytes;
}

Result<ManifestSummary> summary_at(ManifestReader reader, const std::string& path) {
  LOCKSTEP_TRY(const ManifestReader::At at, reader.next());
  if (at != ManifestReader::At::end) return damaged(path, "its end");
  return reader.summary();
}

Result<ManifestSummary> read_unharmed_summary(os::Disk& disk, const std::string& path) {
  LOCKSTEP_TRY(const std::uint64_t end, offset_of_end(disk, path));
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::go_on_at(disk, path, end));
  return summary_at(std::move(reader), path);
}

}  // namespace

Result<ManifestSummary> read_manifest_summary(os::Disk& disk, const std::string& path) {
  LOCKSTEP_TRY(const std::uint64_t end, offset_of_end(disk, path));
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::open_at(disk, path, end));
  return summary_at(std::move(reader), path);
}

Result<std::optional<Digest256>> root_of_base(os::Disk& disk, const std::string& path,
                                              std::string& damage) {
  using Root = std::optional<Digest256>;
  if (path.empty()) return Root{};
  auto summary = read_unharmed_summary(disk, path);
  if (summary) return Root{summary->root};
  if (summary.error().code != ErrorCode::point_damaged) return summary.error();
  damage = summary.error().text();
  return Root{};
}

Result<ManifestSummary> check_manifest(os::Disk& disk, const std::string& path) {
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::open(disk, path));
  TreeDigest tree;
  ManifestSummary made;
  while (true) {
    LOCKSTEP_TRY(const ManifestReader::At at, reader.next());
    if (at == ManifestReader::At::end) break;
    const Entry& entry = reader.entry();
    if (at == ManifestReader::At::leave) {
      LOCKSTEP_TRY(const ManifestReader::Tail tail, reader.tail());
      const TreeDigest::Left left = tree.leave();
      if (left.digest != tail.digest || left.children != tail.children)
        return damaged(path, "the digest of the directory /" + entry.path);
      continue;
    }
    if (!tree.fits(entry.path))
      return damaged(path, "an entry outside its directory: /" + entry.path);
    ++made.entries;
    if (entry.kind == EntryKind::directory) {
      tree.enter(entry);
      continue;
    }
    if (entry.kind == EntryKind::regular) made.bytes += entry.size;
    std::optional<ContentDigest> content;
    if (reader.leaves_left() > 0) content.emplace(entry.size);
    while (reader.leaves_left() > 0) {
      LOCKSTEP_TRY(const Digest128 leaf, reader.read_leaf());
      content->add(leaf);
    }
    LOCKSTEP_TRY(const ManifestReader::Tail tail, reader.tail());
    const bool other_sum =
        !entry.sum.empty() && content_of_sum(entry.size, entry.sum) != tail.content;
    if (other_sum || (content && content->finish() != tail.content))
      return damaged(path, "the content digest of /" + entry.path);
    if (entry_digest(entry, tail.content) != tail.digest)
      return damaged(path, "the digest of /" + entry.path);
    tree.add(entry.path, tail.digest);
  }
  made.root = tree.root();
  const ManifestSummary& told = reader.summary();
  if (!tree.any() || tree.depth() > 0 || told.entries != made.entries || told.bytes != made.bytes ||
      told.root != made.root)
    return damaged(path, "its root");
  return made;
}

Result<EntryPage> list_manifest(os::Disk& disk, const std::string& path_of_manifest,
                                const std::string& path, const std::string& after,
                                std::size_t limit) {
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::open(disk, path_of_manifest));
  EntryPage page;
  bool found = false;
  while (true) {
    LOCKSTEP_TRY(const ManifestReader::At at, reader.next());
    if (at == ManifestReader::At::end) break;
    const Entry& entry = reader.entry();
    if (at == ManifestReader::At::leave) {
      if (entry.path == path) break;
      continue;
    }
    if (!found) {
      if (entry.path != path) continue;
      found = true;
      if (entry.kind != EntryKind::directory) {
        page.entries.push_back(entry);
        page.entries.back().native = {};
        break;
      }
      continue;
    }
    if (parent_path(entry.path) != path || (!after.empty() && last_name(entry.path) <= after))
      continue;
    if (page.entries.size() == limit) {
      page.more = true;
      break;
    }
    page.entries.push_back(entry);
    page.entries.back().native = {};
  }
  if (!found) return make_error(ErrorCode::not_found, "there is no such path in the point", path);
  return page;
}

}  // namespace lockstep::stream
