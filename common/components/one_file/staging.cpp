#include "common/components/one_file/staging.hpp"

#include <fcntl.h>

#include "common/os/failpoint.hpp"

namespace lockstep::one_file {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;
using files::Area;

Result<StagingPlace> prepare_staging(os::Disk& disk, const Kind& kind,
                                     const component::Context& context,
                                     const component::StageRequest& request,
                                     const std::string& store,
                                     const std::vector<std::string>& stores) {
  const component::SetId& id = request.target.id;
  StagingPlace place{hold_path(store, Area::staging, id, staging_name(context)),
                     hold_path(store, Area::versions, id, context.run)};
  const bool sealed = os::exists(disk, place.kept);
  if (request.resume && !sealed && !os::exists(disk, place.hold)) {
    return make_error(ErrorCode::resume_refused, "this attempt has staged nothing", place.hold);
  }
  if (!request.resume) {
    for (const auto& one : stores) {
      LOCKSTEP_TRY(const auto staged, holds_in(disk, one, Area::staging, id));
      for (const Hold& hold : staged) {
        if (hold.run == context.run) LOCKSTEP_CHECK(remove_hold(disk, kind, hold.path));
      }
    }
  }
  if (!sealed) LOCKSTEP_CHECK(os::make_directories(disk, place.hold));
  return place;
}

Result<void> check_space(os::Disk& disk, const std::string& store, std::uint64_t bytes_expected) {
  auto opened = disk.open(os::kCwd, store, O_RDONLY | O_DIRECTORY);
  if (!opened) return os::write_error(opened.error(), "open", store);
  auto space = disk.space(opened->get());
  if (!space) return os::write_error(space.error(), "look at the free space of", store);
  if (space->free_bytes >= bytes_expected) return {};
  return make_error(ErrorCode::no_space,
                    std::to_string(bytes_expected) + " bytes are to come, " +
                        std::to_string(space->free_bytes) + " are free",
                    store);
}

FileStaging::FileStaging(os::Disk& disk, const Kind& kind, component::Context context,
                         StagingPlace place)
    : disk_(disk), kind_(kind), context_(std::move(context)), place_(std::move(place)) {}

Error FileStaging::no_base() const {
  return make_error(ErrorCode::stream_protocol,
                    "nothing but changes of a base came, and there is none", file());
}

Result<void> FileStaging::begin(const Entry& entry, Action action) {
  if (!entry.path.empty() || entry.kind != EntryKind::regular) {
    return make_error(ErrorCode::stream_hostile,
                      std::string(kind_.set) + " has one entry, a regular file", entry.path);
  }
  if (entry_) return make_error(ErrorCode::internal, "an entry is begun already", file());
  std::string path = file();
  int mode = action == Action::create ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR;
  if (sealed()) {
    path = place_.kept + "/" + kind_.file;
    mode = O_RDONLY;
  } else if (os::exists(disk_, path)) {
    // Begun again after finish(), which may have given it a mode that forbids writing.
    if (auto done = disk_.change_mode_at(os::kCwd, path, 0600); !done) {
      return os::write_error(done.error(), "make writable", path);
    }
  } else if (action != Action::create) {
    LOCKSTEP_CHECK(start_from_base());
  }
  auto opened = disk_.open(os::kCwd, path, mode, 0600);
  if (!opened) return os::write_error(opened.error(), "open", path);
  open_ = std::move(*opened);
  entry_ = entry;
  return {};
}

Result<void> FileStaging::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (!entry_) return make_error(ErrorCode::internal, "no entry is begun", file());
  if (offset > entry_->size || data.size() > entry_->size - offset) {
    return make_error(ErrorCode::stream_hostile, "bytes beyond the end of the file", file());
  }
  if (sealed()) return {};
  if (auto done = disk_.write_at(open_.get(), offset, data); !done) {
    return os::write_error(done.error(), "write", file());
  }
  return {};
}

Result<void> FileStaging::finish() {
  if (!entry_) return make_error(ErrorCode::internal, "no entry is begun", file());
  if (!sealed()) {
    if (auto done = disk_.truncate(open_.get(), entry_->size); !done) {
      return os::write_error(done.error(), "set the size of", file());
    }
    LOCKSTEP_CHECK(give_metadata(*entry_));
  }
  entry_.reset();
  return {};
}

Result<std::size_t> FileStaging::read_back(std::uint64_t offset, std::span<std::byte> into) {
  if (!open_) return make_error(ErrorCode::internal, "no entry is begun", file());
  auto got = disk_.read_at(open_.get(), offset, into);
  if (!got) return os::write_error(got.error(), "read back", file());
  return *got;
}

Result<void> FileStaging::remove(const std::string& path) {
  return make_error(ErrorCode::stream_hostile,
                    std::string("nothing can be removed from ") + kind_.set, path);
}

Result<void> FileStaging::leave_directory(const Entry& directory) {
  return make_error(ErrorCode::stream_hostile, std::string(kind_.set) + " has no directories",
                    directory.path);
}

Result<void> FileStaging::checkpoint() {
  if (!open_ || sealed()) return {};
  if (auto done = disk_.fsync(open_.get()); !done) {
    return os::write_error(done.error(), "sync", file());
  }
  return os::make_names_last(disk_, place_.hold);
}

Result<void> FileStaging::sync_file() {
  auto opened = disk_.open(os::kCwd, file(), O_RDONLY);
  if (!opened) return os::write_error(opened.error(), "open", file());
  if (auto done = disk_.fsync(opened->get()); !done) {
    return os::write_error(done.error(), "sync", file());
  }
  return {};
}

Result<Version> FileStaging::seal() {
  if (sealed()) {  // by one that may have died right after the rename
    LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(place_.kept)));
    return version_in(place_.kept);
  }
  if (entry_) return make_error(ErrorCode::stream_protocol, "the entry was not finished", file());
  if (!os::exists(disk_, file())) LOCKSTEP_CHECK(keep_base());
  LOCKSTEP_CHECK(sync_file());
  LOCKSTEP_CHECK(check_file());
  LOCKSTEP_CHECK(os::make_names_last(disk_, place_.hold));
  LOCKSTEP_CHECK(os::make_directories(disk_, os::directory_of(place_.kept)));
  os::failpoint(kind_.before_rename);
  if (auto done = disk_.rename(os::kCwd, place_.hold, os::kCwd, place_.kept, false); !done) {
    return os::write_error(done.error(), "rename to", place_.kept);
  }
  os::failpoint(kind_.after_rename);
  open_.reset();
  LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(place_.kept)));
  LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(place_.hold)));
  return version_in(place_.kept);
}

Result<void> FileStaging::abandon() {
  open_.reset();
  entry_.reset();
  return remove_hold(disk_, kind_, place_.hold);
}

}  // namespace lockstep::one_file
