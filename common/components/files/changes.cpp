#include "common/components/files/changes.hpp"

#include <cerrno>
#include <utility>

namespace lockstep::files {

namespace {

using component::Change;

class Changes final : public component::ChangeCursor {
 public:
  Changes(os::Disk& disk, ChangesRequest request)
      : disk_(disk), request_(std::move(request)), exclude_(request_.cursor.exclude) {
    touched_.subvolume = request_.subvolume.get();
    touched_.base_tree = request_.base_tree;
    touched_.base_made = request_.base_made;
    touched_.inside = request_.inside;
    touched_.left_out = [this](const std::string& path, bool directory) {
      return exclude_->leaves_out(path, directory);
    };
    touched_.scratch = request_.cursor.scratch;
    touched_.where = request_.cursor.where;
  }

  // False where btrfs does not tell.
  Result<bool> begin() {
    LOCKSTEP_TRY(paths_, touched_paths(disk_, touched_));
    return paths_ != nullptr;
  }

  Result<std::optional<Change>> next() override {
    while (true) {
      if (inside_) {
        LOCKSTEP_TRY(std::optional<component::Entry> entry, inside_->next());
        if (entry) {
          std::string path = entry->path;
          return std::optional<Change>(Change{std::move(path), std::move(*entry), false});
        }
        inside_.reset();
      }
      LOCKSTEP_TRY(const std::optional<Touched> touched, paths_->next());
      if (!touched) return std::optional<Change>{};
      if (top_ && component::path_inside(touched->path, *top_)) continue;  // given with its top
      return look_at(*touched);
    }
  }

 private:
  Result<std::optional<Change>> look_at(const Touched& touched) {
    Change change{touched.path, std::nullopt, touched.below};
    if (touched.below) top_ = touched.path;
    LOCKSTEP_TRY(const std::optional<bool> directory, kind_of(touched.path));
    if (!directory || left_out(touched.path, *directory)) {
      return std::optional<Change>(std::move(change));
    }
    CursorOptions options;
    options.root = request_.cursor.root;
    options.where = request_.cursor.where;
    options.scratch = request_.cursor.scratch;
    options.exclude = exclude_;
    options.settled_before_ns = request_.cursor.settled_before_ns;
    options.start = touched.path;
    const bool with_inside = touched.below && *directory;
    options.alone = !with_inside;
    options.first_name = [this](std::uint64_t inode, const std::string& path) {
      return first_name(inode, path);
    };
    auto cursor = make_cursor(disk_, std::move(options));
    LOCKSTEP_TRY(change.now, cursor->next());
    if (with_inside) inside_ = std::move(cursor);
    return std::optional<Change>(std::move(change));
  }

  // Whether a directory stands there; nothing where nothing does.
  Result<std::optional<bool>> kind_of(const std::string& path) {
    if (path.empty()) return std::optional<bool>(true);
    auto parent = request_.directories->get(directory_of(path));
    auto info = parent ? disk_.stat_at((*parent)->fd.get(), std::string(last_name(path)))
                       : os::Sys<struct ::stat>(parent.error());
    if (info) return std::optional<bool>(S_ISDIR(info->st_mode));
    const int number = info.error().number;
    // A name of the way between the two versions, or one that lies below what is a link now.
    if (number == ENOENT || number == ENOTDIR || number == ELOOP || number == EXDEV ||
        number == ENAMETOOLONG) {
      return std::optional<bool>{};
    }
    return failed(Side::source, info.error(), "look at", full_path(touched_.where, path));
  }

  bool left_out(const std::string& path, bool directory) const {
    return !path.empty() && exclude_->leaves_out(path, directory);
  }

  Result<std::string> first_name(std::uint64_t inode, const std::string& path) {
    LOCKSTEP_TRY(std::optional<std::string> first, first_name_in_set(touched_, inode));
    if (first) return std::move(*first);
    // That btrfs tells them was seen when the list was made.
    return make_error(ErrorCode::source_read, "btrfs does not tell the names of the file any more",
                      full_path(touched_.where, path));
  }

  os::Disk& disk_;
  ChangesRequest request_;
  const Exclude* exclude_;
  TouchedRequest touched_;
  std::unique_ptr<TouchedPaths> paths_;
  std::optional<std::string> top_;  // the last one that was given with all it holds
  std::unique_ptr<component::EntryCursor> inside_;
};

}  // namespace

Result<std::unique_ptr<component::ChangeCursor>> make_changes(os::Disk& disk,
                                                              ChangesRequest request) {
  auto changes = std::make_unique<Changes>(disk, std::move(request));
  LOCKSTEP_TRY(const bool told, changes->begin());
  if (!told) return std::unique_ptr<component::ChangeCursor>();
  return std::unique_ptr<component::ChangeCursor>(std::move(changes));
}

}  // namespace lockstep::files
