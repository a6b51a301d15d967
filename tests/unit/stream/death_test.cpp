// Either side is killed at every place that matters, started again, and what travelled is counted.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <sstream>

#include "common/stream/resume_state.hpp"
#include "tests/unit/stream/peers.hpp"
#include "tests/unit/stream/trees.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::test;

const std::string kFirst = "01930000-0000-7000-8000-000000000001";
const std::string kSecond = "01930000-0000-7000-8000-000000000002";

constexpr std::uint64_t kContent = 48 << 20;
constexpr std::uint64_t kWindow = 4 << 20;

struct Outcome {
  int status = 0;
  std::string text;
  std::string root;
  std::uint64_t bytes = 0, again = 0, resumed_from = 0;
};

class Process {
 public:
  Process(Peers& peers, const std::string& side, const std::string& run, const std::string& base,
          const std::string& failpoint = "", int patience = 20)
      : output_(peers.top + "/out." + side) {
    fs::remove(output_);
    os::Command command;
    command.argv = {LOCKSTEP_STREAM_PEER,    side, peers.top, run, base.empty() ? "-" : base,
                    std::to_string(patience)};
    command.output_file = output_;
    if (!failpoint.empty()) command.environment["LOCKSTEP_FAILPOINT"] = failpoint;
    process_ = peers.processes->start(command).value();
  }
  Outcome wait() {
    Outcome out;
    out.status = process_->wait();
    out.text = slurp(output_);
    std::istringstream words(out.text);
    std::string ok;
    words >> ok >> out.root >> out.bytes >> out.again >> out.resumed_from;
    return out;
  }

 private:
  std::string output_;
  std::unique_ptr<os::Process> process_;
};

struct Bench {
  Bench() : peers(ground.top) {
    for (int i = 0; i < 40; ++i)
      write(peers.top + "/north/data/dir" + std::to_string(i % 5) + "/file" + std::to_string(i),
            random_bytes(200'000, static_cast<unsigned>(i)));
    write(peers.top + "/north/data/large", random_bytes(kContent - 8'000'000, 99));
    const auto pinned = peers.pin(kFirst);
    if (!pinned) FAIL(pinned.error().text());
    expected = python_root(peers.top + "/north/data");
  }
  std::string kept() {
    const auto found = peers.component->target()->find(peers.context(kFirst), peers.set("south"));
    if (!found || !*found) return "";
    return peers.component->target()->path_of(**found);
  }
  void check(const Outcome& sent, const Outcome& received) {
    INFO(sent.text);
    INFO(received.text);
    CHECK(sent.status == 0);
    CHECK(received.status == 0);
    CHECK(sent.root == expected);
    CHECK(received.root == expected);
    CHECK(python_root(kept()) == expected);
    CHECK(stream::check_manifest(*peers.disk, peers.manifest("south", kFirst)).has_value());
    CHECK(stream::check_manifest(*peers.disk, peers.manifest("north", kFirst)).has_value());
  }

  Ground ground;
  Peers peers;
  std::string expected;
};

}  // namespace

TEST_CASE(
    "the receiver is killed at any pack, starts again, and at most the window travels twice") {
  Bench bench;
  const std::string failpoint =
      GENERATE("stream-applied:1", "stream-applied:7", "stream-applied:30", "stream-journaled:1",
               "stream-journaled:5", "stream-journaled:9");
  INFO(failpoint);
  Process sender(bench.peers, "send", kFirst, "");
  CHECK(Process(bench.peers, "receive", kFirst, "", failpoint).wait().status == 128 + 9);
  const Outcome received = Process(bench.peers, "receive", kFirst, "").wait();
  const Outcome sent = sender.wait();
  bench.check(sent, received);
  // What was under way, and what was applied since the last row of the journal (a quarter).
  CHECK(sent.again <= kWindow + kWindow / 4 + (2 << 20));
  CHECK(sent.bytes <= kContent + kWindow + kWindow / 4 + (3 << 20));
  if (failpoint != "stream-applied:1") CHECK(received.resumed_from > 0);
}

TEST_CASE("the receiver is killed around its seal") {
  Bench bench;
  const std::string failpoint =
      GENERATE("stream-sealing", "stream-sealed", "stream-published", "stream-complete");
  INFO(failpoint);
  Process sender(bench.peers, "send", kFirst, "");
  CHECK(Process(bench.peers, "receive", kFirst, "", failpoint).wait().status == 128 + 9);
  const Outcome received = Process(bench.peers, "receive", kFirst, "").wait();
  const Outcome sent = sender.wait();
  bench.check(sent, received);
  CHECK(sent.again == 0);
}

TEST_CASE("the sender is killed at any pack, starts again, and does not send what was journaled") {
  Bench bench;
  const std::string failpoint =
      GENERATE("stream-sent:1", "stream-sent:9", "stream-sent:25", "stream-sent:40");
  INFO(failpoint);
  Process receiver(bench.peers, "receive", kFirst, "");
  CHECK(Process(bench.peers, "send", kFirst, "", failpoint).wait().status == 128 + 9);
  const Outcome sent = Process(bench.peers, "send", kFirst, "").wait();
  const Outcome received = receiver.wait();
  bench.check(sent, received);
  // All that had arrived was applied before the new connection; only what died in the dead sender's
  // queues is sent again, and it had not been received.
  CHECK(received.again == 0);
  CHECK(received.bytes <= kContent + (1 << 20));
  CHECK(sent.bytes <= kContent + (1 << 20));
}

TEST_CASE("both sides are killed") {
  Bench bench;
  {
    Process sender(bench.peers, "send", kFirst, "", "stream-sent:30");
    Process receiver(bench.peers, "receive", kFirst, "", "stream-journaled:6", 4);
    sender.wait();
    receiver.wait();
  }
  Process receiver(bench.peers, "receive", kFirst, "");
  const Outcome sent = Process(bench.peers, "send", kFirst, "").wait();
  const Outcome received = receiver.wait();
  bench.check(sent, received);
  CHECK(received.resumed_from > 0);
  CHECK(received.bytes <= kContent + kWindow + kWindow / 4 + (3 << 20));
}

TEST_CASE("after another boot the transfer goes on from the durable mark") {
  Bench bench;
  Process sender(bench.peers, "send", kFirst, "");
  CHECK(Process(bench.peers, "receive", kFirst, "", "stream-applied:30").wait().status == 137);
  // The row as a machine finds it that lost its power: of another boot, and what was not synced at
  // the checkpoint is gone.
  FileLog log(bench.peers.log(kFirst));
  auto row = log.load();
  REQUIRE(row.has_value());
  REQUIRE(row->has_value());
  auto state = stream::decode_state((*row)->state);
  REQUIRE(state.has_value());
  REQUIRE(state->durable.sequence > 0);
  REQUIRE(state->durable.sequence < state->applied.sequence);
  state->boot_id = "another";
  (*row)->state = stream::encode_state(*state);
  REQUIRE(log.save(**row));
  fs::resize_file(bench.peers.manifest("south", kFirst) + ".part",
                  state->durable.apply.manifest_offset);

  const Outcome received = Process(bench.peers, "receive", kFirst, "").wait();
  const Outcome sent = sender.wait();
  bench.check(sent, received);
  CHECK(received.resumed_from == state->durable.sequence);
}

TEST_CASE("a resumption that cannot be is refused by name, and all is sent anew") {
  Bench bench;
  {
    Process sender(bench.peers, "send", kFirst, "", "stream-sent:25");
    Process receiver(bench.peers, "receive", kFirst, "", "", 4);
    sender.wait();
    receiver.wait();
  }
  std::string reason;
  SECTION("the partial manifest is not what it was") {
    overwrite(bench.peers.manifest("south", kFirst) + ".part", 3, "?");
    reason = "the partial manifest cannot be continued";
  }
  SECTION("the staging is gone") {
    FileLog log(bench.peers.log(kFirst));
    const auto versions = bench.peers.component->target()->list(bench.peers.set("south"));
    for (const auto& version : *versions)
      REQUIRE(bench.peers.component->target()->drop(bench.peers.context(kFirst), version));
  }
  SECTION("the packs are others than were applied") {
    FileLog log(bench.peers.log(kFirst));
    auto row = log.load();
    auto state = stream::decode_state((*row)->state);
    REQUIRE(state.has_value());
    state->applied.chain[0] ^= 1;
    (*row)->state = stream::encode_state(*state);
    REQUIRE(log.save(**row));
    reason = "packs that the receiver has applied";
  }
  SECTION("the journal's row is damaged") {
    std::string row = slurp(bench.peers.log(kFirst));
    row[row.size() / 2] = static_cast<char>(row[row.size() / 2] ^ 1);
    spit(bench.peers.log(kFirst), row);
    reason = "the journal's row";
  }
  Process receiver(bench.peers, "receive", kFirst, "");
  const Outcome sent = Process(bench.peers, "send", kFirst, "").wait();
  const Outcome received = receiver.wait();
  bench.check(sent, received);
  CHECK(received.resumed_from == 0);
  CHECK_THAT(received.text, Catch::Contains(reason));
}

TEST_CASE("an increment goes on after a death, too") {
  Bench bench;
  {
    Process receiver(bench.peers, "receive", kFirst, "");
    CHECK(Process(bench.peers, "send", kFirst, "").wait().status == 0);
    CHECK(receiver.wait().status == 0);
  }
  const std::string root = bench.peers.top + "/north/data";
  for (std::uint64_t at = 0; at < 30; ++at)
    overwrite(root + "/large", at * 1'300'000, random_bytes(400'000, static_cast<unsigned>(at)));
  fs::remove_all(root + "/dir2");
  fs::rename(root + "/dir3", root + "/dir9");
  REQUIRE(bench.peers.pin(kSecond));
  const std::string expected = python_root(root);
  const std::string failpoint =
      GENERATE("stream-applied:3", "stream-applied:12", "stream-journaled:3");
  INFO(failpoint);
  Process sender(bench.peers, "send", kSecond, kFirst);
  CHECK(Process(bench.peers, "receive", kSecond, kFirst, failpoint).wait().status == 137);
  const Outcome received = Process(bench.peers, "receive", kSecond, kFirst).wait();
  const Outcome sent = sender.wait();
  INFO(sent.text);
  INFO(received.text);
  CHECK(sent.status == 0);
  CHECK(sent.root == expected);
  CHECK(received.root == expected);
  const auto found =
      bench.peers.component->target()->find(bench.peers.context(kSecond), bench.peers.set("south"));
  REQUIRE(found.has_value());
  CHECK(python_root(bench.peers.component->target()->path_of(**found)) == expected);
}
