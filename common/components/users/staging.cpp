#include "common/components/users/staging.hpp"

#include <fcntl.h>

#include "common/os/failpoint.hpp"
#include "common/os/whole_file.hpp"

namespace lockstep::user_data {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;

Result<std::string> read_document(os::Disk& disk, const Native& native) {
  auto read = os::read_file(disk, native.file(), kMostBytes);
  if (!read && read.error().code == ErrorCode::not_found) {
    return make_error(ErrorCode::version_missing, "the version is not in the store", native.file());
  }
  return read;
}

DocumentStaging::DocumentStaging(os::Disk& disk, component::Context context, component::SetId id,
                                 std::string hold, std::string kept, std::optional<Native> base)
    : disk_(disk),
      context_(std::move(context)),
      id_(std::move(id)),
      hold_(std::move(hold)),
      kept_(std::move(kept)),
      base_(std::move(base)) {}

Result<void> DocumentStaging::start_from_base() {
  if (!base_) {
    return make_error(ErrorCode::stream_protocol, "a change of a base came, and there is none",
                      file());
  }
  LOCKSTEP_TRY(const std::string document, read_document(disk_, *base_));
  return os::write_durably(disk_, file(), document, {});
}

Result<void> DocumentStaging::begin(const Entry& entry, Action action) {
  if (!entry.path.empty() || entry.kind != EntryKind::regular) {
    return make_error(ErrorCode::stream_hostile, "user data has one entry, a regular file",
                      entry.path);
  }
  if (entry.size > kMostBytes) {
    return make_error(ErrorCode::stream_hostile, "no document of user data is as large", file());
  }
  if (entry_) return make_error(ErrorCode::internal, "an entry is begun already", file());
  const bool past = sealed();
  if (!past && action != Action::create && !os::exists(disk_, file())) {
    LOCKSTEP_CHECK(start_from_base());
  }
  const std::string path = past ? kept_ + "/" + kDocument : file();
  const int mode = past ? O_RDONLY : action == Action::create ? O_RDWR | O_CREAT | O_TRUNC : O_RDWR;
  auto opened = disk_.open(os::kCwd, path, mode, 0600);
  if (!opened) return os::write_error(opened.error(), "open", path);
  open_ = std::move(*opened);
  entry_ = entry;
  return {};
}

Result<void> DocumentStaging::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (!entry_) return make_error(ErrorCode::internal, "no entry is begun", file());
  if (offset > entry_->size || data.size() > entry_->size - offset) {
    return make_error(ErrorCode::stream_hostile, "bytes beyond the end of the document", file());
  }
  if (sealed()) return {};
  if (auto done = disk_.write_at(open_.get(), offset, data); !done) {
    return os::write_error(done.error(), "write", file());
  }
  return {};
}

// The mode is 0600 here too, whatever the peer says; the digest tells of another one.
Result<void> DocumentStaging::finish() {
  if (!entry_) return make_error(ErrorCode::internal, "no entry is begun", file());
  if (!sealed()) {
    if (auto done = disk_.truncate(open_.get(), entry_->size); !done) {
      return os::write_error(done.error(), "set the size of", file());
    }
    if (auto done = disk_.change_mode(open_.get(), 0600); !done) {
      return os::write_error(done.error(), "set the mode of", file());
    }
  }
  entry_.reset();
  return {};
}

Result<std::size_t> DocumentStaging::read_back(std::uint64_t offset, std::span<std::byte> into) {
  if (!open_) return make_error(ErrorCode::internal, "no entry is begun", file());
  auto got = disk_.read_at(open_.get(), offset, into);
  if (!got) return os::write_error(got.error(), "read back", file());
  return *got;
}

Result<void> DocumentStaging::remove(const std::string& path) {
  return make_error(ErrorCode::stream_hostile, "nothing can be removed from user data", path);
}

Result<void> DocumentStaging::leave_directory(const Entry& directory) {
  return make_error(ErrorCode::stream_hostile, "user data has no directories", directory.path);
}

Result<void> DocumentStaging::checkpoint() {
  if (!open_ || sealed()) return {};
  if (auto done = disk_.fsync(open_.get()); !done) {
    return os::write_error(done.error(), "sync", file());
  }
  return os::make_names_last(disk_, hold_);
}

Result<Version> DocumentStaging::seal() {
  if (sealed()) {  // by one that may have died right after the rename
    LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(kept_)));
    return version_in(kept_, id_, context_.run);
  }
  if (entry_) return make_error(ErrorCode::stream_protocol, "the entry was not finished", file());
  if (!os::exists(disk_, file())) LOCKSTEP_CHECK(start_from_base());
  {
    auto opened = disk_.open(os::kCwd, file(), O_RDONLY);
    if (!opened) return os::write_error(opened.error(), "open", file());
    if (auto done = disk_.fsync(opened->get()); !done) {
      return os::write_error(done.error(), "sync", file());
    }
  }
  LOCKSTEP_CHECK(os::make_names_last(disk_, hold_));
  LOCKSTEP_CHECK(os::make_directories(disk_, os::directory_of(kept_)));
  os::failpoint("users.seal.rename");
  if (auto done = disk_.rename(os::kCwd, hold_, os::kCwd, kept_, false); !done) {
    return os::write_error(done.error(), "rename to", kept_);
  }
  open_.reset();
  LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(kept_)));
  LOCKSTEP_CHECK(os::make_names_last(disk_, os::directory_of(hold_)));
  return version_in(kept_, id_, context_.run);
}

Result<void> DocumentStaging::abandon() {
  open_.reset();
  entry_.reset();
  return remove_hold(disk_, hold_);
}

}  // namespace lockstep::user_data
