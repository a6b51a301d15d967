// Connections that are lost in the middle of a transfer: what is said again, and what is not.
#include <catch2/catch.hpp>

#include "common/stream/manifest.hpp"
#include "common/stream/manifest_writer.hpp"
#include "tests/unit/stream/scripted.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using namespace lockstep::test;

namespace {

// What a sender of two directories says: its packs, one or one for each, and the end that is
// returned.
enum class In { one_pack, two_packs };
Control two_directories(Victim& victim, Scripted& sender, In in = In::one_pack) {
  std::uint64_t packs = 0;
  PackBuilder builder(kRun, 7, [&](RawPack pack) -> Result<void> {
    ++packs;
    sender.says(std::move(pack));
    return {};
  });
  auto writer = ManifestWriter::create(*victim.peers.disk, victim.scratch / "as-it-should-be",
                                       WithNative::no);
  REQUIRE(writer);
  for (const char* path : {"", "inside"}) {
    const Entry one = entry(path, EntryKind::directory);
    REQUIRE(builder.entry(one, Action::create));
    REQUIRE(writer->begin(one));
    if (in == In::two_packs) REQUIRE(builder.passed(1'000'000));
  }
  REQUIRE(builder.finish());
  CHECK(packs == (in == In::one_pack ? 1 : 2));
  const auto summary = writer->finish();
  REQUIRE(summary);
  Control fin("fin");
  fin.set("sequence", packs).digest("chain", builder.chain()).digest("root", summary->root);
  fin.set("entries", summary->entries).set("bytes", summary->bytes);
  sender.says(fin);
  return fin;
}

}  // namespace

TEST_CASE("a connection that is lost before the seal does not end the manifest twice") {
  Victim victim;
  Peers& peers = victim.peers;
  const Control fin = two_directories(victim, victim.sender());
  victim.sender().lost_at = "sealing";
  victim.link.next = std::make_unique<Scripted>();
  victim.link.next->says(hello());
  victim.link.next->says(fin);

  FileLog log(peers.log(kRun));
  const auto received = peers.receive(victim.link, peers.receive_job(kRun, "", log));
  if (!received) FAIL(received.error().text());
  const auto kept = check_manifest(*peers.disk, peers.manifest("south", kRun));
  if (!kept) FAIL(kept.error().text());
  CHECK(kept->root == fin.digest<32>("root"));
}

TEST_CASE("a sender that cannot keep its manifest after the seal is heard, and may come again") {
  Victim victim;
  Peers& peers = victim.peers;
  const Control fin = two_directories(victim, victim.sender());
  victim.sender().says(fail_control("fail", make_error(ErrorCode::io, "no manifest", "/there")));
  FileLog log(peers.log(kRun));
  const auto received = peers.receive(victim.link, peers.receive_job(kRun, "", log));
  REQUIRE_FALSE(received.has_value());
  CHECK_THAT(name(received.error()), Catch::StartsWith("io: no manifest"));

  ScriptedLink again;
  again.channel->says(hello());
  again.channel->says(fin);
  const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
  if (!ended) FAIL(ended.error().text());
  CHECK(peers.component->target()->list(peers.set("south"))->size() == 1);
}

TEST_CASE("a sender that makes other packs of what is sealed is heard to its end") {
  Victim victim;
  Peers& peers = victim.peers;
  const Control fin = two_directories(victim, victim.sender());
  FileLog log(peers.log(kRun));
  REQUIRE(peers.receive(victim.link, peers.receive_job(kRun, "", log)).has_value());

  ScriptedLink again;
  again.channel->says(hello());
  Control restart("restart");
  restart.bytes("why", "the version makes other packs");
  again.channel->says(restart);
  again.channel->waits_for(2);
  SECTION("to the same root") {
    two_directories(victim, *again.channel, In::two_packs);
    const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
    if (!ended) FAIL(ended.error().text());
    CHECK(ended->summary.root == fin.digest<32>("root"));
    CHECK(ended->bytes_again > 0);
    CHECK(ended->resume_refused == "the version makes other packs");
  }
  SECTION("to another root") {
    Control other("fin");
    other.set("sequence", 0).digest("chain", Digest128{}).digest("root", Digest256{});
    again.channel->says(other);
    const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
    REQUIRE_FALSE(ended.has_value());
    CHECK_THAT(name(ended.error()), Catch::StartsWith("stream-digest"));
  }
  const auto kept = check_manifest(*peers.disk, peers.manifest("south", kRun));
  if (!kept) FAIL(kept.error().text());
  CHECK(kept->root == fin.digest<32>("root"));
  CHECK(peers.component->target()->list(peers.set("south"))->size() == 1);
}

TEST_CASE("a pack that is being sent as the connection is lost is sent on the next one") {
  SendingVictim victim;
  Peers& peers = victim.peers;
  ScriptedLink& link = victim.link;
  const Control start = start_of_all();
  victim.receiver().says(start);
  victim.receiver().lost_at = "pack";
  const auto packs = std::make_shared<std::vector<std::uint64_t>>();
  link.next = std::make_unique<Scripted>();
  link.next->packs = packs;
  link.next->lost_at = "fin";
  link.next->says(start);
  REQUIRE_FALSE(peers.send(link, peers.send_job(kRun, "")).has_value());
  CHECK(*packs == std::vector<std::uint64_t>{1});
}

TEST_CASE("why a peer left is heard though sending to it failed before") {
  SECTION("of a receiver") {
    SendingVictim victim;
    victim.receiver().says(start_of_all());
    victim.receiver().lost_at = "pack";
    victim.receiver().last_words =
        fail_control("fail", make_error(ErrorCode::no_space, "full", "/there"));
    const auto sent = victim.peers.send(victim.link, victim.peers.send_job(kRun, ""));
    REQUIRE_FALSE(sent.has_value());
    CHECK_THAT(name(sent.error()), Catch::StartsWith("no-space"));
  }
  SECTION("of a sender") {
    Victim victim;
    victim.sender().lost_at = "start";
    victim.sender().last_words =
        fail_control("fail", make_error(ErrorCode::source_read, "torn", "/here"));
    CHECK_THAT(name(victim.outcome()), Catch::StartsWith("source-read"));
  }
}
