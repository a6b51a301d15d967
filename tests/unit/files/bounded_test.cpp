// What a pin and its reading take does not grow with the tree: few descriptors however deep it is,
// little memory however many names a directory holds.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "common/os/disk.hpp"
#include "tests/support/measurable.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// What a process of its own, with few descriptors, found.
struct Seen {
  std::uint64_t entries = 0;
  std::uint64_t kibibytes = 0;  // by which its memory grew at its largest
  std::string error;
};

std::uint64_t memory(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field)) return std::stoull(line.substr(field.size()));
  }
  return 0;
}

Result<std::uint64_t> pin_and_read(FilesBench& bench) {
  component::DataSet set = bench.target;
  set.place.location = bench.tree();
  component::Context context;
  context.run = kRunOne;
  const auto snapshots = bench.component->snapshots();
  LOCKSTEP_TRY(const auto armed, snapshots->arm(context, set, bench.clock->utc()));
  LOCKSTEP_TRY(const component::Pinned pinned, armed->pin());
  LOCKSTEP_CHECK(armed->settle(context));
  LOCKSTEP_TRY(const auto source, bench.component->sources()->open(pinned.version));
  LOCKSTEP_TRY(const auto cursor, source->entries());
  std::uint64_t entries = 0;
  std::string before;
  while (true) {
    LOCKSTEP_TRY(const auto entry, cursor->next());
    if (!entry) break;
    if (entries > 0 && !component::path_less(before, entry->path)) {
      return make_error(ErrorCode::internal, "out of order", entry->path);
    }
    before = entry->path;
    ++entries;
  }
  LOCKSTEP_CHECK(snapshots->drop(context, pinned.version));
  return entries;
}

Seen in_a_small_process(FilesBench& bench) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    constexpr rlim_t kDescriptors = 100;
    const ::rlimit few{kDescriptors, kDescriptors};
    ::setrlimit(RLIMIT_NOFILE, &few);
    const std::uint64_t begun = memory("VmRSS:");
    const auto entries = pin_and_read(bench);
    std::ostringstream out;
    out << (entries ? *entries : 0) << ' ' << memory("VmHWM:") - begun << ' '
        << (entries ? "" : entries.error().text());
    const std::string text = out.str();
    const bool told =
        ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::_exit(told ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[512];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  Seen seen;
  std::istringstream in(text);
  in >> seen.entries >> seen.kibibytes;
  std::getline(in >> std::ws, seen.error);
  return seen;
}

// `depth` directories inside each other, a file in each.
void make_deep(const std::string& top, int depth) {
  int at = ::open(top.c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < depth; ++i) {
    REQUIRE(::mkdirat(at, "d", 0755) == 0);
    const int next = ::openat(at, "d", O_RDONLY | O_DIRECTORY);
    ::close(at);
    at = next;
    REQUIRE(at >= 0);
    const int file = ::openat(at, "f", O_WRONLY | O_CREAT, 0644);
    REQUIRE(file >= 0);
    ::close(file);
  }
  ::close(at);
}

void make_wide(const std::string& top, int files, std::size_t name_length) {
  fs::create_directory(top + "/many");
  const int at = ::open((top + "/many").c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < files; ++i) {
    std::string name = std::to_string(i);
    if (name.size() < name_length) name.append(name_length - name.size(), 'x');
    const int file = ::openat(at, name.c_str(), O_WRONLY | O_CREAT, 0644);
    REQUIRE(file >= 0);
    ::close(file);
  }
  ::close(at);
}

bool full_tier() {
  const char* full = std::getenv("LOCKSTEP_TEST_FULL");
  return full != nullptr && *full != '\0';
}

}  // namespace

TEST_CASE("a deep tree is pinned and read with few descriptors") {
  const auto disk = os::make_kernel_disk();
  FilesBench bench(*disk, "/dev/shm");
  make_deep(bench.tree(), 1500);
  const Seen seen = in_a_small_process(bench);
  CHECK(seen.error == "");
  CHECK(seen.entries == 3001);
}

TEST_CASE("the memory of pinning and reading does not grow with a directory") {
  const auto disk = os::make_kernel_disk();
  FilesBench bench(*disk, "/dev/shm");
  const int files = full_tier() ? 1'000'000 : 100'000;
  make_wide(bench.tree(), files, full_tier() ? 32 : 220);
  make_deep(bench.tree() + "/many", 60);  // sorted on disk at every level while that one is open
  const Seen seen = in_a_small_process(bench);
  CHECK(seen.error == "");
  CHECK(seen.entries == static_cast<std::uint64_t>(files) + 122);
  std::cout << files << " entries in a directory: memory grew by " << seen.kibibytes << " KiB\n";
  // Two walks hold at most 50,000 names each; all the names alone are 22 MB, and held twice.
  if (test::kMemoryIsMeasurable) CHECK(seen.kibibytes < 40 * 1024);
}
