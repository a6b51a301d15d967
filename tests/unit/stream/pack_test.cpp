// Where packs end.
#include "common/stream/pack.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "common/stream/planner.hpp"
#include "tests/support/scratch.hpp"
#include "tests/unit/stream/repeated.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using component::Change;
using component::EntryKind;

namespace {

// Of a walk of 84,000 entries with a removal after every 6,000: the packs' bodies.
std::vector<Buffer> packs_of_a_walk(std::uint64_t step) {
  std::vector<Buffer> packs;
  PackBuilder builder("transfer", 1, [&](RawPack pack) -> Result<void> {
    packs.push_back(std::move(*pack.body));
    return {};
  });
  constexpr std::uint64_t kEntries = 84000;
  constexpr std::uint64_t kEach = 6000;
  for (std::uint64_t entries = 0; entries < kEntries; entries += kEach) {
    for (std::uint64_t passed = step; passed <= kEach; passed += step)
      REQUIRE(builder.passed(entries + passed));
    REQUIRE(builder.remove("name-" + std::to_string(entries)));
  }
  REQUIRE(builder.finish());
  return packs;
}

// A version of 37,000 empty files, but for one of one byte and a hard link to it in the middle.
class ManyFiles final : public component::Source {
 public:
  // `changed`: when the file of one byte and the last one were.
  ManyFiles(char content, std::int64_t changed) : content_(content) {
    add("", EntryKind::directory);
    add("0", EntryKind::regular).size = 1;
    entries_.back().native.ctime_ns = changed;
    fill("1", 20000);
    fill("2", 3000);
    add("2/~link", EntryKind::hard_link).link_target = "0";
    fill("2/~more", 14000);
    add("3", EntryKind::regular).mtime_ns = changed;
    entries_.back().native.ctime_ns = changed;
  }

  Result<std::unique_ptr<component::EntryCursor>> entries() override {
    class All final : public component::EntryCursor {
     public:
      explicit All(const std::vector<Entry>& all) : all_(all) {}
      Result<std::optional<Entry>> next() override {
        return at_ < all_.size() ? std::optional(all_[at_++]) : std::nullopt;
      }

     private:
      const std::vector<Entry>& all_;
      std::size_t at_ = 0;
    };
    return std::unique_ptr<component::EntryCursor>(std::make_unique<All>(entries_));
  }
  Result<std::unique_ptr<component::ChangeCursor>> changes(const component::Version&) override {
    class Told final : public component::ChangeCursor {
     public:
      explicit Told(const std::vector<Entry>& all)
          : changes_{{"3", all.back(), false}, {"0", all[1], false}, {"", all[0], false}} {}
      Result<std::optional<Change>> next() override {
        if (changes_.empty()) return std::optional<Change>();
        Change change = std::move(changes_.back());
        changes_.pop_back();
        return std::optional(std::move(change));
      }

     private:
      std::vector<Change> changes_;
    };
    if (!tells) return std::unique_ptr<component::ChangeCursor>();
    return std::unique_ptr<component::ChangeCursor>(std::make_unique<Told>(entries_));
  }
  Result<std::unique_ptr<component::EntryReader>> open(const Entry& entry) override {
    return std::unique_ptr<component::EntryReader>(
        std::make_unique<test::Repeated>(std::string(1, content_), entry.size));
  }
  bool unchanged(const Entry& before, const Entry& now) const override {
    return before.native == now.native;
  }
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const Entry&, const component::Version&) override {
    return std::optional<std::vector<component::Extent>>();
  }

  bool tells = false;

 private:
  Entry& add(const std::string& path, EntryKind kind) {
    Entry& entry = entries_.emplace_back();
    entry.path = path;
    entry.kind = kind;
    entry.mode = 0700;
    return entry;
  }
  void fill(const std::string& directory, int count) {
    add(directory, EntryKind::directory);
    for (int i = 0; i < count; ++i)
      add(directory + "/" + std::to_string(100000 + i), EntryKind::regular);
  }

  char content_;
  std::vector<Entry> entries_;
};

Digest128 chain_of(ManyFiles& version, const std::string& manifest, const std::string& base,
                   std::vector<std::uint32_t>& records) {
  const auto disk = os::make_kernel_disk();
  PackBuilder builder("transfer", 1, [&](const RawPack& pack) -> Result<void> {
    records.push_back(pack.header.records);
    return {};
  });
  PlanJob job;
  job.source = &version;
  job.manifest_part = manifest;
  job.base_manifest = base;
  if (!base.empty()) job.base.emplace();
  auto planned = plan(*disk, job, builder);
  if (!planned) FAIL(planned.error().text());
  return builder.chain();
}

}  // namespace

TEST_CASE("a pack ends where the walk has passed 16,384 entries since before its first record") {
  std::vector<std::uint64_t> sequences;
  PackBuilder builder("transfer", 1, [&](const RawPack& pack) -> Result<void> {
    sequences.push_back(pack.header.sequence);
    CHECK(pack.body->capacity() < 1024);  // many small ones may be under way
    return {};
  });
  REQUIRE(builder.passed(10));
  REQUIRE(builder.remove("gone"));
  REQUIRE(builder.passed(10 + 16383));
  CHECK(sequences.empty());
  REQUIRE(builder.passed(10 + 16384));
  CHECK(sequences == std::vector<std::uint64_t>{1});
  REQUIRE(builder.passed(50000));
  REQUIRE(builder.finish());
  CHECK(sequences.size() == 1);
}

TEST_CASE("packs are the same whether a walk passes entry by entry or whole directories at once") {
  const std::vector<Buffer> one_by_one = packs_of_a_walk(1);
  CHECK(one_by_one.size() > 3);
  CHECK(one_by_one == packs_of_a_walk(2000));
  CHECK(one_by_one == packs_of_a_walk(6000));
}

TEST_CASE("packs are the same where a hard link is sent from inside a directory copied as bytes") {
  test::Scratch scratch;
  std::vector<std::uint32_t> ignored, by_telling, by_walking;
  ManyFiles before('a', 1), now('b', 2);
  const std::string base = scratch / "base";
  chain_of(before, base, "", ignored);
  const Digest128 walked = chain_of(now, scratch / "walked", base, by_walking);
  now.tells = true;
  const Digest128 told = chain_of(now, scratch / "told", base, by_telling);
  CHECK(by_telling == by_walking);
  CHECK(told == walked);
  INFO("the file; and the link with what comes 14,000 entries later");
  CHECK(by_telling.size() == 2);
}
