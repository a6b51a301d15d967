// Whole transfers of real trees, each compared with an implementation of docs/point-format.md that
// shares nothing with ours (tests/compare/point.py).
#include <unistd.h>

#include <catch2/catch.hpp>
#include <thread>

#include "common/stream/verify.hpp"
#include "tests/unit/stream/peers.hpp"
#include "tests/unit/stream/trees.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::test;
using Kind = stream::Opening::Kind;

struct Bench {
  Bench() : peers(ground.top) {}
  std::string north(const std::string& path = "") const { return peers.top + "/north/data" + path; }

  // Pins, carries, and compares what arrived by every means.
  Carried run(const std::string& id, const std::string& base, Kind kind = Kind::push,
              const std::function<void(stream::SendJob&, stream::ReceiveJob&)>& adjust = {}) {
    auto pinned = peers.pin(id);
    if (!pinned) FAIL(pinned.error().text());
    Carried done = carry(peers, id, base, kind, adjust);
    if (!done.sent) FAIL(done.sent.error().text());
    if (!done.received) FAIL(done.received.error().text());
    CHECK(done.sent->summary.root == done.received->summary.root);
    check(id, done.received->version, done.sent->summary);
    return done;
  }

  void check(const std::string& id, const component::Version& version,
             const stream::ManifestSummary& summary) {
    const std::string kept = peers.component->target()->path_of(version);
    CHECK(python_root(north()) == stream::to_hex(summary.root));
    CHECK(python_root(kept) == stream::to_hex(summary.root));
    for (const char* side : {"north", "south"}) {
      const auto checked = stream::check_manifest(*peers.disk, peers.manifest(side, id));
      if (!checked) FAIL(checked.error().text());
      CHECK(checked->root == summary.root);
      CHECK(checked->entries == summary.entries);
    }
    const auto source = peers.component->sources()->open(version);
    const auto verified =
        stream::verify_version(*peers.disk, **source, peers.manifest("south", id), {});
    if (!verified) FAIL(verified.error().text());
    for (const auto& problem : verified->problems) UNSCOPED_INFO(problem);
    CHECK(verified->ok());
  }

  Ground ground;
  Peers peers;
};

const std::string kFirst = "01930000-0000-7000-8000-000000000001";
const std::string kSecond = "01930000-0000-7000-8000-000000000002";
const std::string kThird = "01930000-0000-7000-8000-000000000003";

}  // namespace

TEST_CASE("a whole tree, then nothing, then every sort of change; by push and by pull") {
  const Kind kind = GENERATE(Kind::push, Kind::fetch);
  Bench bench;
  make_tree(bench.north());
  const Carried first = bench.run(kFirst, "", kind);
  CHECK_FALSE(first.sent->incremental);
  CHECK(first.sent->bytes_resent == 0);
  CHECK(first.sent->bytes_sent > 5'300'000);

  const Carried same = bench.run(kSecond, kFirst, kind);
  CHECK(same.sent->incremental);
  CHECK(same.sent->bytes_sent == 0);
  CHECK(same.sent->summary.root == first.sent->summary.root);

  const std::string root = bench.north();
  overwrite(root + "/big", 2'000'000, "changed in the middle");  // a patch
  overwrite(root + "/links/first", 0, "LINKED");                 // a first name
  fs::remove(root + "/one more");
  fs::remove_all(root + "/many/3");
  fs::rename(root + "/many/4", root + "/renamed");
  fs::remove(root + "/fifo");
  write(root + "/fifo/is a directory now", "x");
  fs::remove_all(root + "/a-b");
  write(root + "/a-b", "a file now");
  ::chmod((root + "/exact").c_str(), 0751);  // metadata alone
  ::chmod((root + "/empty directory").c_str(), 0700);
  ::setxattr((root + "/a").c_str(), "user.new", "1", 1, 0);
  write(root + "/many/0/f0", "no longer empty");
  fs::resize_file(root + "/sparse", (9 << 20) + 12345);
  const Carried changed = bench.run(kThird, kSecond, kind);
  CHECK(changed.sent->incremental);
  CHECK(changed.sent->bytes_sent < 1'000'000);
}

TEST_CASE("what will be sent is told to both sides: exactly at first, at most with a base") {
  const Kind kind = GENERATE(Kind::push, Kind::fetch);
  Bench bench;
  write(bench.north("/large"), random_bytes(9 << 20, 1));
  write(bench.north("/small"), random_bytes(1000, 2));
  // What was written in the clock tick of the pin is looked at again by the next one (native.hpp).
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  std::optional<stream::Forecast> sender, receiver;
  const auto listen = [&](stream::SendJob& out, stream::ReceiveJob& in) {
    sender.reset();
    receiver.reset();
    out.forecast_after = Nanos{};
    out.bandwidth = 4 << 20;  // so that counting ends first
    out.compress = stream::Compress::off;
    out.progress = [&](const stream::Progress& progress) { sender = progress.expected; };
    in.progress = [&](const stream::Progress& progress) { receiver = progress.expected; };
  };
  const Carried first = bench.run(kFirst, "", kind, listen);
  REQUIRE(sender);
  REQUIRE(receiver);
  CHECK(sender->bytes == first.sent->summary.bytes);
  CHECK(receiver->bytes == sender->bytes);
  CHECK_FALSE(sender->at_most);

  overwrite(bench.north("/large"), 1 << 20, random_bytes(5 << 20, 3));
  bench.run(kSecond, kFirst, kind, listen);
  REQUIRE(sender);
  REQUIRE(receiver);
  CHECK(sender->bytes == 9 << 20);
  CHECK(sender->at_most);
  CHECK(receiver->at_most);
}

TEST_CASE("hard links follow their first name") {
  Bench bench;
  const std::string root = bench.north();
  write(root + "/b/x", random_bytes(300'000, 1));
  fs::create_hard_link(root + "/b/x", root + "/c");
  fs::create_hard_link(root + "/b/x", root + "/d");
  bench.run(kFirst, "");
  SECTION("the first name goes") { fs::remove(root + "/b/x"); }
  SECTION("an earlier name comes") { fs::create_hard_link(root + "/c", root + "/a"); }
  SECTION("a later name comes") { fs::create_hard_link(root + "/c", root + "/e"); }
  SECTION("one name becomes a file of its own") {
    fs::remove(root + "/c");
    write(root + "/c", random_bytes(300'000, 1));
  }
  SECTION("the file changes in place") { overwrite(root + "/d", 100'000, "!"); }
  SECTION("the first name is replaced, the others stay together") {
    fs::remove(root + "/b/x");
    write(root + "/b/x", "alone");
  }
  SECTION("metadata of all changes") { ::chmod((root + "/d").c_str(), 0600); }
  bench.run(kSecond, kFirst);
}

TEST_CASE("a large file is patched: only what differs travels") {
  Bench bench;
  const std::string path = bench.north("/database");
  write(path, random_bytes(40 << 20, 1));
  bench.run(kFirst, "");
  SECTION("bytes here and there") {
    for (std::uint64_t at : {0ULL, 65'535ULL, 1'048'570ULL, 20'000'000ULL, (40ULL << 20) - 3})
      overwrite(path, at, "xyz");
    CHECK(bench.run(kSecond, kFirst).sent->bytes_sent < 600'000);
  }
  SECTION("it grows") {
    overwrite(path, 40 << 20, random_bytes(100'000, 2));
    CHECK(bench.run(kSecond, kFirst).sent->bytes_sent < 400'000);
  }
  SECTION("it shrinks where a leaf ends") {
    fs::resize_file(path, 30 << 20);
    CHECK(bench.run(kSecond, kFirst).sent->bytes_sent < 10'000);
  }
  SECTION("it shrinks inside a leaf") {
    fs::resize_file(path, (30 << 20) + 777);
    CHECK(bench.run(kSecond, kFirst).sent->bytes_sent < 100'000);
  }
  SECTION("part of it becomes a hole") {
    const std::string command = "fallocate -p -o 4194304 -l 8388608 " + path;
    REQUIRE(::system(command.c_str()) == 0);
    CHECK(bench.run(kSecond, kFirst).sent->bytes_sent < 100'000);
  }
  SECTION("it is touched, and nothing else") {
    REQUIRE(::system(("touch " + path).c_str()) == 0);
    CHECK(bench.run(kSecond, kFirst).sent->bytes_sent < 10'000);
  }
  SECTION("it becomes small") {
    fs::resize_file(path, 100);
    bench.run(kSecond, kFirst);
  }
}

TEST_CASE("bases that differ are not used") {
  Bench bench;
  make_tree(bench.north());
  bench.run(kFirst, "");
  write(bench.north("/new"), "x");
  bench.run(kSecond, kFirst);
  // The sides name different bases: everything is sent, and arrives.
  write(bench.north("/newer"), "y");
  const Carried done =
      bench.run(kThird, kFirst, Kind::push, [&](stream::SendJob&, stream::ReceiveJob& in) {
        in.base_manifest = bench.peers.manifest("south", kSecond);
      });
  CHECK_FALSE(done.sent->incremental);
}

TEST_CASE("a base whose manifest is damaged, on either side, is not stood on: everything is sent") {
  const bool at_the_sender = GENERATE(true, false);
  Bench bench;
  write(bench.north("/a"), "one");
  write(bench.north("/b"), std::string(200'000, 'b'));
  bench.run(kFirst, "");
  const std::string kept = bench.peers.manifest(at_the_sender ? "north" : "south", kFirst);
  const auto middle = static_cast<std::streamoff>(fs::file_size(kept) / 2);
  {
    std::fstream file(kept, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(middle);
    const int was = file.get();
    file.seekp(middle);
    file.put(static_cast<char>(was ^ 1));
  }
  write(bench.north("/a"), "another");
  const Carried done = bench.run(kSecond, kFirst);
  CHECK_FALSE(done.received->incremental);
  CHECK(done.sent->base_refused.empty() != at_the_sender);
  CHECK(done.received->base_refused.empty() == at_the_sender);
}

TEST_CASE("compression is the same to what arrives, and saves where it can") {
  Bench bench;
  write(bench.north("/text"), std::string(20 << 20, 'a'));
  write(bench.north("/noise"), random_bytes(8 << 20, 1));
  const Carried done = bench.run(
      kFirst, "", Kind::push,
      [](stream::SendJob& out, stream::ReceiveJob&) { out.compress = stream::Compress::always; });
  CHECK(done.sent->bytes_sent < (9 << 20));
  CHECK(done.sent->bytes_sent > (8 << 20));
}
