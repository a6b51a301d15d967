#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "common/os/durable.hpp"
#include "services/cli/files.hpp"
#include "services/cli/output.hpp"
#include "services/cli/pid_file.hpp"
#include "services/cli/supervisor.hpp"

namespace lockstep::cli {
namespace {

struct Directory {
  std::string path = "/tmp/lockstep-cli-XXXXXX";
  Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
};

TEST_CASE("a service that keeps ending is started again less and less often") {
  Backoff backoff;
  CHECK(backoff.next(seconds(1)) == Nanos{});
  CHECK(backoff.next(seconds(1)) == milliseconds(200));
  CHECK(backoff.next(seconds(1)) == milliseconds(400));
  for (int i = 0; i < 10; ++i) (void)backoff.next(seconds(1));
  CHECK(backoff.next(seconds(59)) == seconds(30));
  CHECK(backoff.next(seconds(60)) == Nanos{});
  CHECK(backoff.next(seconds(1)) == milliseconds(200));
}

TEST_CASE("the pid file is held by one, and a stale one is taken over") {
  const Directory directory;
  const auto disk = os::make_kernel_disk();
  const std::string path = directory.path + "/lockstep.pid";
  CHECK_FALSE(running_supervisor(*disk, path));
  {
    auto first = PidFile::take(*disk, path);
    REQUIRE(first);
    CHECK(running_supervisor(*disk, path) == ::getpid());
    auto second = PidFile::take(*disk, path);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == ErrorCode::run_busy);
  }
  CHECK_FALSE(os::exists(*disk, path));
  // This process's number, but of one that started at another time.
  std::ofstream{path} << ::getpid() << " 1\n";
  CHECK_FALSE(running_supervisor(*disk, path));
  CHECK(PidFile::take(*disk, path));
  std::ofstream{path} << "nonsense\n";
  CHECK(PidFile::take(*disk, path));
}

TEST_CASE("relative paths stand against the working directory") {
  const std::string here = std::filesystem::current_path().string();
  CHECK(absolute("x/../y/").value() == here + "/y");
  CHECK(absolute("/a/b/").value() == "/a/b");
  CHECK(absolute("/").value() == "/");
  CHECK_FALSE(absolute(""));
}

TEST_CASE("what a file is called does not steer a terminal") {
  CHECK(safe("plain caf\xc3\xa9") == "plain caf\xc3\xa9");
  CHECK(safe("a\x1b[31mb") == "a\\x1b[31mb");
  CHECK(safe("line\nend\r") == "line\\x0aend\\x0d");
  CHECK(safe("\xff") == "\\xff");
  CHECK(safe_lines("one\ntwo\x07\n") == "one\ntwo\\x07\n");
}

TEST_CASE("sizes and spans are short") {
  CHECK(size_text(0) == "0 B");
  CHECK(size_text(1023) == "1023 B");
  CHECK(size_text(1536) == "1.5 KiB");
  CHECK(size_text(std::uint64_t{3} << 40) == "3.0 TiB");
  CHECK(span_text(999) == "999 ns");
  CHECK(span_text(1'500'000) == "1.5 ms");
  CHECK(span_text(26 * 3'600'000'000'000) == "26 h 00 min");
  CHECK(span_text(std::int64_t{3} * 86'400'000'000'000) == "3 d 0 h");
  CHECK(short_instant("2026-11-21T02:00:00.123456789Z") == "2026-11-21T02:00:00Z");
  CHECK(short_instant("2026-11-21T02:00:00Z") == "2026-11-21T02:00:00Z");
}

TEST_CASE("progress has rate, percent and remaining time where they are known") {
  const message::Body moving = {{"sets",
                                 {{{"name", "a"}, {"entries", 3}, {"bytes", 1 << 20}},
                                  {{"name", "b"}, {"entries", 1}, {"bytes", 1 << 20}}}}};
  CHECK(progress_text(moving, 0, 0) == "4 entries, 2.0 MiB");
  CHECK(progress_text(moving, 1 << 20, 2) == "4 entries, 2.0 MiB, 512.0 KiB/s");
  message::Body known = moving;
  known["sets"][0]["bytes_expected"] = 3 << 20;
  CHECK(progress_text(known, 0, 2) == "4 entries, 2.0 MiB, 1.0 MiB/s");  // not of every set
  known["sets"][1]["bytes_expected"] = 1 << 20;
  CHECK(progress_text(known, 0, 2) ==
        "4 entries, 2.0 MiB, 1.0 MiB/s of 4.0 MiB, 50 %, " + span_text(2'000'000'000) + " left");
  known["sets"][0]["at_most"] = true;
  CHECK(progress_text(known, 0, 0) == "4 entries, 2.0 MiB of at most 4.0 MiB, 50 %");
  CHECK(progress_text({{"sets", message::Body::array()}}, 0, 9).empty());
}

TEST_CASE("columns are as wide as their widest cell") {
  Table table{{"A", "B"}};
  CHECK(table.empty());
  table.row({"long cell", "x"});
  table.row({"caf\xc3\xa9", "y"});
  CHECK(table.text() == "A          B\nlong cell  x\ncaf\xc3\xa9       y");
}

}  // namespace
}  // namespace lockstep::cli
