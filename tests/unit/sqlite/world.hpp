// What the tests of this folder share: a database with an order in it, its writers, and the
// component before them.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/components/sqlite/database.hpp"
#include "common/components/sqlite/sqlite.hpp"
#include "common/os/disk.hpp"
#include "common/os/processes.hpp"
#include "tests/support/scratch.hpp"

namespace lockstep::sqlite_test {

template <class T>
T good(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(result).value();
}
inline void good(Result<void> result) {
  if (!result) FAIL(result.error().text());
}

struct World {
  explicit World(os::Disk* instead = nullptr)
      : kernel(os::make_kernel_disk()),
        processes(os::make_system_processes()),
        clock(make_system_clock()),
        disk(instead != nullptr ? *instead : *kernel),
        sqlite(sqlite::make_sqlite({disk, *processes, *clock, "/tmp"})) {}

  std::unique_ptr<os::Disk> kernel;
  std::unique_ptr<os::Processes> processes;
  std::unique_ptr<Clock> clock;
  os::Disk& disk;
  std::unique_ptr<component::Component> sqlite;

  component::Snapshots& snapshots() { return *sqlite->snapshots(); }
  component::Target& target() { return *sqlite->target(); }
};

inline component::DataSet set_at(const std::string& path) {
  component::DataSet set;
  set.id = {"orders", "ledger"};
  set.component = "sqlite";
  set.place.location = path;
  return set;
}

inline component::Context run_named(const std::string& run) {
  component::Context context;
  context.run = run;
  return context;
}

inline sqlite::Database open_database(const std::string& path) {
  auto database = good(sqlite::Database::open(path, sqlite::Opening::own, ErrorCode::source_read));
  sqlite3_busy_timeout(database.handle(), 20'000);
  return database;
}

// `rows` rows of about 600 bytes, so that a database has a size worth cloning.
inline void make_ledger(const std::string& path, const std::string& journal, int rows = 2000,
                        int page_size = 4096) {
  auto database = open_database(path);
  good(database.run("PRAGMA page_size = " + std::to_string(page_size)));
  good(database.text("PRAGMA journal_mode = " + journal));
  good(
      database.run("BEGIN; CREATE TABLE counter(n); INSERT INTO counter VALUES(0);"
                   "CREATE TABLE account(id INTEGER PRIMARY KEY, amount);"
                   "CREATE TABLE entry(id INTEGER PRIMARY KEY, counter, writer, text);"
                   "CREATE INDEX by_counter ON entry(counter)"));
  for (int i = 0; i < 10; ++i) {
    good(database.run("INSERT INTO account VALUES(" + std::to_string(i) + ", 1000)"));
  }
  good(database.run("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < " +
                    std::to_string(rows) +
                    ") INSERT INTO entry(counter, writer, text) SELECT 0, 0, hex(randomblob(300)) "
                    "FROM c; COMMIT"));
}

// All that a reader sees, in one line.
inline const char* kContent =
    "SELECT (SELECT n FROM counter) || '/' || (SELECT sum(amount) FROM account) || '/' ||"
    " (SELECT group_concat(amount) FROM account) || '/' || count(*) || '/' || total(id) || '/' ||"
    " max(counter) || '/' || total(length(text)) || '/' || max(text) FROM entry";

// What holds in every committed state, whenever it is looked at.
inline void check_order(sqlite::Database& database) {
  CHECK(good(database.number("SELECT sum(amount) FROM account")) == 10'000);
  CHECK(good(database.number(
            "SELECT (SELECT n FROM counter) = (SELECT max(counter) FROM entry)")) == 1);
  CHECK(good(database.number(
            "SELECT count(*) = count(DISTINCT counter) FROM entry WHERE counter > 0")) == 1);
}

inline sqlite::Database open_version(const component::Version& version) {
  const std::string key = "\"file\":\"";
  const auto from = version.native.find(key) + key.size();
  const std::string file = version.native.substr(from, version.native.find('"', from) - from);
  return good(sqlite::Database::open(file, sqlite::Opening::immutable, ErrorCode::source_read));
}

inline std::string file_of(const component::Version& version) {
  return open_version(version).path();
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

inline std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    out.push_back(entry.path().filename());
  }
  std::sort(out.begin(), out.end());
  return out;
}

// Writer processes that commit without a pause, as long as this lives.
class Writers {
 public:
  Writers(os::Processes& processes, const std::string& path, int count, int pause_us = 0) {
    for (int i = 0; i < count; ++i) {
      os::Command command;
      command.argv = {SQLITE_WRITER, path, std::to_string(i), std::to_string(pause_us)};
      children_.push_back(good(processes.start(command)));
    }
  }
  ~Writers() { stop(); }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;

  // True where every one of them worked to the end.
  bool stop() {
    for (auto& child : children_) child->signal(SIGTERM);
    bool fine = true;
    for (auto& child : children_) fine = child->wait() == 0 && fine;
    children_.clear();
    return fine;
  }

 private:
  std::vector<std::unique_ptr<os::Process>> children_;
};

}  // namespace lockstep::sqlite_test
