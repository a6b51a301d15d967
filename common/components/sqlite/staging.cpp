#include "common/components/sqlite/staging.hpp"

#include <fcntl.h>

#include <cerrno>

#include "common/components/sqlite/copy.hpp"
#include "common/components/sqlite/database.hpp"
#include "common/os/durable.hpp"

namespace lockstep::sqlite {

using component::Entry;
using component::Version;

DatabaseStaging::DatabaseStaging(os::Disk& disk, component::Context context, component::SetId id,
                                 one_file::StagingPlace place, std::optional<Native> base)
    : FileStaging(disk, kHeld, std::move(context), std::move(place)),
      id_(std::move(id)),
      base_(std::move(base)) {}

Result<void> DatabaseStaging::start_from_base() {
  if (!base_) return no_base();
  const std::string half = os::directory_of(file()) + "/" + kCopying;
  auto from = disk().open(os::kCwd, base_->file, O_RDONLY);
  if (!from) {
    return from_errno(ErrorCode::version_missing, from.error().number, "open the base",
                      base_->file);
  }
  auto to = disk().open(os::kCwd, half, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (!to) return os::write_error(to.error(), "make", half);
  LOCKSTEP_CHECK(copy_content(disk(), from->get(), base_->file, to->get(), half,
                              [this](std::uint64_t) { return !context().stop.stop_requested(); }));
  if (auto done = disk().rename(os::kCwd, half, os::kCwd, file()); !done) {
    return os::write_error(done.error(), "rename to", file());
  }
  return {};
}

// The version is the base's file, which nobody ever writes again.
Result<void> DatabaseStaging::keep_base() {
  if (!base_) return no_base();
  if (base_->owner) {  // a pin that could not be given to its owner: the version has to be
    LOCKSTEP_CHECK(start_from_base());
    return hand_over(disk(), file(), *base_->owner, false);
  }
  auto linked = disk().link(os::kCwd, base_->file, os::kCwd, file());
  if (!linked && linked.error().number != EEXIST) {
    return os::write_error(linked.error(), "link the base to", file());
  }
  return {};
}

Result<void> DatabaseStaging::give_metadata(const Entry& entry) {
  return hand_over(disk(), file(), Owner{entry.mode & 07777U, entry.uid, entry.gid}, false);
}

Result<void> DatabaseStaging::check_file() {
  return check_integrity(disk(), file(), [stop = context().stop] { return stop.stop_requested(); });
}

Version DatabaseStaging::version_in(const std::string& hold) const {
  return sqlite::version_in(disk(), hold, id_, context().run);
}

}  // namespace lockstep::sqlite
