#include "common/components/files/staging.hpp"

#include <fcntl.h>
#include <linux/magic.h>

#include <cerrno>
#include <utility>

#include "common/components/files/copy_tree.hpp"
#include "common/components/files/metadata.hpp"
#include "common/components/files/names.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;

namespace {
constexpr const char* kForms[] = {kSubvolume, kReflinkTree, kLinkFarm};

std::string scratch_in(const std::string& staging) { return staging + "/scratch"; }
}  // namespace

FileStaging::FileStaging(os::Disk& disk, Setup setup) : disk_(disk), setup_(std::move(setup)) {}

Result<std::unique_ptr<FileStaging>> FileStaging::open(os::Disk& disk, Setup setup) {
  std::unique_ptr<FileStaging> made(new FileStaging(disk, std::move(setup)));
  const std::string& path = made->setup_.path;
  auto opened = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!opened) return failed(Side::target, opened.error(), "open the staging", path);
  made->staging_ = std::move(*opened);
  LOCKSTEP_CHECK(os::make_directories(disk, scratch_in(path)));
  LOCKSTEP_CHECK(made->find_tree());
  return made;
}

// The tree that an earlier process of this attempt made.
Result<void> FileStaging::find_tree() {
  tag_ = name_of(setup_.path);
  LOCKSTEP_TRY(const std::optional<std::string> sealed,
               setup_.kept.tree_name_of(setup_.context.run));
  // This attempt's tree may be a version's already: that one is never touched again.
  if (sealed && sealed->starts_with(tag_ + ".")) tag_ += ".again";
  for (const char* form : kForms) {
    const std::string tree = setup_.kept.tree(tag_ + "." + form);
    if (disk_.stat_at(os::kCwd, tree)) return open_tree_at(tree, form);
  }
  return {};
}

Result<void> FileStaging::need_tree() {
  if (broken_) {
    return make_error(ErrorCode::target_write,
                      "an earlier sync failed: what lies here is not whole", setup_.path,
                      "the transfer starts again in a new staging; check the disk");
  }
  return writer_ ? Result<void>{} : make_tree();
}

Result<void> FileStaging::make_tree() {
  const std::string part = setup_.kept.tree(tag_ + ".part");
  LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, part));  // what a process that died had begun
  LOCKSTEP_TRY(const std::string form, choose_form(part));
  LOCKSTEP_CHECK(fill_tree(form, part));
  // A tree with this name is whole, whatever the power does: it is what a resumed transfer goes on
  // with, from as early as its first entry. (Snapshots are so by themselves.)
  const bool snapshot =
      form == kSubvolume && base_is_kept() && setup_.base->tree().native.form == kSubvolume;
  if (setup_.base != nullptr && !snapshot) LOCKSTEP_CHECK(sync());
  const std::string tree = setup_.kept.tree(tag_ + "." + form);
  auto renamed = disk_.rename(os::kCwd, part, os::kCwd, tree);
  if (!renamed) return failed(Side::target, renamed.error(), "name the staging tree", tree);
  os::failpoint("files-stage-named");
  return open_tree_at(tree, form);
}

// A base may also be a pin of the other direction: that one may lie inside a subvolume, and hold
// what the policy leaves out.
bool FileStaging::base_is_kept() const {
  return setup_.base != nullptr && setup_.base->tree().native.tree ==
                                       setup_.kept.tree(name_of(setup_.base->tree().native.tree));
}

// Makes `part`, empty or (a snapshot) as the base, in the best form that the file system has.
Result<std::string> FileStaging::choose_form(const std::string& part) {
  const std::string name = name_of(part);
  auto trees = disk_.open(os::kCwd, os::directory_of(part), O_RDONLY | O_DIRECTORY);
  if (!trees) return failed(Side::target, trees.error(), "open", os::directory_of(part));
  auto kind = disk_.file_system(staging_.get());
  if (!kind) return failed(Side::target, kind.error(), "look at the file system of", setup_.path);
  if (kind->magic == BTRFS_SUPER_MAGIC) {
    if (base_is_kept() && setup_.base->tree().native.form == kSubvolume) {
      const int base = setup_.base->tree().root.get();
      if (disk_.snapshot_subvolume(trees->get(), name, base, false)) {
        return std::string(kSubvolume);
      }
    }
    if (disk_.create_subvolume(trees->get(), name)) {
      if (setup_.base != nullptr) {
        LOCKSTEP_CHECK(fill_tree(kReflinkTree, part));
      }
      return std::string(kSubvolume);
    }
    // Not ours to make here (another's directory, a container's rules): a tree does as well.
  }
  auto made = disk_.make_directory(trees->get(), name, 0700);
  if (!made) return failed(Side::target, made.error(), "make the staging tree", part);
  LOCKSTEP_TRY(const bool reflinks, can_reflink());
  return std::string(reflinks ? kReflinkTree : kLinkFarm);
}

Result<void> FileStaging::fill_tree(const std::string& form, const std::string& part) {
  if (setup_.base == nullptr || form == kSubvolume) return {};
  auto root = disk_.open(os::kCwd, part, O_RDONLY | O_DIRECTORY);
  if (!root) return failed(Side::target, root.error(), "open the staging tree", part);
  WriterOptions options;
  options.where = part;
  TreeWriter writer(disk_, std::move(*root), std::move(options));
  if (form == kLinkFarm && setup_.base->tree().native.exclude.empty()) {
    LOCKSTEP_CHECK(link_tree(disk_, *setup_.base, writer, setup_.scratch, setup_.context));
  } else {
    LOCKSTEP_CHECK(copy_tree(*setup_.base, "", writer, "", setup_.context));
  }
  return {};
}

Result<bool> FileStaging::can_reflink() {
  LOCKSTEP_TRY(const os::Fd from, open_scratch(disk_, scratch_in(setup_.path)));
  LOCKSTEP_TRY(const os::Fd to, open_scratch(disk_, scratch_in(setup_.path)));
  const std::string content(4096, 'x');
  auto written = disk_.write_at(from.get(), 0, std::as_bytes(std::span(content)));
  if (!written) return failed(Side::target, written.error(), "write in", setup_.path);
  return disk_.reflink(to.get(), from.get()).has_value();
}

Result<void> FileStaging::open_tree_at(const std::string& path, const std::string& form) {
  auto root = disk_.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!root) return failed(Side::target, root.error(), "open the staging tree", path);
  if (form == kSubvolume) {
    // Read-only where a process died while it sealed: what is applied again must be let in.
    auto writable = disk_.set_subvolume_read_only(root->get(), false);
    if (!writable) return failed(Side::target, writable.error(), "make writable", path);
  }
  WriterOptions options;
  options.where = path;
  options.shares_inodes = form == kLinkFarm;
  options.scratch = scratch_in(setup_.path);
  if (options.shares_inodes && setup_.base != nullptr) {
    options.base = setup_.base->tree().directories.get();
  }
  form_ = form;
  writer_.emplace(disk_, std::move(*root), std::move(options));
  flush_.emplace(disk_, setup_.path);
  // A farm of hard links has the base's own inodes: what changes is made anew beside them.
  if (setup_.base != nullptr && form != kLinkFarm) prefetch_.emplace(disk_, writer_->root());
  return {};
}

void FileStaging::close_tree() {
  prefetch_.reset();
  flush_.reset();
  writer_.reset();
}

// True where nothing has been applied and the base has this directory with just this metadata: then
// applying it changes nothing, and the version may still stand for the base's content.
Result<bool> FileStaging::same_in_base(const Entry& directory) {
  if (writer_ || setup_.base == nullptr || directory.kind != EntryKind::directory ||
      !component::path_is_clean(directory.path)) {
    return false;
  }
  const auto found = setup_.base->tree().directories->get(directory.path);
  if (!found) return false;
  auto info = disk_.stat((*found)->fd.get());
  auto xattrs = read_xattrs(disk_, (*found)->fd.get());
  if (!info || !xattrs) return false;
  Entry has;
  take_stat(*info, has);
  return has.mode == directory.mode && has.uid == directory.uid && has.gid == directory.gid &&
         has.mtime_ns == directory.mtime_ns && *xattrs == directory.xattrs;
}

void FileStaging::expect(const Entry& entry) {
  if (entry.kind != EntryKind::regular) return;
  // A tree that cannot be made is told of when the entry is begun.
  if (setup_.base == nullptr || !need_tree() || !prefetch_) return;
  prefetch_->add(entry.path, entry.size);
}

Result<void> FileStaging::begin(const Entry& entry, Action action) {
  LOCKSTEP_TRY(skipped_, same_in_base(entry));
  if (skipped_) return {};
  LOCKSTEP_CHECK(need_tree());
  return writer_->begin(entry, action);
}

Result<void> FileStaging::write(std::uint64_t offset, std::span<const std::byte> data) {
  LOCKSTEP_CHECK(need_tree());
  LOCKSTEP_CHECK(writer_->write(offset, data));
  flush_->wrote(data.size());
  return {};
}

Result<void> FileStaging::finish() {
  if (std::exchange(skipped_, false)) return {};
  LOCKSTEP_CHECK(need_tree());
  return writer_->finish();
}

Result<std::size_t> FileStaging::read_back(std::uint64_t offset, std::span<std::byte> into) {
  LOCKSTEP_CHECK(need_tree());
  return writer_->read_back(offset, into);
}

Result<void> FileStaging::remove(const std::string& path) {
  LOCKSTEP_CHECK(need_tree());
  return writer_->remove(path);
}

Result<void> FileStaging::leave_directory(const Entry& directory) {
  LOCKSTEP_TRY(const bool same, same_in_base(directory));
  if (same) return {};
  LOCKSTEP_CHECK(need_tree());
  return writer_->leave_directory(directory);
}

Result<void> FileStaging::sync() {
  if (broken_) return need_tree();
  auto synced = disk_.syncfs(staging_.get());
  if (synced) return {};
  broken_ = true;
  return failed(Side::target, synced.error(), "sync", setup_.path);
}

Result<void> FileStaging::checkpoint() { return writer_ ? sync() : Result<void>{}; }

Result<Version> FileStaging::seal() {
  {
    const std::lock_guard lock(*setup_.guard);
    LOCKSTEP_TRY(std::optional<Version> made, setup_.kept.find(setup_.context.run));
    if (made) {
      LOCKSTEP_CHECK(abandon());
      return std::move(*made);
    }
  }
  if (!writer_ && base_is_kept()) {
    return publish(name_of(setup_.base->tree().native.tree));
  }
  LOCKSTEP_CHECK(need_tree());
  LOCKSTEP_CHECK(sync());
  os::failpoint("files-seal-synced");
  if (form_ == kSubvolume) {
    auto sealed = disk_.set_subvolume_read_only(writer_->root(), true);
    if (!sealed) return failed(Side::target, sealed.error(), "make read-only", setup_.path);
    os::failpoint("files-seal-read-only");
  }
  close_tree();
  return publish(tag_ + "." + form_);
}

Result<Version> FileStaging::publish(const std::string& tree_name) {
  const std::string& run = setup_.context.run;
  const std::lock_guard lock(*setup_.guard);
  if (!disk_.stat_at(os::kCwd, setup_.kept.tree(tree_name))) {
    return make_error(ErrorCode::version_missing, "the base that the version stands for is gone",
                      setup_.kept.tree(tree_name));
  }
  LOCKSTEP_CHECK(setup_.kept.refer(run, tree_name));
  os::failpoint("files-seal-named");
  LOCKSTEP_TRY(std::optional<Version> made, setup_.kept.find(run));
  if (!made) {
    return make_error(ErrorCode::internal, "the version that was made is not found",
                      setup_.kept.link(run));
  }
  LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, setup_.path));
  os::failpoint("files-seal-cleared");
  LOCKSTEP_CHECK(os::make_names_last(disk_, setup_.kept.stagings()));
  return std::move(*made);
}

Result<void> FileStaging::abandon() {
  close_tree();
  setup_.base.reset();
  LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, setup_.path));
  return setup_.kept.collect();
}

}  // namespace lockstep::files
