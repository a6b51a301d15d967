#include "common/components/sqlite/staging.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/components/sqlite/copy.hpp"
#include "common/components/sqlite/database.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::sqlite {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;

DatabaseStaging::DatabaseStaging(os::Disk& disk, component::Context context, component::SetId id,
                                 std::string hold, std::string kept, std::optional<Native> base)
    : disk_(disk),
      context_(std::move(context)),
      id_(std::move(id)),
      hold_(std::move(hold)),
      kept_(std::move(kept)),
      base_(std::move(base)) {}

// The base's content under the staged file's name. A half copy never has that name.
Result<void> DatabaseStaging::start_from_base() {
  const std::string half = hold_ + "/" + kCopying;
  auto from = disk_.open(os::kCwd, base_->file, O_RDONLY);
  if (!from) {
    return from_errno(ErrorCode::version_missing, from.error().number, "open the base",
                      base_->file);
  }
  auto to = disk_.open(os::kCwd, half, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (!to) return os::write_error(to.error(), "make", half);
  LOCKSTEP_CHECK(copy_content(disk_, from->get(), base_->file, to->get(), half,
                              [this](std::uint64_t) { return !context_.stop.stop_requested(); }));
  if (auto done = disk_.rename(os::kCwd, half, os::kCwd, file()); !done) {
    return os::write_error(done.error(), "rename to", file());
  }
  return {};
}

Result<void> DatabaseStaging::begin(const Entry& entry, Action action) {
  if (!entry.path.empty() || entry.kind != EntryKind::regular) {
    return make_error(ErrorCode::stream_hostile, "a database has one entry, a regular file",
                      entry.path);
  }
  if (entry_) return make_error(ErrorCode::internal, "an entry is begun already", file());
  entry_ = entry;
  if (sealed()) {
    auto opened = disk_.open(os::kCwd, kept_ + "/" + kDatabase, O_RDONLY);
    if (!opened) return os::write_error(opened.error(), "open", kept_);
    open_ = std::move(*opened);
    return {};
  }
  const bool there = os::exists(disk_, file());
  if (action != Action::create && !there) {
    if (!base_) {
      return make_error(ErrorCode::stream_protocol, "a change of a base came, and there is none",
                        file());
    }
    LOCKSTEP_CHECK(start_from_base());
  }
  if (there) {
    // Begun again after finish(), which may have given it a mode that forbids writing.
    if (auto done = disk_.change_mode_at(os::kCwd, file(), 0600); !done) {
      return os::write_error(done.error(), "make writable", file());
    }
  }
  auto opened = disk_.open(os::kCwd, file(),
                           action == Action::create ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR, 0600);
  if (!opened) return os::write_error(opened.error(), "open", file());
  open_ = std::move(*opened);
  return {};
}

Result<void> DatabaseStaging::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (!entry_) return make_error(ErrorCode::internal, "no entry is begun", file());
  if (offset > entry_->size || data.size() > entry_->size - offset) {
    return make_error(ErrorCode::stream_hostile, "bytes beyond the end of the database", file());
  }
  if (sealed()) return {};
  if (auto done = disk_.write_at(open_.get(), offset, data); !done) {
    return os::write_error(done.error(), "write", file());
  }
  return {};
}

Result<void> DatabaseStaging::finish() {
  if (!entry_) return make_error(ErrorCode::internal, "no entry is begun", file());
  if (!sealed()) {
    if (auto done = disk_.truncate(open_.get(), entry_->size); !done) {
      return os::write_error(done.error(), "set the size of", file());
    }
    LOCKSTEP_CHECK(
        hand_over(disk_, file(), Owner{entry_->mode & 07777U, entry_->uid, entry_->gid}, false));
  }
  entry_.reset();
  return {};
}

Result<std::size_t> DatabaseStaging::read_back(std::uint64_t offset, std::span<std::byte> into) {
  if (!open_) return make_error(ErrorCode::internal, "no entry is begun", file());
  auto got = disk_.read_at(open_.get(), offset, into);
  if (!got) return os::write_error(got.error(), "read back", file());
  return *got;
}

Result<void> DatabaseStaging::remove(const std::string& path) {
  return make_error(ErrorCode::stream_hostile, "nothing can be removed from a database", path);
}

Result<void> DatabaseStaging::leave_directory(const Entry& directory) {
  return make_error(ErrorCode::stream_hostile, "a database has no directories", directory.path);
}

Result<void> DatabaseStaging::checkpoint() {
  if (!open_ || sealed()) return {};
  if (auto done = disk_.fsync(open_.get()); !done) {
    return os::write_error(done.error(), "sync", file());
  }
  return os::make_names_last(disk_, hold_);
}

// Nothing was applied: the version is the base's file, which nobody ever writes again.
Result<void> DatabaseStaging::link_base() {
  if (!base_) {
    return make_error(ErrorCode::stream_protocol, "no database came, and there is no base", hold_);
  }
  if (base_->owner) {  // a pin that could not be given to its owner: the version has to be
    LOCKSTEP_CHECK(start_from_base());
    return hand_over(disk_, file(), *base_->owner, false);
  }
  auto linked = disk_.link(os::kCwd, base_->file, os::kCwd, file());
  if (!linked && linked.error().number != EEXIST) {
    return os::write_error(linked.error(), "link the base to", file());
  }
  return {};
}

Result<Version> DatabaseStaging::version() const {
  return version_in(disk_, kept_, id_, context_.run);
}

Result<Version> DatabaseStaging::seal() {
  if (sealed()) {  // by one that may have died right after the rename
    LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(kept_)));
    return version();
  }
  if (entry_) return make_error(ErrorCode::stream_protocol, "the entry was not finished", file());
  if (!os::exists(disk_, file())) LOCKSTEP_CHECK(link_base());
  {
    auto opened = disk_.open(os::kCwd, file(), O_RDONLY);
    if (!opened) return os::write_error(opened.error(), "open", file());
    if (auto done = disk_.fsync(opened->get()); !done) {
      return os::write_error(done.error(), "sync", file());
    }
  }
  LOCKSTEP_CHECK(
      check_integrity(disk_, file(), [stop = context_.stop] { return stop.stop_requested(); }));
  LOCKSTEP_CHECK(os::make_names_last(disk_, hold_));
  LOCKSTEP_CHECK(os::make_directories(disk_, os::directory_of(kept_)));
  os::failpoint("sqlite.seal.rename");
  if (auto done = disk_.rename(os::kCwd, hold_, os::kCwd, kept_, false); !done) {
    return os::write_error(done.error(), "rename to", kept_);
  }
  os::failpoint("sqlite.seal.renamed");
  open_.reset();
  LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(kept_)));
  LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(hold_)));
  return version();
}

Result<void> DatabaseStaging::abandon() {
  open_.reset();
  entry_.reset();
  return remove_hold(disk_, hold_);
}

}  // namespace lockstep::sqlite
