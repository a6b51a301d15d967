#include "common/components/sqlite/restore.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>

#include "common/components/sqlite/copy.hpp"
#include "common/components/sqlite/database.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::sqlite {

using component::Context;
using RestoreResult = component::Target::RestoreResult;

namespace {

// In SQLite's order of importance: a crash between two renames leaves a journal without its
// database, never a new database beside the journal of the old one, which would be played into it.
constexpr std::array<const char*, 4> kFamily = {"-journal", "-wal", "-shm", ""};

// Refuses while somebody has it open: he would go on writing into the file that was moved aside.
// In exclusive mode SQLite asks for the locks that exclude even idle connections to a WAL.
Result<void> refuse_if_open(const std::string& path) {
  auto opened = Database::open(path, Opening::live_keep, ErrorCode::source_read);
  if (!opened) return {};  // not to be opened: nobody works with it
  if (auto mode = opened->text("PRAGMA locking_mode = EXCLUSIVE"); !mode) return {};
  auto alone = opened->run("BEGIN EXCLUSIVE");
  if (alone) return opened->run("ROLLBACK");
  if (alone.error().code != ErrorCode::sqlite_busy) return {};  // damaged, or no database
  return make_error(ErrorCode::guard, "a process has the database open", path,
                    "stop the process that uses it, or restore to another place");
}

Result<void> move_aside(os::Disk& disk, const std::string& path, const std::string& aside) {
  for (const char* end : kFamily) {
    auto moved = disk.rename(os::kCwd, path + end, os::kCwd, aside + end, false);
    if (!moved && moved.error().number != ENOENT) {
      return os::write_error(moved.error(), "move aside to", aside + end);
    }
  }
  return {};
}

bool anything_at(os::Disk& disk, const std::string& path) {
  for (const char* end : kFamily) {
    if (os::exists(disk, path + end)) return true;
  }
  return false;
}

// The version's content in a new file beside `path`, whole and synced.
Result<std::uint64_t> prepare(os::Disk& disk, const Context& context, const Native& version,
                              const std::string& fresh) {
  auto from = disk.open(os::kCwd, version.file, O_RDONLY);
  if (!from) {
    return from_errno(ErrorCode::version_missing, from.error().number, "open the version",
                      version.file);
  }
  auto seen = disk.stat(from->get());
  if (!seen) {
    return from_errno(ErrorCode::source_read, seen.error().number, "look at", version.file);
  }
  auto to = disk.open(os::kCwd, fresh, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (!to) return os::write_error(to.error(), "make", fresh);
  std::uint64_t copied = 0;
  LOCKSTEP_CHECK(
      copy_content(disk, from->get(), version.file, to->get(), fresh, [&](std::uint64_t bytes) {
        copied += bytes;
        if (context.progress) context.progress(0, copied);
        return !context.stop.stop_requested();
      }));
  LOCKSTEP_CHECK(hand_over(disk, fresh, version.owner.value_or(owner_of(*seen)), true));
  return static_cast<std::uint64_t>(seen->st_size);
}

}  // namespace

Result<RestoreResult> restore_to(os::Disk& disk, const Context& context, const Native& version,
                                 const std::string& path, bool replace) {
  LOCKSTEP_CHECK(check_location(path));
  const bool occupied = anything_at(disk, path);
  if (occupied && !replace) {
    return make_error(ErrorCode::place_not_empty, "something is there already", path);
  }
  if (os::exists(disk, path)) LOCKSTEP_CHECK(refuse_if_open(path));
  const std::string parent = os::directory_of(path);
  LOCKSTEP_CHECK(os::make_directories(disk, parent));

  const std::string fresh = path + ".restoring-" + context.run;
  RestoreResult out;
  out.entries = 1;
  auto bytes = prepare(disk, context, version, fresh);
  if (!bytes) {
    static_cast<void>(disk.unlink(os::kCwd, fresh));
    return bytes.error();
  }
  out.bytes = *bytes;
  os::failpoint("sqlite.restore.prepared");
  if (occupied) {
    out.moved_aside = path + ".aside-" + context.run;
    for (int n = 2; anything_at(disk, out.moved_aside); ++n) {
      out.moved_aside = path + ".aside-" + context.run + "-" + std::to_string(n);
    }
    LOCKSTEP_CHECK(move_aside(disk, path, out.moved_aside));
  }
  if (auto done = disk.rename(os::kCwd, fresh, os::kCwd, path, false); !done) {
    return os::write_error(done.error(), "rename to", path);
  }
  LOCKSTEP_CHECK(os::make_names_last(disk, parent));
  return out;
}

}  // namespace lockstep::sqlite
