// A writer as applications have them: commits without a pause until SIGTERM.
//
// writer DATABASE ID [pause in us]: each commit counts up `counter`, moves an amount between two
// accounts, adds a row that says what the counter was, and now and then updates and deletes rows. A
// copy that is one instant therefore fulfils: sum of accounts constant, counter = newest row, no
// gap in `kept`.
#include <signal.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

volatile sig_atomic_t g_stop = 0;

bool run(sqlite3* database, const std::string& sql) {
  for (;;) {
    const int code = sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr);
    if (code == SQLITE_OK) return true;
    if (code == SQLITE_BUSY && g_stop == 0) {
      ::usleep(100);
      continue;
    }
    if (g_stop == 0)
      std::fprintf(stderr, "writer: %s: %s\n", sql.c_str(), sqlite3_errmsg(database));
    return false;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  ::signal(SIGTERM, [](int) { g_stop = 1; });
  sqlite3* database = nullptr;
  if (sqlite3_open(argv[1], &database) != SQLITE_OK) return 1;
  const auto pause = static_cast<useconds_t>(argc > 3 ? std::atoi(argv[3]) : 0);
  const std::string id = argv[2];
  unsigned long round = 0;
  while (g_stop == 0) {
    ++round;
    const std::string amount = std::to_string(round % 7 + 1);
    const std::string from = std::to_string(round % 10);
    const std::string to = std::to_string((round + 3) % 10);
    if (!run(database, "BEGIN IMMEDIATE")) break;
    bool good =
        run(database, "UPDATE counter SET n = n + 1") &&
        run(database, "UPDATE account SET amount = amount - " + amount + " WHERE id = " + from) &&
        run(database, "UPDATE account SET amount = amount + " + amount + " WHERE id = " + to) &&
        run(database, "INSERT INTO entry(counter, writer, text) SELECT n, " + id +
                          ", hex(randomblob(300)) FROM counter");
    if (good && round % 50 == 0) {
      good = run(database, "DELETE FROM entry WHERE counter < (SELECT n FROM counter) - 5000") &&
             run(database, "UPDATE entry SET text = hex(randomblob(200)) WHERE counter % 97 = 1");
    }
    if (!good || !run(database, "COMMIT")) break;
    if (pause != 0) ::usleep(pause);
  }
  if (sqlite3_get_autocommit(database) == 0) {
    sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  sqlite3_close(database);
  return g_stop != 0 ? 0 : 1;
}
