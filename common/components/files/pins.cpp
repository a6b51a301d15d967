#include "common/components/files/pins.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "common/components/files/native.hpp"
#include "common/components/files/origin.hpp"
#include "common/components/files/pin_armed.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

Result<void> remove_pin(os::Disk& disk, const std::string& hold) {
  LOCKSTEP_CHECK(os::remove_tree(disk, os::kCwd, origin_path(hold) + ".part"));
  LOCKSTEP_CHECK(os::remove_tree(disk, os::kCwd, hold));
  os::failpoint("files.pin.dropped");
  return os::remove_tree(disk, os::kCwd, origin_path(hold));
}

namespace {

using component::Context;
using component::DataSet;
using component::Version;

// The run that a name in a pins directory belongs to: "<run>", "<run>.origin", "<run>.origin.part".
std::string run_of(const std::string& name) { return name.substr(0, name.find('.')); }

bool is_subvolume(os::Disk& disk, const std::string& path) {
  auto opened = disk.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
  if (!opened) return false;
  auto seen = disk.stat(opened->get());
  return seen && seen->st_ino == os::kSubvolumeRootInode &&
         disk.subvolume_info(opened->get()).has_value();
}

class FileSnapshots final : public component::Snapshots {
 public:
  explicit FileSnapshots(const component::Surroundings& surroundings)
      : surroundings_(surroundings), disk_(surroundings.disk) {}

  Result<std::unique_ptr<component::Armed>> arm(const Context& context, const DataSet& set,
                                                UtcNanos moment) override {
    Exclude exclude(set.exclude);
    LOCKSTEP_TRY(PinPlace place, look_at_place(disk_, set, exclude));
    LOCKSTEP_TRY(std::string store, open_store(disk_, set.place.location));
    std::string directory = set_directory(store, Area::pins, set.id);
    LOCKSTEP_CHECK(os::make_directories(disk_, directory));
    LOCKSTEP_TRY(const auto earlier, find(context, set));
    if (earlier) {
      return make_error(ErrorCode::arm_refused, "a pin of this run lies there already",
                        directory + "/" + context.run, "drop it first");
    }
    std::string hold = directory + "/" + context.run;
    PinRequest request{.surroundings = surroundings_,
                       .context = context,
                       .set = set,
                       .moment = moment,
                       .exclude = std::move(exclude),
                       .place = std::move(place),
                       .store = std::move(store),
                       .directory = std::move(directory),
                       .hold = std::move(hold)};
    if (request.place.subvolume) return arm_subvolume(std::move(request));
    LOCKSTEP_TRY(const std::string base, newest_tree(request.directory));
    return arm_tree(std::move(request), base);
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& set) override {
    for (const std::string& store : existing_stores(disk_, set.place.location)) {
      const std::string hold = set_directory(store, Area::pins, set.id) + "/" + context.run;
      for (const std::string& path : {hold, origin_path(hold), origin_path(hold) + ".part"}) {
        auto seen = disk_.stat_at(os::kCwd, path);
        if (seen) return std::optional<Version>(version_at(set, context.run, hold));
        if (seen.error().number != ENOENT) {
          return os::write_error(seen.error(), "look at", path);
        }
      }
    }
    return std::optional<Version>{};
  }

  Result<std::vector<Version>> list(const DataSet& set) override {
    std::vector<Version> versions;
    for (const std::string& store : existing_stores(disk_, set.place.location)) {
      const std::string directory = set_directory(store, Area::pins, set.id);
      LOCKSTEP_TRY(const std::set<std::string> runs, runs_in(directory));
      for (const std::string& run : runs) {
        versions.push_back(version_at(set, run, directory + "/" + run));
      }
    }
    return versions;
  }

  Result<void> drop(const Context&, const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_from_text(version.native));
    // A journal that was tampered with must not have other things removed.
    const std::string wanted = std::string("/") + area_name(Area::pins) + "/" + version.id.service +
                               "/" + version.id.set + "/" + version.name;
    if (!native.hold.ends_with(std::string(kStoreName) + wanted)) {
      return make_error(ErrorCode::version_missing, "this is no pin of the set", native.hold);
    }
    return remove_pin(disk_, native.hold);
  }

 private:
  Result<std::set<std::string>> runs_in(const std::string& directory) {
    std::set<std::string> runs;
    auto opened = disk_.open(os::kCwd, directory, O_RDONLY | O_DIRECTORY);
    if (!opened) {
      if (opened.error().number == ENOENT) return runs;
      return os::write_error(opened.error(), "open", directory);
    }
    auto stream = disk_.read_directory(opened->get());
    if (!stream) return os::write_error(stream.error(), "read the directory", directory);
    while (true) {
      auto entry = (*stream)->next();
      if (!entry) return os::write_error(entry.error(), "read the directory", directory);
      if (!entry->has_value()) return runs;
      // ".scratch...": what a walk left that died (open_scratch).
      if (!(*entry)->name.starts_with('.')) runs.insert(run_of((*entry)->name));
    }
  }

  Version version_at(const DataSet& set, const std::string& run, const std::string& hold) {
    Native native{.tree = hold,
                  .hold = hold,
                  .form = "tree",
                  .uuid = {},
                  .exclude = {},
                  .settled_before_ns = 0};
    if (is_subvolume(disk_, hold)) {
      native.form = "subvolume";
    } else {
      native.tree += "/tree";
    }
    return {set.id, set.component, run, to_text(native)};
  }

  // The newest whole pin in the form of a tree: runs are UUIDv7, so names sort by time.
  Result<std::string> newest_tree(const std::string& directory) {
    LOCKSTEP_TRY(const std::set<std::string> runs, runs_in(directory));
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
      const std::string hold = directory + "/" + *run;
      if (disk_.stat_at(os::kCwd, origin_path(hold)) && disk_.stat_at(os::kCwd, hold + "/tree")) {
        return hold;
      }
    }
    return std::string();
  }

  component::Surroundings surroundings_;
  os::Disk& disk_;
};

}  // namespace

std::unique_ptr<component::Snapshots> make_file_snapshots(
    const component::Surroundings& surroundings) {
  return std::make_unique<FileSnapshots>(surroundings);
}

}  // namespace lockstep::files
