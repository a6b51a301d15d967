// What no honest peer sends, to either side: a named error, nothing else.
#include <catch2/catch.hpp>
#include <random>

#include "common/stream/control.hpp"
#include "common/stream/entry_codec.hpp"
#include "common/stream/intake.hpp"
#include "common/stream/manifest.hpp"
#include "common/stream/pack.hpp"
#include "tests/unit/stream/scripted.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::stream;
using namespace lockstep::test;

// Small numbers, the same in every run.
struct Random {
  explicit Random(unsigned seed) : engine(seed) {}
  unsigned operator()() { return static_cast<unsigned>(engine()); }
  std::mt19937 engine;
};

Buffer body_of(std::initializer_list<std::string> parts) {
  Buffer out;
  ByteWriter writer(out);
  for (const auto& part : parts) writer.raw(part.data(), part.size());
  return out;
}

RawPack pack_of(Buffer body, std::uint32_t records = 1, std::uint64_t sequence = 1) {
  RawPack pack;
  pack.header.transfer = transfer_tag(kRun);
  pack.header.epoch = 7;
  pack.header.sequence = sequence;
  pack.header.records = records;
  pack.header.raw_length = pack.header.wire_length = static_cast<std::uint32_t>(body.size());
  pack.header.body = xxh3_128(body);
  pack.header.chain = chain_after({}, pack.header.body);
  pack.body = std::make_unique<Buffer>(std::move(body));
  return pack;
}

std::string raw_entry(const std::string& path, EntryKind kind, const std::string& target = "",
                      std::uint32_t mode = 0600, std::uint64_t size = 0) {
  Buffer out;
  ByteWriter writer(out);
  writer.number(static_cast<std::uint8_t>(RecordKind::entry));
  writer.number(static_cast<std::uint8_t>(Action::create));
  writer.number(static_cast<std::uint8_t>(kind));
  writer.number(mode);
  writer.number(std::uint32_t{0});
  writer.number(std::uint32_t{0});
  writer.number(std::int64_t{0});
  writer.number(size);
  writer.number(std::uint64_t{0});
  writer.counted(path);
  writer.counted(target);
  writer.number(std::uint32_t{0});
  writer.number(std::uint32_t{0});
  return std::string(reinterpret_cast<const char*>(out.data()), out.size());
}

}  // namespace

TEST_CASE("paths that lead out of the tree are refused before anything is written") {
  for (const std::string bad : {"../escape", "/etc/passwd", "a/../../b", "a//b", ".", "a/."}) {
    Victim victim;
    INFO(bad);
    victim.sender().says(pack_of(
        body_of({raw_entry("", EntryKind::directory), raw_entry(bad, EntryKind::fifo)}), 2));
    CHECK_THAT(name(victim.outcome()), Catch::StartsWith("stream-hostile"));
  }
  CHECK_FALSE(fs::exists("/tmp/escape"));
}

TEST_CASE("a symbolic link is never followed into another tree") {
  Victim victim;
  fs::create_directories(victim.peers.top + "/outside");
  CHECK_THAT(name(victim.records([&](PackBuilder& builder) {
               Entry link = entry("a", EntryKind::symlink);
               link.link_target = victim.peers.top + "/outside";
               link.mode = 0;
               REQUIRE(builder.entry(link, Action::create));
               REQUIRE(builder.entry(entry("a/planted", EntryKind::fifo), Action::create));
             })),
             Catch::StartsWith("stream-hostile"));
  CHECK(fs::is_empty(victim.peers.top + "/outside"));
}

TEST_CASE("records out of order, of nothing, or of more than there is") {
  using Make = std::function<void(PackBuilder&)>;
  const std::string some(1000, 'x');
  const auto bytes = std::as_bytes(std::span(some));
  const std::vector<std::pair<std::string, Make>> all = {
      {"order",
       [](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::fifo), Action::create));
         static_cast<void>(b.entry(entry("a", EntryKind::fifo), Action::create));
       }},
      {"twice",
       [](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::fifo), Action::create));
         static_cast<void>(b.entry(entry("b", EntryKind::fifo), Action::create));
       }},
      {"no directory",
       [](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b/c", EntryKind::fifo), Action::create));
       }},
      {"content of no file", [&](PackBuilder& b) { static_cast<void>(b.data(0, bytes)); }},
      {"end of no file", [](PackBuilder& b) { static_cast<void>(b.close({})); }},
      {"beyond the end",
       [&](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::regular, 999), Action::create));
         static_cast<void>(b.data(0, bytes));
       }},
      {"far beyond the end",
       [&](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::regular, 2000), Action::create));
         static_cast<void>(b.data(UINT64_MAX - 10, bytes));
       }},
      {"overlap",
       [&](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::regular, 5000), Action::create));
         static_cast<void>(b.data(0, bytes));
         static_cast<void>(b.data(999, bytes));
       }},
      {"zeros by the terabyte",
       [](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::regular, 1ULL << 60), Action::create));
         static_cast<void>(b.zeros(0, 1ULL << 60));
       }},
      {"a file to adopt where none was brought",
       [](PackBuilder& b) {
         Entry file = entry("b", EntryKind::regular, 5000);
         file.sum = "MD5-of-0MD5-of-512CRC32C:00";
         static_cast<void>(b.entry(file, Action::adopt));
         static_cast<void>(b.close(content_of_sum(file.size, file.sum)));
       }},
      {"a checksum in place of content",
       [](PackBuilder& b) {
         Entry file = entry("b", EntryKind::regular, 5000);
         file.sum = "MD5-of-0MD5-of-512CRC32C:00";
         static_cast<void>(b.entry(file, Action::create));
         static_cast<void>(b.close(content_of_sum(file.size, file.sum)));
       }},
      {"a directory to adopt",
       [](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::directory), Action::adopt));
       }},
      {"a file left open",
       [&](PackBuilder& b) {
         static_cast<void>(b.entry(entry("b", EntryKind::regular, 5000), Action::create));
         static_cast<void>(b.entry(entry("c", EntryKind::fifo), Action::create));
       }},
  };
  for (const auto& [what, make] : all) {
    Victim victim;
    INFO(what);
    CHECK_THAT(name(victim.records(make)), Catch::StartsWith("stream-hostile"));
  }
}

TEST_CASE("changes of a base that is not there") {
  Victim patch;
  CHECK_THAT(name(patch.records([](PackBuilder& b) {
               REQUIRE(b.entry(entry("b", EntryKind::regular, 1 << 20), Action::patch));
             })),
             Catch::StartsWith("stream-protocol"));
  Victim removal;
  CHECK_THAT(name(removal.records([](PackBuilder& b) { REQUIRE(b.remove("b")); })),
             Catch::StartsWith("stream-protocol"));
}

TEST_CASE("content that is not what its digest says") {
  Victim victim;
  const std::string some(1000, 'x');
  CHECK_THAT(name(victim.records([&](PackBuilder& b) {
               REQUIRE(b.entry(entry("b", EntryKind::regular, 1000), Action::create));
               REQUIRE(b.data(0, std::as_bytes(std::span(some))));
               REQUIRE(b.close({}));
             })),
             Catch::StartsWith("stream-digest"));
  Victim changed;
  RawPack pack = pack_of(body_of({raw_entry("", EntryKind::directory)}));
  (*pack.body)[20] ^= std::byte{1};
  changed.sender().says(std::move(pack));
  CHECK_THAT(name(changed.outcome()), Catch::StartsWith("stream-digest"));
}

TEST_CASE("a root that is not what was sent seals nothing") {
  Victim victim;
  RawPack pack = pack_of(body_of({raw_entry("", EntryKind::directory)}));
  Control fin("fin");
  fin.set("sequence", 1)
      .digest("chain", pack.header.chain)
      .digest("root", Digest256{})
      .set("entries", 1)
      .set("bytes", 0);
  victim.sender().says(std::move(pack));
  victim.sender().says(fin);
  CHECK_THAT(name(victim.outcome()), Catch::StartsWith("stream-digest"));
}

TEST_CASE("packs that lie about themselves") {
  const auto good = [] { return pack_of(body_of({raw_entry("", EntryKind::directory)})); };
  const std::vector<std::pair<std::string, std::function<void(RawPack&)>>> lies = {
      {"records", [](RawPack& p) { p.header.records = 2; }},
      {"no records", [](RawPack& p) { p.header.records = 0; }},
      {"too many records", [](RawPack& p) { p.header.records = 5000; }},
      {"sequence", [](RawPack& p) { p.header.sequence = 2; }},
      {"raw length", [](RawPack& p) { p.header.raw_length = 0xffffffff; }},
      {"wire length",
       [](RawPack& p) {
         p.header.wire_length += 1;
         p.header.raw_length += 1;
       }},
      {"transfer", [](RawPack& p) { p.header.transfer[0] ^= 1; }},
      {"epoch", [](RawPack& p) { p.header.epoch = 6; }},
      {"codec", [](RawPack& p) { p.header.codec = Codec::zstd; }},
      {"unknown codec", [](RawPack& p) { p.header.codec = static_cast<Codec>(9); }},
  };
  for (const auto& [what, lie] : lies) {
    Victim victim;
    INFO(what);
    RawPack pack = good();
    lie(pack);
    victim.sender().says(std::move(pack));
    CHECK_THAT(name(victim.outcome()), Catch::StartsWith("stream-hostile"));
  }
  Victim crowded;
  RawPack more =
      pack_of(body_of({raw_entry("", EntryKind::directory), raw_entry("d", EntryKind::directory)}));
  more.header.records = 1;
  crowded.sender().says(std::move(more));
  CHECK_THAT(name(crowded.outcome()), Catch::StartsWith("stream-hostile"));
  Victim chained;
  RawPack pack = good();
  pack.header.chain[3] ^= 1;
  chained.sender().says(std::move(pack));
  CHECK_THAT(name(chained.outcome()), Catch::StartsWith("stream-digest"));
}

TEST_CASE("a bomb stays within the length that its header says") {
  Victim victim;
  // 1 GiB of zeros in a zstd frame of some 30 KiB (RLE blocks), announced as 1 MiB.
  std::string bomb("\x28\xb5\x2f\xfd\x00\x58", 6);  // no content size, window 2 MiB
  for (int i = 0; i < 8192; ++i) {
    const std::uint32_t block = (131072U << 3) | (1U << 1) | (i == 8191 ? 1U : 0U);
    bomb.append({static_cast<char>(block), static_cast<char>(block >> 8),
                 static_cast<char>(block >> 16), '\0'});
  }
  RawPack pack = pack_of(body_of({bomb}));
  pack.header.codec = Codec::zstd;
  pack.header.raw_length = 1 << 20;
  victim.sender().says(std::move(pack));
  CHECK_THAT(name(victim.outcome()), Catch::StartsWith("stream-hostile"));
}

TEST_CASE("a sender that ignores its credit is cut off") {
  Scripted channel;
  PackBuilder builder(kRun, 7, [&](RawPack pack) -> Result<void> {
    channel.says(std::move(pack));
    return {};
  });
  const std::string chunk = random_bytes(1 << 20, 1);
  REQUIRE(builder.entry(entry("", EntryKind::directory), Action::create));
  REQUIRE(builder.entry(entry("b", EntryKind::regular, 20ULL << 20), Action::create));
  for (std::uint64_t i = 0; i < 20; ++i)
    REQUIRE(builder.data(i << 20, std::as_bytes(std::span(chunk))));
  REQUIRE(builder.finish());
  IntakeOptions options;
  options.transfer = transfer_tag(kRun);
  options.epoch = 7;
  options.window = 4 << 20;
  Intake intake(channel, options);
  // No credit is ever given back.
  std::uint64_t taken = 0;
  std::optional<Error> error;
  while (!error && taken < (20U << 20)) {
    auto item = intake.next(seconds(10), {});
    if (!item) {
      error = item.error();
      break;
    }
    REQUIRE(item->has_value());
    taken += std::get<CheckedPack>(**item).body().size();
  }
  REQUIRE(error);
  CHECK(error->code == ErrorCode::stream_hostile);
  CHECK(taken <= options.window + kPackLimit);
}

TEST_CASE("a pack with another body than its header says is refused before it is applied") {
  Scripted channel;
  PackBuilder builder(kRun, 7, [&](RawPack pack) -> Result<void> {
    pack.body->back() ^= std::byte{1};
    channel.says(std::move(pack));
    return {};
  });
  REQUIRE(builder.entry(entry("", EntryKind::directory), Action::create));
  REQUIRE(builder.finish());
  IntakeOptions options;
  options.transfer = transfer_tag(kRun);
  options.epoch = 7;
  options.window = 4 << 20;
  Intake intake(channel, options);
  const auto item = intake.next(seconds(10), {});
  REQUIRE_FALSE(item);
  CHECK(item.error().code == ErrorCode::stream_digest);
}

TEST_CASE("random frames end in an error, whatever they are") {
  Random random(GENERATE(1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U));
  for (int round = 0; round < 20; ++round) {
    Victim victim;
    Buffer body;
    ByteWriter writer(body);
    writer.raw(raw_entry("", EntryKind::directory).data(),
               raw_entry("", EntryKind::directory).size());
    for (unsigned i = random() % 200; i > 0; --i)
      writer.number(static_cast<std::uint8_t>(random() % 7));
    if (body.size() > 60 && random() % 2 == 0)
      body[random() % body.size()] = static_cast<std::byte>(random());
    victim.sender().says(pack_of(std::move(body), 1 + random() % 5));
    const Error error = victim.outcome();
    INFO(error.text());
    CHECK(error.code != ErrorCode::internal);
  }
}

TEST_CASE("control frames that are none") {
  for (const std::string& bad :
       {std::string(), std::string("\x80", 1), std::string("\x81\xa1t\xa1x\x00", 6),
        std::string("\xdf\xff\xff\xff\xff", 5), std::string("\x82\xa1t\xa1x\xa1t\xa1y", 9),
        std::string("\x81\xa1t\x91\x91\x91\x90", 7), std::string(1000, '\x91')}) {
    CHECK_FALSE(Control::decode(bad).has_value());
  }
  Control good("open");
  good.set("n", 5).bytes("b", std::string("\0\xff", 2)).text("s", "text");
  const auto back = Control::decode(good.encode().text());
  REQUIRE(back.has_value());
  CHECK(back->number("n") == 5);
  CHECK(back->string("b") == std::string("\0\xff", 2));
  CHECK(back->number("s") == 0);
  CHECK_FALSE(opening_of(*back).has_value());
}

TEST_CASE("a receiver that gives credit for what was not sent is told so") {
  SendingVictim victim;
  Peers& peers = victim.peers;
  ScriptedLink& link = victim.link;
  Control start = start_of_all();
  SECTION("credit") {
    link.channel->says(start);
    Control credit("credit");
    credit.set("sequence", 9).set("released", 1 << 30);
    link.channel->says(credit);
  }
  SECTION("no window") {
    start.set("window", 0);
    link.channel->says(start);
  }
  SECTION("a base that nobody has") {
    start.set("base", 1);
    link.channel->says(start);
  }
  SECTION("garbage") { link.channel->says("LSPKgarbage", "x"); }
  auto job = peers.send_job(kRun, "");
  job.stall = seconds(2);
  const auto sent = peers.send(link, job);
  REQUIRE_FALSE(sent.has_value());
  CHECK((sent.error().code == ErrorCode::stream_hostile ||
         sent.error().code == ErrorCode::stream_protocol));
  CHECK_FALSE(fs::exists(peers.manifest("north", kRun)));
  CHECK_FALSE(fs::exists(peers.manifest("north", kRun) + ".part"));
}
