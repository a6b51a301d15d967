#include "common/components/files/kept.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <utility>

#include "common/components/files/side.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

using component::Version;

namespace {
constexpr const char* kTrees = ".trees";
constexpr const char* kDying = ".dying.";
}  // namespace

Kept::Kept(os::Disk& disk, std::string store, component::SetId id)
    : disk_(disk),
      id_(std::move(id)),
      versions_(set_directory(store, Area::versions, id_)),
      trees_(versions_ + "/" + kTrees),
      stagings_(set_directory(store, Area::staging, id_)) {}

std::string Kept::link(const std::string& run) const { return versions_ + "/" + run; }

std::string Kept::tree(const std::string& name) const { return trees_ + "/" + name; }

std::string Kept::staging(const std::string& run, int attempt) const {
  return stagings_ + "/" + run + "." + std::to_string(attempt);
}

Result<void> Kept::make() {
  LOCKSTEP_CHECK(os::make_directories(disk_, trees_));
  return os::make_directories(disk_, stagings_);
}

std::optional<std::string> Kept::run_of_staging(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return std::nullopt;
  int attempt = 0;
  const auto read = std::from_chars(name.data() + dot + 1, name.data() + name.size(), attempt);
  if (read.ec != std::errc() || read.ptr != name.data() + name.size()) return std::nullopt;
  return name.substr(0, dot);
}

Result<std::vector<std::string>> Kept::names_in(const std::string& directory) const {
  std::vector<std::string> names;
  auto opened = disk_.open(os::kCwd, directory, O_RDONLY | O_DIRECTORY);
  if (!opened) {
    if (opened.error().number == ENOENT) return names;
    return failed(Side::target, opened.error(), "open the directory", directory);
  }
  auto stream = disk_.read_directory(opened->get());
  if (!stream) return failed(Side::target, stream.error(), "read the directory", directory);
  for (;;) {
    auto next = (*stream)->next();
    if (!next) return failed(Side::target, next.error(), "read the directory", directory);
    if (!next->has_value()) break;
    names.push_back(std::move((*next)->name));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Version Kept::version(const std::string& run, Native native) const {
  return {id_, "files", run, to_text(native)};
}

Result<std::optional<std::string>> Kept::tree_name_of(const std::string& run) const {
  const std::string path = link(run);
  auto text = disk_.read_link(os::kCwd, path);
  if (!text) {
    const int number = text.error().number;
    if (number == ENOENT || number == EINVAL) return std::optional<std::string>{};
    return failed(Side::target, text.error(), "look at the version", path);
  }
  const std::string start = std::string(kTrees) + "/";
  if (!text->starts_with(start)) return std::optional<std::string>{};
  return std::optional<std::string>(text->substr(start.size()));
}

Result<std::optional<Version>> Kept::find(const std::string& run) const {
  LOCKSTEP_TRY(const std::optional<std::string> name, tree_name_of(run));
  if (!name) return std::optional<Version>{};
  Native native;
  native.tree = trees_ + "/" + *name;
  native.hold = link(run);
  const std::size_t dot = name->rfind('.');
  if (dot != std::string::npos) native.form = name->substr(dot + 1);
  auto root = disk_.open(os::kCwd, native.tree, O_RDONLY | O_DIRECTORY);
  if (!root) {
    if (root.error().number == ENOENT) return std::optional<Version>{};
    return failed(Side::target, root.error(), "open the version", native.tree);
  }
  LOCKSTEP_TRY(native.uuid, identity_of(disk_, root->get(), native.form, native.tree));
  return std::optional<Version>(version(run, std::move(native)));
}

Result<std::vector<Version>> Kept::list() const {
  std::vector<Version> sealed;
  std::vector<Version> dangling;
  LOCKSTEP_TRY(const std::vector<std::string> runs, names_in(versions_));
  for (const std::string& run : runs) {
    if (run.starts_with('.')) continue;
    LOCKSTEP_TRY(std::optional<Version> found, find(run));
    if (found) {
      sealed.push_back(std::move(*found));
    } else {
      dangling.push_back(version(
          run,
          {.tree = link(run), .hold = link(run), .form = kStaging, .uuid = {}, .exclude = {}}));
    }
  }
  LOCKSTEP_TRY(const std::vector<std::string> names, names_in(stagings_));
  for (const std::string& name : names) {
    const auto run = run_of_staging(name);
    if (!run) continue;
    const std::string path = stagings_ + "/" + name;
    sealed.push_back(
        version(*run, {.tree = path, .hold = path, .form = kStaging, .uuid = {}, .exclude = {}}));
  }
  std::move(dangling.begin(), dangling.end(), std::back_inserter(sealed));
  return sealed;
}

Result<void> Kept::refer(const std::string& run, const std::string& tree_name) {
  const std::string path = link(run);
  auto made = disk_.symlink(std::string(kTrees) + "/" + tree_name, os::kCwd, path);
  if (!made && made.error().number == EEXIST) {
    // To a tree that is there no more: else find() would have shown the version made.
    auto gone = disk_.unlink(os::kCwd, path);
    if (!gone) return failed(Side::target, gone.error(), "replace the version's name", path);
    made = disk_.symlink(std::string(kTrees) + "/" + tree_name, os::kCwd, path);
  }
  if (!made) return failed(Side::target, made.error(), "name the version", path);
  return os::make_names_last(disk_, versions_);
}

Result<void> Kept::forget(const std::string& run) {
  auto gone = disk_.unlink(os::kCwd, link(run));
  if (!gone && gone.error().number != ENOENT) {
    return failed(Side::target, gone.error(), "remove the version", link(run));
  }
  os::failpoint("files.version.unnamed");
  if (gone) LOCKSTEP_CHECK(os::make_names_last(disk_, versions_));
  return collect();
}

// Sealing ends a run: what its stagings hold after it (power was lost before they were gone) is
// needed by nobody.
Result<void> Kept::remove_sealed_stagings() {
  LOCKSTEP_TRY(const std::vector<std::string> names, names_in(stagings_));
  for (const std::string& name : names) {
    const auto run = run_of_staging(name);
    if (!run) continue;
    LOCKSTEP_TRY(const std::optional<Version> sealed, find(*run));
    if (sealed) LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, stagings_ + "/" + name));
  }
  return {};
}

Result<void> Kept::collect() {
  LOCKSTEP_TRY(const std::vector<std::string> runs, names_in(versions_));
  std::set<std::string> needed;
  for (const std::string& run : runs) {
    LOCKSTEP_TRY(std::optional<std::string> name, tree_name_of(run));
    if (name) needed.insert(std::move(*name));
  }
  LOCKSTEP_CHECK(remove_sealed_stagings());
  LOCKSTEP_TRY(const std::vector<std::string> stagings, names_in(stagings_));
  const auto claimed = [&stagings](const std::string& name) {
    return std::any_of(stagings.begin(), stagings.end(), [&name](const std::string& staging) {
      return name.starts_with(staging + ".");
    });
  };
  LOCKSTEP_TRY(const std::vector<std::string> trees, names_in(trees_));
  bool removed = false;
  for (const std::string& name : trees) {
    if (needed.contains(name) || claimed(name)) continue;
    removed = true;
    std::string dying = name;
    if (!name.starts_with(kDying)) {
      // Under another name first: a half-removed tree never stands where a whole one did.
      dying = kDying + name;
      auto renamed = disk_.rename(os::kCwd, trees_ + "/" + name, os::kCwd, trees_ + "/" + dying);
      if (!renamed) return failed(Side::target, renamed.error(), "set aside", trees_ + "/" + name);
    }
    os::failpoint("files.tree.dying");
    LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, trees_ + "/" + dying));
  }
  // Its caller forgets the version now: a tree that came back with the power would be nobody's.
  return removed ? os::make_names_last(disk_, trees_) : Result<void>{};
}

Result<std::string> identity_of(os::Disk& disk, int root, const std::string& form,
                                const std::string& where) {
  if (form == kSubvolume) {
    auto info = disk.subvolume_info(root);
    if (!info) return failed(Side::target, info.error(), "look at the subvolume", where);
    return std::move(info->uuid);
  }
  auto info = disk.stat(root);
  if (!info) return failed(Side::target, info.error(), "look at", where);
  return "inode:" + std::to_string(info->st_ino);
}

}  // namespace lockstep::files
