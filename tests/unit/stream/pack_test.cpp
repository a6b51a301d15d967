// Where packs end.
#include "common/stream/pack.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace lockstep;
using namespace lockstep::stream;

namespace {

// Of a walk of 20,000 entries, in which every 1,500th is removed: the packs' bodies.
std::vector<Buffer> packs_of_a_walk(std::uint64_t step) {
  std::vector<Buffer> packs;
  PackBuilder builder("transfer", 1, [&](RawPack pack) -> Result<void> {
    packs.push_back(std::move(*pack.body));
    return {};
  });
  constexpr std::uint64_t kEntries = 21000;
  constexpr std::uint64_t kEach = 1500;
  for (std::uint64_t entries = 0; entries < kEntries; entries += kEach) {
    for (std::uint64_t passed = step; passed <= kEach; passed += step)
      REQUIRE(builder.walked(entries + passed));
    REQUIRE(builder.remove("name-" + std::to_string(entries)));
  }
  REQUIRE(builder.finish());
  return packs;
}

}  // namespace

TEST_CASE("a pack ends where the walk has passed 4,096 entries since before its first record") {
  std::vector<std::uint64_t> sequences;
  PackBuilder builder("transfer", 1, [&](const RawPack& pack) -> Result<void> {
    sequences.push_back(pack.header.sequence);
    return {};
  });
  REQUIRE(builder.walked(10));
  REQUIRE(builder.remove("gone"));
  REQUIRE(builder.walked(10 + 4095));
  CHECK(sequences.empty());
  REQUIRE(builder.walked(10 + 4096));
  CHECK(sequences == std::vector<std::uint64_t>{1});
  REQUIRE(builder.walked(20000));
  REQUIRE(builder.finish());
  CHECK(sequences.size() == 1);
}

TEST_CASE("packs are the same whether a walk passes entry by entry or whole directories at once") {
  const std::vector<Buffer> one_by_one = packs_of_a_walk(1);
  CHECK(one_by_one.size() > 3);
  CHECK(one_by_one == packs_of_a_walk(500));
  CHECK(one_by_one == packs_of_a_walk(1500));
}
