#include "common/stream/entry_codec.hpp"

#include <algorithm>

namespace lockstep::stream {
namespace {

using component::EntryKind;
using component::Extent;

constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxXattrName = 255;
constexpr std::size_t kMaxXattrValue = 65536;

const char* check_fields(const Entry& entry) {
  const bool regular = entry.kind == EntryKind::regular;
  const bool linkish = entry.kind == EntryKind::symlink || entry.kind == EntryKind::hard_link;
  const bool device = entry.kind == EntryKind::char_device || entry.kind == EntryKind::block_device;
  if (entry.kind < EntryKind::directory || entry.kind > EntryKind::block_device) return "kind";
  if (!component::path_is_clean(entry.path)) return "path";
  if (entry.mode > 07777 || (entry.kind == EntryKind::symlink && entry.mode != 0)) return "mode";
  if (!regular && (entry.size != 0 || !entry.holes.empty())) return "size of what has none";
  if (!device && entry.device != 0) return "device of what is none";
  if (linkish == entry.link_target.empty()) return "link target";
  if (entry.kind == EntryKind::symlink && entry.link_target.find('\0') != std::string::npos)
    return "link target";
  if (entry.kind == EntryKind::hard_link) {
    if (!component::path_is_clean(entry.link_target)) return "hard link's first name";
    if (!component::path_less(entry.link_target, entry.path))
      return "hard link before its first name";
    if (!entry.xattrs.empty() || entry.mode != 0 || entry.uid != 0 || entry.gid != 0 ||
        entry.mtime_ns != 0)
      return "metadata of a hard link";
  }
  // A size that no offset can reach would overflow the arithmetic of leaves.
  if (entry.size > static_cast<std::uint64_t>(INT64_MAX)) return "size";
  if (!entry.sum.empty() && (!regular || entry.sum.size() > kMaxSum || !entry.holes.empty()))
    return "checksum";
  for (std::size_t i = 0; i < entry.xattrs.size(); ++i) {
    if (entry.xattrs[i].name.empty()) return "xattr name";
    if (i > 0 && entry.xattrs[i - 1].name >= entry.xattrs[i].name) return "order of xattrs";
  }
  std::uint64_t from = 0;
  for (const Extent& hole : entry.holes) {
    if (hole.length == 0 || hole.offset < from || hole.offset > entry.size ||
        hole.length > entry.size - hole.offset)
      return "holes";
    from = hole.offset + hole.length;
  }
  return nullptr;
}

}  // namespace

Result<void> encode_entry(const Entry& entry, WithNative native, Buffer& out) {
  const std::size_t start = out.size();
  ByteWriter writer(out);
  writer.number(entry.sum.empty() ? static_cast<std::uint8_t>(entry.kind) : kSummedFile);
  writer.number(entry.mode);
  writer.number(entry.uid);
  writer.number(entry.gid);
  writer.number(entry.mtime_ns);
  writer.number(entry.size);
  writer.number(entry.device);
  writer.counted(entry.path);
  writer.counted(entry.link_target);
  writer.number(static_cast<std::uint32_t>(entry.xattrs.size()));
  for (const auto& xattr : entry.xattrs) {
    writer.counted(xattr.name);
    writer.counted(xattr.value);
  }
  writer.number(static_cast<std::uint32_t>(entry.holes.size()));
  for (const Extent& hole : entry.holes) {
    writer.number(hole.offset);
    writer.number(hole.length);
  }
  if (!entry.sum.empty()) writer.counted(entry.sum);
  if (native == WithNative::yes) {
    writer.number(entry.native.inode);
    writer.number(entry.native.ctime_ns);
    writer.number(entry.native.generation);
  }
  if (out.size() - start > kMaxEntryBytes) {
    out.resize(start);
    return make_error(ErrorCode::source_special,
                      "the entry's extended attributes are too large to be carried", entry.path);
  }
  // What a receiver would refuse is refused here, where it can be named.
  if (const char* bad = check_fields(entry); bad != nullptr) {
    out.resize(start);
    return make_error(ErrorCode::source_special,
                      std::string("the entry cannot be carried because of its ") + bad, entry.path);
  }
  return {};
}

DecodedEntry decode_entry(ByteReader& in, WithNative native) {
  DecodedEntry out;
  Entry& entry = out.entry;
  const std::size_t start = in.left();
  const auto kind = in.number<std::uint8_t>();
  entry.kind = kind == kSummedFile ? EntryKind::regular : static_cast<EntryKind>(kind);
  entry.mode = in.number<std::uint32_t>();
  entry.uid = in.number<std::uint32_t>();
  entry.gid = in.number<std::uint32_t>();
  entry.mtime_ns = in.number<std::int64_t>();
  entry.size = in.number<std::uint64_t>();
  entry.device = in.number<std::uint64_t>();
  entry.path = in.counted(kMaxText);
  entry.link_target = in.counted(kMaxText);
  const auto xattrs = in.number<std::uint32_t>();
  // Counts are not believed: the loop ends with the bytes.
  for (std::uint32_t i = 0; i < xattrs && in.ok(); ++i) {
    component::Xattr xattr;
    xattr.name = in.counted(kMaxXattrName);
    xattr.value = in.counted(kMaxXattrValue);
    entry.xattrs.push_back(std::move(xattr));
  }
  const auto holes = in.number<std::uint32_t>();
  if (holes > kMaxHoles) {
    out.bad = "number of holes";
    return out;
  }
  for (std::uint32_t i = 0; i < holes && in.ok(); ++i) {
    Extent hole;
    hole.offset = in.number<std::uint64_t>();
    hole.length = in.number<std::uint64_t>();
    entry.holes.push_back(hole);
  }
  if (kind == kSummedFile) {
    entry.sum = in.counted(kMaxSum);
    if (entry.sum.empty()) {
      out.bad = "checksum";
      return out;
    }
  }
  if (native == WithNative::yes) {
    entry.native.inode = in.number<std::uint64_t>();
    entry.native.ctime_ns = in.number<std::int64_t>();
    entry.native.generation = in.number<std::uint64_t>();
  }
  out.bad = !in.ok()                             ? "length"
            : start - in.left() > kMaxEntryBytes ? "length"
                                                 : check_fields(entry);
  return out;
}

void thin_holes(std::vector<Extent>& holes) {
  for (std::uint64_t least = 8192; holes.size() > kMaxHoles; least *= 2) {
    std::erase_if(holes, [least](const Extent& hole) { return hole.length < least; });
  }
}

void normalise(Entry& entry) {
  const EntryKind kind = entry.kind;
  if (kind != EntryKind::regular) {
    entry.size = 0;
    entry.holes.clear();
    entry.sum.clear();
  }
  if (kind != EntryKind::char_device && kind != EntryKind::block_device) entry.device = 0;
  if (kind != EntryKind::symlink && kind != EntryKind::hard_link) entry.link_target.clear();
  entry.mode = kind == EntryKind::symlink ? 0 : entry.mode & 07777U;
  if (kind == EntryKind::hard_link) {
    entry.mode = entry.uid = entry.gid = 0;
    entry.mtime_ns = 0;
    entry.xattrs.clear();
  }
  thin_holes(entry.holes);
}

}  // namespace lockstep::stream
