#include "common/components/hdfs/foreign.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "common/components/hdfs/metadata.hpp"

namespace lockstep::hdfs {

using component::Entry;
using component::EntryKind;
using component::Xattr;
using nlohmann::json;

namespace {

constexpr std::size_t kMostBytes = 15'000;  // the names of owner and group come to it

json bytes(std::string_view text) {
  return json::binary(std::vector<std::uint8_t>(text.begin(), text.end()));
}

std::string text_of(const json& value) {
  const auto& held = value.get_binary();
  return {held.begin(), held.end()};
}

bool is_inode(EntryKind kind) { return kind == EntryKind::directory || kind == EntryKind::regular; }

bool is_of_hdfs(const std::string& attribute) {
  return attribute.starts_with("hdfs.") || attribute.starts_with("user.") ||
         attribute.starts_with("trusted.");
}

void put(std::vector<Xattr>& xattrs, Xattr wanted) {
  std::erase_if(xattrs, [&](const Xattr& has) { return has.name == wanted.name; });
  xattrs.push_back(std::move(wanted));
}

// Nothing: of no kind that there is. Throws json::exception where a field is missing or wrong.
std::optional<Entry> entry_from(const json& kept) {
  Entry entry;
  const auto kind = kept.at("k").get<std::uint64_t>();
  if (kind < 1 || kind > static_cast<std::uint64_t>(EntryKind::block_device)) return std::nullopt;
  entry.kind = static_cast<EntryKind>(kind);
  entry.mode = kept.value("m", std::uint32_t{0});
  entry.uid = kept.value("u", std::uint32_t{0});
  entry.gid = kept.value("g", std::uint32_t{0});
  entry.mtime_ns = kept.value("t", std::int64_t{0});
  entry.device = kept.value("d", std::uint64_t{0});
  if (kept.contains("l")) entry.link_target = text_of(kept["l"]);
  if (kept.contains("x")) {
    for (const json& one : kept["x"]) {
      entry.xattrs.push_back({text_of(one.at(0)), text_of(one.at(1))});
    }
  }
  return entry;
}

// What was changed in HDFS since the mark was made.
void follow(Entry& entry, const Status& status) {
  const bool file = status.kind == Status::Kind::file;
  if (!is_inode(entry.kind)) {
    if (!file || status.length == 0) return;
    // Somebody wrote into what stood for no file.
    entry.kind = EntryKind::regular;
    entry.link_target.clear();
    entry.device = 0;
    entry.mode = status.mode;
  }
  entry.kind = file ? EntryKind::regular : EntryKind::directory;
  if (hdfs_mode(entry.kind, entry.mode) != hdfs_mode(entry.kind, status.mode)) {
    entry.mode = status.mode;
  }
  if (!file) return;
  entry.size = status.length;
  if (hdfs_milliseconds(entry.mtime_ns) != status.modified_ms) {
    entry.mtime_ns = status.modified_ms * kMillisecond;
  }
}

}  // namespace

bool is_foreign(const Entry& entry) {
  const bool directory = entry.kind == EntryKind::directory;
  const bool fits = is_inode(entry.kind) && entry.uid == 0 && entry.gid == 0 &&
                    (entry.mode & ~01777U) == 0 && entry.mtime_ns >= 0 &&
                    entry.mtime_ns % (directory ? INT64_MAX : kMillisecond) == 0;
  const auto& xattrs = entry.xattrs;
  return !fits || std::none_of(xattrs.begin(), xattrs.end(), [](const Xattr& xattr) {
    return xattr.name == kOwner;
  }) || !std::all_of(xattrs.begin(), xattrs.end(), [](const Xattr& xattr) {
    return is_of_hdfs(xattr.name);
  });
}

std::int64_t hdfs_milliseconds(std::int64_t mtime_ns) {
  return std::max<std::int64_t>(0, mtime_ns / kMillisecond);
}

std::uint32_t hdfs_mode(EntryKind kind, std::uint32_t mode) {
  return mode & (kind == EntryKind::directory ? 01777U : 0777U);
}

Result<std::string> packed_entry(const Entry& entry) {
  json kept = {{"k", static_cast<unsigned>(entry.kind)}};
  const auto keep = [&kept](const char* name, const auto& value) {
    if (value != 0) kept[name] = value;
  };
  keep("m", entry.mode);
  keep("u", entry.uid);
  keep("g", entry.gid);
  keep("t", entry.mtime_ns);
  keep("d", entry.device);
  if (!entry.link_target.empty()) kept["l"] = bytes(entry.link_target);
  for (const Xattr& xattr : entry.xattrs) {
    kept["x"].push_back(json::array({bytes(xattr.name), bytes(xattr.value)}));
  }
  std::string out;
  json::to_msgpack(kept, out);
  if (out.size() <= kMostBytes) return out;
  return make_error(ErrorCode::not_supported,
                    "its metadata take " + std::to_string(out.size()) + " bytes, and HDFS holds " +
                        std::to_string(kMostBytes) + " of them with an inode",
                    "/" + entry.path, "leave it out with `exclude`, or shorten its attributes");
}

std::string foreign_mark(const std::string& packed, const std::string& owner,
                         const std::string& group) {
  std::string out = "\x93";  // an array of three
  out += packed;
  for (const std::string& name : {owner, group}) {
    std::string one;
    json::to_msgpack(bytes(name), one);
    out += one;
  }
  return out;
}

Result<Entry> foreign_from_mark(const Status& status, std::string path, std::string_view mark,
                                const std::vector<Xattr>& native) {
  std::optional<Entry> read;
  bool same_owner = false;
  try {
    const json kept = json::from_msgpack(mark.begin(), mark.end());
    read = entry_from(kept.at(0));
    same_owner = text_of(kept.at(1)) == status.owner && text_of(kept.at(2)) == status.group;
  } catch (const json::exception&) {
    read.reset();  // said below
  }
  if (!read) {
    return make_error(ErrorCode::source_read,
                      "the attribute " + std::string(kForeignEntry) + " says nothing that is known",
                      "/" + path);
  }
  Entry entry = std::move(*read);
  entry.path = std::move(path);
  entry.native.inode = status.file_id;
  entry.native.ctime_ns = status.modified_ms * kMillisecond;
  follow(entry, status);
  if (entry.kind == EntryKind::hard_link) return entry;
  std::erase_if(entry.xattrs, [](const Xattr& xattr) { return xattr.name == kAcl; });
  for (const Xattr& xattr : native) put(entry.xattrs, xattr);
  for (Xattr& xattr : entry.xattrs) {
    if (xattr.name == kReplication) xattr.value = std::to_string(status.replication);
    if (xattr.name == kBlockSize) xattr.value = std::to_string(status.block_size);
  }
  if (!same_owner) {
    put(entry.xattrs, {std::string(kOwner), status.owner});
    put(entry.xattrs, {std::string(kGroup), status.group});
  }
  std::sort(entry.xattrs.begin(), entry.xattrs.end());
  return entry;
}

}  // namespace lockstep::hdfs
