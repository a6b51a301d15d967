// Connections that are lost in the middle of a transfer: what is said again, and what is not.
#include <catch2/catch.hpp>

#include "common/stream/manifest.hpp"
#include "common/stream/manifest_writer.hpp"
#include "common/stream/resume_state.hpp"
#include "tests/unit/stream/scripted.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using namespace lockstep::test;

namespace {

// A sender of two directories, in one pack or in one for each.
enum class In { one_pack, two_packs };
class TwoDirectories {
 public:
  explicit TwoDirectories(Scripted& sender) : sender_(sender) {}

  void packs(In in = In::one_pack) {
    for (const char* path : {"", "inside"}) {
      REQUIRE(builder_.entry(entry(path, EntryKind::directory), Action::create));
      if (in == In::two_packs) REQUIRE(builder_.passed(1'000'000));
    }
    REQUIRE(builder_.finish());
    CHECK(count_ == (in == In::one_pack ? 1 : 2));
  }
  // One that no version makes: what is sealed does not look into it.
  void another_pack() {
    REQUIRE(builder_.entry(entry("more", EntryKind::directory), Action::create));
    REQUIRE(builder_.finish());
  }
  // Only packs from here to there are said from now on; the others are as if they had been.
  void only(std::uint64_t first, std::uint64_t last = UINT64_MAX) {
    first_ = first;
    last_ = last;
  }
  Control end(Victim& victim, std::optional<Digest256> other_root = {}) {
    auto writer = ManifestWriter::create(*victim.peers.disk, victim.scratch / "as-it-should-be",
                                         WithNative::no);
    REQUIRE(writer);
    for (const char* path : {"", "inside"})
      REQUIRE(writer->begin(entry(path, EntryKind::directory)));
    const auto summary = writer->finish();
    REQUIRE(summary);
    Control fin("fin");
    fin.set("sequence", count_)
        .digest("chain", builder_.chain())
        .digest("root", other_root.value_or(summary->root));
    fin.set("entries", summary->entries).set("bytes", summary->bytes);
    sender_.says(fin);
    return fin;
  }

 private:
  Scripted& sender_;
  std::uint64_t first_ = 1;
  std::uint64_t last_ = UINT64_MAX;
  std::uint64_t count_ = 0;
  PackBuilder builder_{kRun, 7, [this](RawPack pack) -> Result<void> {
                         ++count_;
                         if (first_ <= count_ && count_ <= last_) sender_.says(std::move(pack));
                         return {};
                       }};
};

Control two_directories(Victim& victim, Scripted& sender, In in = In::one_pack) {
  TwoDirectories said(sender);
  said.packs(in);
  const Control fin = said.end(victim);
  sender.says(Control("bye"));
  return fin;
}

void change_state(FileLog& log, const std::function<void(ResumeState&)>& change) {
  auto row = log.load();
  REQUIRE(row);
  REQUIRE(row->has_value());
  auto state = decode_state((*row)->state);
  REQUIRE(state);
  change(*state);
  (*row)->state = encode_state(*state);
  REQUIRE(log.save(**row));
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
  victim.link.next->says(Control("bye"));

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
  TwoDirectories said(victim.sender());
  said.packs();
  const Control fin = said.end(victim);
  victim.sender().says(fail_control("fail", make_error(ErrorCode::io, "no manifest", "/there")));
  FileLog log(peers.log(kRun));
  const auto received = peers.receive(victim.link, peers.receive_job(kRun, "", log));
  REQUIRE_FALSE(received.has_value());
  CHECK_THAT(name(received.error()), Catch::StartsWith("io: no manifest"));

  ScriptedLink again;
  again.channel->says(hello());
  again.channel->says(fin);
  again.channel->says(Control("bye"));
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
    TwoDirectories said(*again.channel);
    said.packs(In::two_packs);
    said.end(victim, Digest256{});
    const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
    REQUIRE_FALSE(ended.has_value());
    CHECK_THAT(name(ended.error()), Catch::StartsWith("stream-digest"));
  }
  const auto kept = check_manifest(*peers.disk, peers.manifest("south", kRun));
  if (!kept) FAIL(kept.error().text());
  CHECK(kept->root == fin.digest<32>("root"));
  CHECK(peers.component->target()->list(peers.set("south"))->size() == 1);
}

TEST_CASE("what is sealed is followed on the next connection from where the last one was lost") {
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
  TwoDirectories first(*again.channel);
  first.only(1, 1);
  first.packs(In::two_packs);
  again.channel->lost_at = "credit";
  again.next = std::make_unique<Scripted>();
  again.next->says(hello());
  again.next->waits_for(1);
  std::optional<std::uint64_t> from;
  again.next->on_control = [&](const Control& one) {
    if (one.type() == "start") from = one.number("sequence");
  };
  TwoDirectories second(*again.next);
  second.only(2);
  second.packs(In::two_packs);
  second.end(victim);
  again.next->says(Control("bye"));
  const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
  if (!ended) FAIL(ended.error().text());
  CHECK(from == 1U);
  CHECK(ended->summary.root == fin.digest<32>("root"));
}

TEST_CASE("what an engine carried before the seal is told again to a sender that starts again") {
  Victim victim;
  Peers& peers = victim.peers;
  two_directories(victim, victim.sender());
  FileLog log(peers.log(kRun));
  REQUIRE(peers.receive(victim.link, peers.receive_job(kRun, "", log)).has_value());
  change_state(log, [](ResumeState& state) {
    state.carried = component::Carried{.any = true, .how = "carried", .except = {"x"}};
  });

  ScriptedLink again;
  again.channel->says(hello());
  Control restart("restart");
  restart.bytes("why", "the version makes other packs");
  again.channel->says(restart);
  again.channel->waits_for(2);
  std::vector<std::string> told;
  again.channel->on_control = [&](const Control& one) {
    if (one.type() == "start" && one.number("had") == 1) told.push_back(one.string("how"));
  };
  two_directories(victim, *again.channel, In::two_packs);
  const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
  if (!ended) FAIL(ended.error().text());
  CHECK(told == std::vector<std::string>{"carried", "carried"});
}

TEST_CASE("a base that is damaged after the seal is not told as a reason to send everything") {
  Victim victim;
  Peers& peers = victim.peers;
  const Control fin = two_directories(victim, victim.sender());
  FileLog log(peers.log(kRun));
  REQUIRE(peers.receive(victim.link, peers.receive_job(kRun, "", log)).has_value());

  ScriptedLink again;
  again.channel->says(hello());
  again.channel->says(fin);
  again.channel->says(Control("bye"));
  auto job = peers.receive_job(kRun, "", log);
  job.base_manifest = victim.scratch / "damaged";
  std::ofstream(job.base_manifest) << "no manifest";
  const auto ended = peers.receive(again, std::move(job));
  if (!ended) FAIL(ended.error().text());
  CHECK(ended->base_refused.empty());
}

TEST_CASE("packs behind those that were sealed are heard to their end without a word before") {
  Victim victim;
  Peers& peers = victim.peers;
  two_directories(victim, victim.sender());
  FileLog log(peers.log(kRun));
  REQUIRE(peers.receive(victim.link, peers.receive_job(kRun, "", log)).has_value());

  ScriptedLink again;
  again.channel->says(hello());
  TwoDirectories said(*again.channel);
  said.only(2);
  said.packs();
  said.another_pack();
  said.end(victim);
  again.channel->says(Control("bye"));
  const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
  if (!ended) FAIL(ended.error().text());
  CHECK(ended->resume_refused.empty());
}

TEST_CASE("what was sealed with a base is asked for with one though this side has it no more") {
  Victim victim;
  Peers& peers = victim.peers;
  const Control fin = two_directories(victim, victim.sender());
  FileLog log(peers.log(kRun));
  REQUIRE(peers.receive(victim.link, peers.receive_job(kRun, "", log)).has_value());
  change_state(log, [](ResumeState& state) { state.applied.apply.with_base = true; });

  const bool sender_has_one = GENERATE(true, false);
  ScriptedLink again;
  Control greeting = hello();
  if (sender_has_one) greeting.digest("base", Digest256{});
  again.channel->says(greeting);
  again.channel->says(fin);
  again.channel->says(Control("bye"));
  std::optional<std::uint64_t> base;
  again.channel->on_control = [&](const Control& one) {
    if (one.type() == "start") base = one.number("base");
  };
  const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
  if (!ended) FAIL(ended.error().text());
  CHECK(base == (sender_has_one ? 1U : 0U));
  CHECK(ended->incremental);
}

TEST_CASE("what was sealed before a power loss is not asked for again") {
  Victim victim;
  Peers& peers = victim.peers;
  const Control fin = two_directories(victim, victim.sender(), In::two_packs);
  FileLog log(peers.log(kRun));
  REQUIRE(peers.receive(victim.link, peers.receive_job(kRun, "", log)).has_value());
  change_state(log, [](ResumeState& state) {
    REQUIRE(state.durable.sequence < state.applied.sequence);
    state.boot_id = "another";
  });

  ScriptedLink again;
  again.channel->says(hello());
  again.channel->says(fin);
  again.channel->says(Control("bye"));
  std::optional<std::uint64_t> after;
  again.channel->on_control = [&](const Control& one) {
    if (one.type() == "start") after = one.number("sequence");
  };
  const auto ended = peers.receive(again, peers.receive_job(kRun, "", log));
  if (!ended) FAIL(ended.error().text());
  CHECK(after == 2U);
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
