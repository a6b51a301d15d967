// What goes wrong around a journal: death, damage, a full disk, a file of somebody else.
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/os/processes.hpp"
#include "tests/support/scratch.hpp"
#include "tests/unit/journal/work_journal.hpp"

using namespace lockstep;
using test::Scratch;
using test::set_state;
using test::state_of;
using test::work_options;

namespace fs = std::filesystem;

namespace {

std::unique_ptr<journal::Journal> must_open(const journal::OpenOptions& options,
                                            const Clock& clock) {
  auto opened = journal::open(options, clock);
  if (!opened) FAIL(opened.error().text());
  return std::move(*opened);
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

TEST_CASE("killed anywhere, the journal shows how far the work had come") {
  struct Row {
    const char* failpoint;
    const char* state;
    bool effect;
    std::uint64_t events;
  };
  const Row row =
      GENERATE(Row{"work.intent.before", "", false, 0},
               Row{"work.intent.after", "intent", false, 1}, Row{"effect.made", "intent", true, 1},
               Row{"work.done.before", "intent", true, 1}, Row{"work.done.after", "done", true, 2});
  CAPTURE(row.failpoint);
  const Scratch scratch;
  const auto clock = make_system_clock();
  const auto options = work_options(scratch / "journal.db");
  os::Command command;
  command.argv = {JOURNAL_CHILD, options.path, scratch / "effect"};
  command.environment["LOCKSTEP_FAILPOINT"] = row.failpoint;
  auto processes = os::make_system_processes();
  auto finished = processes->run(command, seconds(30), {});
  REQUIRE(finished);
  CHECK(finished->exit_status == 137);
  {
    const auto journal = must_open(options, *clock);
    CHECK(state_of(*journal, "one") == row.state);
    CHECK(journal->last_event() == row.events);
  }
  CHECK(fs::exists(scratch / "effect") == row.effect);

  // The next start does the rest.
  command.environment.clear();
  finished = processes->run(command, seconds(30), {});
  REQUIRE(finished);
  CHECK(finished->exit_status == 0);
  CHECK(state_of(*must_open(options, *clock), "one") == "done");
}

TEST_CASE("a damaged file is set aside and a new one begins") {
  const bool header = GENERATE(true, false);
  const Scratch scratch;
  const auto clock = make_system_clock();
  const auto options = work_options(scratch / "journal.db");
  std::string incarnation;
  {
    const auto journal = must_open(options, *clock);
    incarnation = journal->incarnation();
    for (int i = 0; i < 500; ++i) {
      REQUIRE(journal->transact("test", [&](journal::Transaction& transaction) {
        return set_state(transaction, std::to_string(i), "intent");
      }));
    }
  }
  {
    std::fstream file(options.path, std::ios::in | std::ios::out | std::ios::binary);
    const auto size = static_cast<std::streamoff>(fs::file_size(options.path));
    REQUIRE(size > 16384);
    for (std::streamoff at = header ? 0 : 4096; at < size; at += 4096) {
      file.seekp(at);
      file << std::string(512, '\x5a');
      if (header) break;
    }
  }
  auto refused = journal::open(options, *clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::journal_corrupt);
  const auto names = names_in(scratch.path());
  REQUIRE(names.size() == 1);
  CHECK(names.front().starts_with("journal.db.corrupt-20"));
  CHECK(refused.error().what.find(names.front()) != std::string::npos);

  const auto journal = must_open(options, *clock);
  CHECK(journal->incarnation() != incarnation);
  CHECK(journal->last_event() == 0);
}

TEST_CASE("a database of somebody else is left alone") {
  const Scratch scratch;
  const auto clock = make_system_clock();
  const auto options = work_options(scratch / "theirs.db");
  {
    SQLite::Database theirs(options.path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    theirs.exec("CREATE TABLE precious (x)");
  }
  auto refused = journal::open(options, *clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::journal_open);
  SQLite::Database theirs(options.path, SQLite::OPEN_READONLY);
  CHECK(theirs.tableExists("precious"));
}

TEST_CASE("a directory that is not there is named") {
  const auto clock = make_system_clock();
  auto refused = journal::open(work_options("/nowhere/at/all/journal.db"), *clock);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::journal_open);
  CHECK(refused.error().where == "/nowhere/at/all/journal.db");
}

TEST_CASE("a full disk rolls a transaction back whole, and freed space lets the next one in") {
  const Scratch scratch;
  const std::string small = scratch / "small";
  fs::create_directory(small);
  if (::geteuid() != 0 || ::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m") != 0) {
    WARN("skipped: a small tmpfs cannot be mounted here");
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } const unmount{small};

  const auto clock = make_system_clock();
  const auto options = work_options(small + "/journal.db");
  std::ofstream(small + "/filler") << std::string(300'000, 'f');
  auto journal = must_open(options, *clock);
  const auto add = [&](int i) {
    return journal->transact("test", [&](journal::Transaction& transaction) -> Result<void> {
      for (const char* half : {"a", "b"}) {
        LOCKSTEP_CHECK(set_state(transaction, half + std::to_string(i), "intent"));
        SQLite::Statement fill(transaction.database(),
                               "UPDATE work SET filler = randomblob(20000) WHERE name = ?");
        fill.bind(1, half + std::to_string(i));
        fill.exec();
      }
      return {};
    });
  };
  int done = 0;
  Result<void> last{};
  while (done < 1000) {
    last = add(done);
    if (!last) break;
    ++done;
  }
  REQUIRE_FALSE(last);
  CHECK(last.error().code == ErrorCode::journal_full);
  CHECK(done > 0);
  const auto count = [&] {
    int rows = -1;
    CHECK(journal->read([&](SQLite::Database& database) -> Result<void> {
      rows = database.execAndGet("SELECT COUNT(*) FROM work").getInt();
      return {};
    }));
    return rows;
  };
  CHECK(count() == 2 * done);
  CHECK(journal->last_event() == static_cast<std::uint64_t>(2 * done));
  CHECK_FALSE(add(done));

  fs::remove(small + "/filler");
  REQUIRE(add(done));
  CHECK(count() == 2 * done + 2);
  journal.reset();
  journal = must_open(options, *clock);
  CHECK(count() == 2 * done + 2);
  CHECK(journal->events_after(0, 10000)->size() == static_cast<std::size_t>(2 * done + 2));
}
