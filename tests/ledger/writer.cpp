// The living order service: threads that write an invoice file, then the ledger row that refers to
// it, then update both, then delete both, without a pause. It knows nothing of Lockstep: it is what
// Lockstep backs up. check.py finds every causal violation in a copy.
//
//   ledger-writer run --files DIR --db FILE --control SOCKET
//                     [--threads N] [--add-only] [--rate R] [--seconds S]
//   ledger-writer pause|resume --control SOCKET      (what the fence's hook calls)
//
// What a thread does, and what a copy of one moment may therefore show of it (at most one operation
// under way for each thread):
//   create  file version 1, then row version 1       file without a row
//   update  file version v+1, then row version v+1   file one version ahead of its row
//   delete  row, then file                           file without a row
// Never: a row without its file, or a row ahead of its file.
//
// Pausing holds the steps that change files (a step under way ends first); rows are held by the
// database's own lock, which whoever fences it takes.
#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<bool> stopping{false};
std::shared_timed_mutex file_steps;  // shared: a step that changes a file; exclusive: paused
std::atomic<std::uint64_t> operations{0};

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "ledger-writer: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

struct Options {
  std::string command, files, db, control;
  int threads = 4;
  int seconds = 0;
  int rate = 0;  // operations a second of each thread; 0: without a pause
  bool add_only = false;
};

// FNV-1a, so that the checker can tell a torn invoice without a library.
std::uint64_t checksum(const std::string& text) {
  std::uint64_t h = 1469598103934665603ULL;
  for (const char c : text) {
    h ^= static_cast<unsigned char>(c);
    h *= 1099511628211ULL;
  }
  return h;
}

void exec(sqlite3* db, const std::string& sql) {
  char* message = nullptr;
  if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message) != SQLITE_OK) {
    std::fprintf(stderr, "ledger-writer: %s: %s\n", sql.c_str(),
                 message != nullptr ? message : "?");
    std::exit(1);
  }
}

class Worker {
 public:
  Worker(const Options& options, int number)
      : options_(options), number_(number), random_(static_cast<unsigned>(number) + 1U) {
    if (sqlite3_open_v2(options.db.c_str(), &db_, SQLITE_OPEN_READWRITE, nullptr) != SQLITE_OK)
      die(options.db);
    sqlite3_busy_timeout(db_, 60000);
    exec(db_, "PRAGMA synchronous=NORMAL");
    load();
  }
  ~Worker() { sqlite3_close(db_); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void run() {
    while (!stopping) {
      const auto dice = random_() % 10;
      if (options_.add_only || live_.size() < 20 || dice < 4) {
        create();
      } else if (dice < 8 && live_.size() < 2000) {
        update();
      } else {
        remove();
      }
      ++operations;
      if (options_.rate > 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(1'000'000 / options_.rate));
      }
    }
  }

 private:
  // What an earlier process left: go on from there, and finish what it had under way.
  void load() {
    sqlite3_stmt* query = nullptr;
    const std::string sql =
        "SELECT id, version FROM invoice WHERE worker=" + std::to_string(number_);
    if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &query, nullptr) != SQLITE_OK) die("prepare");
    while (sqlite3_step(query) == SQLITE_ROW) {
      const std::int64_t id = sqlite3_column_int64(query, 0);
      live_[id] = sqlite3_column_int64(query, 1);
      if (id >= next_) next_ = id + 1;
    }
    sqlite3_finalize(query);
    for (int i = 0; i < 16; ++i) finish_files(directory() + "/" + std::to_string(i));
    next_ += 1'000'000;
  }

  std::string directory() const { return options_.files + "/w" + std::to_string(number_); }

  // A file without a row goes, a row behind its file follows it, a draft goes.
  void finish_files(const std::string& place) {
    std::vector<std::string> names;
    if (DIR* opened = ::opendir(place.c_str())) {
      while (const dirent* one = ::readdir(opened)) names.emplace_back(one->d_name);
      ::closedir(opened);
    }
    for (const std::string& name : names) {
      if (name[0] == '.') continue;
      const std::shared_lock hold(file_steps);
      const std::int64_t id = std::atoll(name.c_str());
      long long number = 0, worker = 0, version = 0;
      if (FILE* file = std::fopen((place + "/" + name).c_str(), "r")) {
        if (std::fscanf(file, "invoice %lld worker %lld version %lld", &number, &worker,
                        &version) != 3)
          version = 0;
        std::fclose(file);
      }
      const auto row = live_.find(id);
      if (name.find(".tmp") != std::string::npos || row == live_.end()) {
        if (::unlink((place + "/" + name).c_str()) != 0) die("unlink");
      } else if (version > row->second) {
        exec(db_, "UPDATE invoice SET version=" + std::to_string(version) +
                      " WHERE worker=" + std::to_string(number_) + " AND id=" + std::to_string(id));
        row->second = version;
      }
    }
  }

  std::string path(std::int64_t id) const {
    return directory() + "/" + std::to_string(id % 16) + "/" + std::to_string(id) + ".inv";
  }

  void write_file(std::int64_t id, std::int64_t version) {
    std::string body = "invoice " + std::to_string(id) + "\nworker " + std::to_string(number_) +
                       "\nversion " + std::to_string(version) + "\n";
    body.append(static_cast<std::size_t>(random_() % 6000), static_cast<char>('a' + id % 26));
    body += "\nsum " + std::to_string(checksum(body)) + "\n";
    const std::string name = path(id), draft = name + ".tmp";
    const std::shared_lock hold(file_steps);
    const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) die(draft);
    if (::write(fd, body.data(), body.size()) != static_cast<ssize_t>(body.size())) die(draft);
    ::close(fd);
    if (::rename(draft.c_str(), name.c_str()) != 0) die(name);
  }

  void create() {
    const std::int64_t id = next_++;
    write_file(id, 1);
    exec(db_, "INSERT INTO invoice(worker,id,version,filler) VALUES(" + std::to_string(number_) +
                  "," + std::to_string(id) + ",1,hex(randomblob(40)))");
    live_[id] = 1;
  }

  std::map<std::int64_t, std::int64_t>::iterator any() {
    auto it = live_.begin();
    std::advance(it, static_cast<long>(random_() % live_.size()));
    return it;
  }

  void update() {
    const auto it = any();
    const std::int64_t version = it->second + 1;
    write_file(it->first, version);
    exec(db_, "UPDATE invoice SET version=" + std::to_string(version) + " WHERE worker=" +
                  std::to_string(number_) + " AND id=" + std::to_string(it->first));
    it->second = version;
  }

  void remove() {
    const auto it = any();
    exec(db_, "DELETE FROM invoice WHERE worker=" + std::to_string(number_) +
                  " AND id=" + std::to_string(it->first));
    {
      const std::shared_lock hold(file_steps);
      if (::unlink(path(it->first).c_str()) != 0) die("unlink");
    }
    live_.erase(it);
  }

  const Options& options_;
  int number_;
  std::minstd_rand random_;
  sqlite3* db_ = nullptr;
  std::map<std::int64_t, std::int64_t> live_;
  std::int64_t next_ = 1;
};

sockaddr_un address(const std::string& path) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  if (path.size() >= sizeof out.sun_path) {
    std::fprintf(stderr, "ledger-writer: the control socket's path is too long: %s\n",
                 path.c_str());
    std::exit(2);
  }
  std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
  return out;
}

// One line in, one line out: "pause" answers "paused", "resume" answers "resumed".
void control(const std::string& path) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ::unlink(path.c_str());
  const sockaddr_un where = address(path);
  if (::bind(listener, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      ::listen(listener, 8) != 0)
    die(path);
  bool paused = false;
  while (!stopping) {
    const int peer = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (peer < 0) continue;
    char line[16] = {};
    const ssize_t got = ::read(peer, line, sizeof line - 1);
    const std::string word =
        got > 0 ? std::string(line, static_cast<std::size_t>(got)) : std::string();
    const char* answer = "unknown\n";
    if (word.rfind("pause", 0) == 0) {
      if (!paused) file_steps.lock();
      paused = true;
      answer = "paused\n";
    } else if (word.rfind("resume", 0) == 0) {
      if (paused) file_steps.unlock();
      paused = false;
      answer = "resumed\n";
    }
    (void)!::write(peer, answer, std::strlen(answer));
    ::close(peer);
  }
}

int ask(const Options& options) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_un where = address(options.control);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
    die(options.control);
  if (::write(fd, options.command.data(), options.command.size()) < 0) die("write");
  char line[16] = {};
  const ssize_t got = ::read(fd, line, sizeof line - 1);
  ::close(fd);
  const std::string expected = options.command == "pause" ? "paused\n" : "resumed\n";
  return got > 0 && expected == line ? 0 : 1;
}

int run(const Options& options) {
  ::mkdir(options.files.c_str(), 0755);
  for (int t = 0; t < options.threads; ++t) {
    const std::string dir = options.files + "/w" + std::to_string(t);
    ::mkdir(dir.c_str(), 0755);
    for (int i = 0; i < 16; ++i) ::mkdir((dir + "/" + std::to_string(i)).c_str(), 0755);
  }
  sqlite3* db = nullptr;
  if (sqlite3_open(options.db.c_str(), &db) != SQLITE_OK) die(options.db);
  sqlite3_busy_timeout(db, 60000);
  exec(db, "PRAGMA journal_mode=WAL");
  exec(db,
       "CREATE TABLE IF NOT EXISTS invoice(worker INTEGER, id INTEGER, version INTEGER, filler "
       "TEXT, PRIMARY KEY(worker,id)) WITHOUT ROWID");
  sqlite3_close(db);

  std::signal(SIGTERM, [](int) { stopping = true; });
  std::signal(SIGINT, [](int) { stopping = true; });
  std::thread(control, options.control).detach();
  std::vector<std::thread> threads;
  for (int t = 0; t < options.threads; ++t) {
    threads.emplace_back([&options, t] { Worker(options, t).run(); });
  }
  const auto start = std::chrono::steady_clock::now();
  while (!stopping) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (options.seconds > 0 &&
        std::chrono::steady_clock::now() - start > std::chrono::seconds(options.seconds))
      stopping = true;
  }
  for (auto& thread : threads) thread.join();
  std::printf("%llu operations\n", static_cast<unsigned long long>(operations.load()));
  ::unlink(options.control.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&]() -> std::string { return i + 1 < argc ? argv[++i] : ""; };
    if (word == "--files")
      options.files = value();
    else if (word == "--db")
      options.db = value();
    else if (word == "--control")
      options.control = value();
    else if (word == "--threads")
      options.threads = std::atoi(value().c_str());
    else if (word == "--seconds")
      options.seconds = std::atoi(value().c_str());
    else if (word == "--rate")
      options.rate = std::atoi(value().c_str());
    else if (word == "--add-only")
      options.add_only = true;
    else
      options.command = word;
  }
  if (options.control.empty()) options.command.clear();
  if (options.command == "run" && !options.files.empty() && !options.db.empty())
    return run(options);
  if (options.command == "pause" || options.command == "resume") return ask(options);
  std::fprintf(stderr,
               "usage: ledger-writer run --files DIR --db FILE --control SOCKET [--threads N] "
               "[--add-only] [--rate R] [--seconds S]\n"
               "       ledger-writer pause|resume --control SOCKET\n");
  return 2;
}
