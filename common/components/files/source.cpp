#include "common/components/files/source.hpp"

#include <fcntl.h>
#include <linux/magic.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/components/files/changes.hpp"
#include "common/components/files/cursor.hpp"
#include "common/components/files/extents.hpp"
#include "common/components/files/kept.hpp"
#include "common/components/files/metadata.hpp"
#include "common/components/files/side.hpp"

namespace lockstep::files {

using component::Entry;
using component::EntryKind;
using component::Extent;
using component::Version;

namespace {

constexpr std::uint64_t kWorthComparing = std::uint64_t{1} << 20;
// Larger files are read past the cache: each page that would be made for them, copied and given
// back costs more than the whole rest of reading it.
constexpr std::uint64_t kPastTheCache = std::uint64_t{1} << 20;
constexpr std::uint64_t kLeaf = 65'536;  // docs/point-format.md: what a digest is taken of
// What pins that were cloned or copied are called (native.hpp): only they have origins.
constexpr std::string_view kClonedForm = "tree";

class Reader final : public component::EntryReader {
 public:
  // `alone`: nobody else reads these very pages.
  Reader(os::Disk& disk, os::Fd file, std::uint64_t size, bool alone, std::string where)
      : disk_(disk), file_(std::move(file)), size_(size), alone_(alone), where_(std::move(where)) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  // What is read once must not push out of memory what the service reads often; and memory that is
  // used again at once is cheaper than other.
  ~Reader() override {
    if (alone_) disk_.forget_read(file_.get());
  }

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    if (offset >= size_) return std::size_t{0};
    // Not beyond the end that is known: that would cost one more call to be told so.
    const auto most =
        static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size_ - offset));
    auto got = disk_.read_at(file_.get(), offset, into.first(most));
    if (!got) return failed(Side::source, got.error(), "read", where_);
    return *got;
  }

 private:
  os::Disk& disk_;
  os::Fd file_;
  std::uint64_t size_;
  bool alone_;
  std::string where_;
};

// Whether both are snapshots of one subvolume, as it stood when they were made: then what changed
// between them bears a transaction after the earlier one's.
bool shows_later(const os::SubvolumeInfo& then, const os::SubvolumeInfo& now) {
  const bool untouched = then.read_only && then.changed <= then.made;
  const bool of_one = then.parent_uuid == now.parent_uuid &&
                      then.parent_uuid.find_first_not_of('0') != std::string::npos;
  return of_one && untouched && then.made < now.made;
}

class FileSources final : public component::Sources {
 public:
  explicit FileSources(const component::Surroundings& surroundings)
      : disk_(surroundings.disk), scratch_(surroundings.state_directory) {}

  Result<std::unique_ptr<component::Source>> open(const Version& version) override {
    LOCKSTEP_TRY(auto source, FileSource::open(disk_, scratch_, version));
    return std::unique_ptr<component::Source>(std::move(source));
  }

 private:
  os::Disk& disk_;
  std::string scratch_;
};

}  // namespace

Result<std::unique_ptr<OpenTree>> open_tree(os::Disk& disk, const Version& version) {
  auto tree = std::make_unique<OpenTree>();
  LOCKSTEP_TRY(tree->native, native_from_text(version.native));
  const std::string& where = tree->native.tree;
  auto root = disk.open(os::kCwd, where, O_RDONLY | O_DIRECTORY);
  if (!root) {
    const bool gone = root.error().number == ENOENT || root.error().number == ENOTDIR;
    if (!gone) return failed(Side::source, root.error(), "open the version", where);
    return make_error(ErrorCode::version_missing, "the version is not there", where);
  }
  tree->root = std::move(*root);
  if (!tree->native.uuid.empty()) {
    // Of a set that is not a subvolume's root, the ioctl tells of the subvolume it lies in: the
    // pin's.
    LOCKSTEP_TRY(const std::string identity,
                 identity_of(disk, tree->root.get(), tree->native.form, where));
    if (identity != tree->native.uuid) {
      return make_error(ErrorCode::version_missing, "another tree lies where the version was",
                        where);
    }
  }
  auto id = disk.file_system_id(tree->root.get());
  if (!id) return failed(Side::source, id.error(), "look at the file system of", where);
  tree->file_system = std::move(*id);
  auto kind = disk.file_system(tree->root.get());
  if (!kind) return failed(Side::source, kind.error(), "look at the file system of", where);
  tree->shares_extents = kind->magic == BTRFS_SUPER_MAGIC || kind->magic == XFS_SUPER_MAGIC;
  tree->directories = std::make_unique<Directories>(disk, tree->root.get());
  return tree;
}

FileSource::FileSource(os::Disk& disk, std::string scratch, std::unique_ptr<OpenTree> tree)
    : disk_(disk),
      scratch_(std::move(scratch)),
      tree_(std::move(tree)),
      exclude_(tree_->native.exclude) {}

Result<std::unique_ptr<FileSource>> FileSource::open(os::Disk& disk, std::string scratch,
                                                     const Version& version) {
  LOCKSTEP_TRY(auto tree, open_tree(disk, version));
  return std::unique_ptr<FileSource>(new FileSource(disk, std::move(scratch), std::move(tree)));
}

Result<std::unique_ptr<component::EntryCursor>> FileSource::entries() { return entries_from(""); }

Result<std::unique_ptr<component::EntryCursor>> FileSource::counted() {
  CursorOptions options = cursor_options();
  options.xattrs = false;
  return cursor_of(std::move(options));
}

CursorOptions FileSource::cursor_options() const {
  CursorOptions options;
  options.root = tree_->root.get();
  options.where = tree_->native.tree;
  options.scratch = scratch_;
  options.exclude = &exclude_;
  options.settled_before_ns = tree_->native.settled_before_ns;
  return options;
}

Result<std::unique_ptr<component::EntryCursor>> FileSource::entries_from(const std::string& start) {
  CursorOptions options = cursor_options();
  options.start = start;
  return cursor_of(std::move(options));
}

Result<std::unique_ptr<component::EntryCursor>> FileSource::cursor_of(CursorOptions options) {
  if (tree_->native.form == kClonedForm) {
    LOCKSTEP_TRY(options.origins, OriginReader::open(disk_, origin_path(tree_->native.hold)));
  }
  return make_cursor(disk_, std::move(options));
}

Result<std::unique_ptr<component::ChangeCursor>> FileSource::changes(const Version& base) {
  using Answer = std::unique_ptr<component::ChangeCursor>;
  // Whatever stands against it: then all entries are listed.
  auto old_tree = base_tree(base);
  if (!old_tree) return Answer{};
  const Native& now = tree_->native;
  const Native& then = (*old_tree)->native;
  const bool snapshots = now.form == kSubvolume && then.form == kSubvolume && !now.uuid.empty() &&
                         !then.uuid.empty() && now.uuid != then.uuid;
  if (!snapshots || now.exclude != then.exclude || tree_->file_system != (*old_tree)->file_system) {
    return Answer{};
  }
  const auto inside = [](const Native& native) {
    return native.tree.size() > native.hold.size() ? native.tree.substr(native.hold.size() + 1)
                                                   : std::string();
  };
  if (!now.tree.starts_with(now.hold) || inside(now) != inside(then)) return Answer{};
  auto subvolume = disk_.open(os::kCwd, now.hold, O_RDONLY | O_DIRECTORY);
  if (!subvolume) return Answer{};
  auto old_info = disk_.subvolume_info((*old_tree)->root.get());
  auto new_info = disk_.subvolume_info(tree_->root.get());
  if (!old_info || !new_info || !shows_later(*old_info, *new_info)) return Answer{};
  return make_changes(disk_, {.cursor = cursor_options(),
                              .directories = tree_->directories.get(),
                              .subvolume = std::move(*subvolume),
                              .base_tree = old_info->id,
                              .base_made = old_info->made,
                              .inside = inside(now)});
}

Result<os::Fd> FileSource::open_named(const std::string& path, int flags) {
  const auto where = [&] { return full_path(tree_->native.tree, path); };
  auto parent = tree_->directories->get(directory_of(path));
  if (!parent) return failed(Side::source, parent.error(), "open the directory of", where());
  auto file =
      disk_.open((*parent)->fd.get(), std::string(last_name(path)), O_RDONLY | O_NONBLOCK | flags);
  if (!file) return failed(Side::source, file.error(), "open", where());
  return std::move(*file);
}

Result<os::Fd> FileSource::open_file(const std::string& path) {
  LOCKSTEP_TRY(os::Fd file, open_named(path, 0));
  const auto where = [&] { return full_path(tree_->native.tree, path); };
  auto info = disk_.stat(file.get());
  if (!info) return failed(Side::source, info.error(), "look at", where());
  if (!S_ISREG(info->st_mode)) {
    return make_error(ErrorCode::source_read, "it was a regular file and is one no more", where());
  }
  return file;
}

Result<std::unique_ptr<component::EntryReader>> FileSource::open(const Entry& entry) {
  const std::string& path = entry.kind == EntryKind::hard_link ? entry.link_target : entry.path;
  // A snapshot's pages are its own, even where its blocks are the live file's; and what was a
  // regular file in it when it was listed is one still.
  const bool alone = tree_->native.form == kSubvolume;
  // btrfs reads by way of the cache all the same where offset, length or memory lie ill for
  // O_DIRECT.
  const int flags = entry.size > kPastTheCache ? O_DIRECT : 0;
  LOCKSTEP_TRY(os::Fd file, alone ? open_named(path, flags) : open_file(path));
  return std::unique_ptr<component::EntryReader>(std::make_unique<Reader>(
      disk_, std::move(file), entry.size, alone, full_path(tree_->native.tree, path)));
}

bool FileSource::unchanged(const Entry& before, const Entry& now) const {
  const bool known = now.native.inode != 0 && now.native == before.native;
  if (!known || before.path != now.path || before.kind != now.kind ||
      before.link_target != now.link_target) {
    return false;
  }
  if (now.kind == EntryKind::hard_link) return true;
  return before.mode == now.mode && before.uid == now.uid && before.gid == now.gid &&
         before.mtime_ns == now.mtime_ns && before.size == now.size &&
         before.device == now.device && before.xattrs == now.xattrs;
}

Result<std::shared_ptr<OpenTree>> FileSource::base_tree(const Version& base) {
  const std::lock_guard lock(mutex_);
  if (base_ == nullptr || base_native_ != base.native) {
    LOCKSTEP_TRY(std::unique_ptr<OpenTree> opened, open_tree(disk_, base));
    base_ = std::move(opened);
    base_native_ = base.native;
  }
  return base_;
}

Result<std::optional<std::vector<Extent>>> FileSource::changed_extents(const Entry& entry,
                                                                       const Version& base) {
  using Answer = std::optional<std::vector<Extent>>;
  if (entry.kind != EntryKind::regular || entry.size <= kWorthComparing) return Answer{};
  LOCKSTEP_TRY(const std::shared_ptr<OpenTree> old_tree, base_tree(base));
  // What the base does not have as a regular file is sent whole: no error.
  auto old_parent = old_tree->directories->get(directory_of(entry.path));
  if (!old_parent) return Answer{};
  auto old_file = disk_.open((*old_parent)->fd.get(), std::string(last_name(entry.path)),
                             O_RDONLY | O_NONBLOCK);
  if (!old_file) return Answer{};
  auto old_info = disk_.stat(old_file->get());
  if (!old_info || !S_ISREG(old_info->st_mode)) return Answer{};
  const auto old_size = static_cast<std::uint64_t>(old_info->st_size);
  if (old_size <= kWorthComparing) return Answer{};

  LOCKSTEP_TRY(const os::Fd file, open_file(entry.path));
  const auto where = [&] { return full_path(tree_->native.tree, entry.path); };
  auto info = disk_.stat(file.get());
  if (!info) return failed(Side::source, info.error(), "look at", where());
  // A copy that was linked from the base because it had not changed.
  if (info->st_dev == old_info->st_dev && info->st_ino == old_info->st_ino) {
    return Answer{std::vector<Extent>{}};
  }
  const std::uint64_t size = std::min(entry.size, old_size);
  std::vector<Extent> suspects = {{0, size}};
  if (tree_->shares_extents && tree_->file_system == old_tree->file_system) {
    auto now = disk_.map_extents(file.get(), false);
    auto then = disk_.map_extents(old_file->get(), false);
    // A map that cannot be had tells nothing: the contents do.
    if (now && then) suspects = not_shared(*then, *now, size);
  }
  auto changed = differing(disk_, old_file->get(), file.get(), widen(suspects, kLeaf, size), kLeaf);
  if (!changed) return failed(Side::source, changed.error(), "compare with its base", where());
  return Answer{std::move(*changed)};
}

std::unique_ptr<component::Sources> make_file_sources(const component::Surroundings& surroundings) {
  return std::make_unique<FileSources>(surroundings);
}

}  // namespace lockstep::files
