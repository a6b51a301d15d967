#include "common/components/files/extents.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <random>

#include "common/os/disk.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using component::Extent;
using os::MappedExtent;
using Runs = std::vector<Extent>;

TEST_CASE("what two maps have from the same blocks is shared, and nothing else") {
  const std::vector<MappedExtent> a = {{0, 1000, 100, true, false}, {200, 5000, 100, true, false}};
  CHECK(files::not_shared(a, a, 300).empty());
  CHECK(files::not_shared({}, {}, 300).empty());  // a hole is a hole
  CHECK(files::not_shared(a, {}, 300) == Runs{{0, 100}, {200, 100}});
  CHECK(files::not_shared({}, a, 250) == Runs{{0, 100}, {200, 50}});

  INFO("the same blocks, cut otherwise");
  CHECK(
      files::not_shared(
          a,
          {{0, 1000, 40, true, false}, {40, 1040, 60, true, false}, {200, 5000, 100, true, false}},
          300)
          .empty());
  INFO("a piece in the middle was written anew");
  CHECK(files::not_shared(a,
                          {{0, 1000, 40, true, false},
                           {40, 9040, 20, true, false},
                           {60, 1060, 40, true, false},
                           {200, 5000, 100, true, false}},
                          300) == Runs{{40, 20}});
  INFO("the same blocks at another place are not the same bytes");
  CHECK(files::not_shared(a, {{0, 1000, 100, true, false}, {150, 5000, 100, true, false}}, 300) ==
        Runs{{150, 150}});
  INFO("what is not known, or not written on one side, is not shared");
  CHECK(files::not_shared({{0, 1000, 100, false, false}}, {{0, 1000, 100, false, false}}, 100) ==
        Runs{{0, 100}});
  CHECK(files::not_shared({{0, 1000, 100, true, true}}, {{0, 1000, 100, true, false}}, 100) ==
        Runs{{0, 100}});
}

TEST_CASE("runs are widened to whole blocks and joined") {
  CHECK(files::widen({{5, 1}, {9, 2}, {40, 1}}, 10, 45) == Runs{{0, 20}, {40, 5}});
  CHECK(files::widen({}, 10, 45).empty());
}

TEST_CASE("contents that differ are found, block by block, whatever the runs") {
  test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  std::mt19937 random(7);
  std::string a(3'000'000, '\0');
  for (char& byte : a) byte = static_cast<char>(random());
  for (int round = 0; round < 20; ++round) {
    std::string b = a;
    std::vector<bool> changed((a.size() + 65'535) / 65'536);
    for (int i = 0; i < round; ++i) {
      const std::size_t at = random() % b.size();
      b[at] = static_cast<char>(~a[at]);
      changed[at / 65'536] = true;
    }
    std::ofstream(scratch / "a", std::ios::binary) << a;
    std::ofstream(scratch / "b", std::ios::binary) << b;
    auto of_a = disk->open(os::kCwd, scratch / "a", O_RDONLY);
    auto of_b = disk->open(os::kCwd, scratch / "b", O_RDONLY);
    REQUIRE((of_a && of_b));
    auto found = files::differing(*disk, of_a->get(), of_b->get(), {{0, a.size()}}, 65'536);
    REQUIRE(found);
    std::vector<bool> told(changed.size());
    for (const Extent& run : *found) {
      for (std::uint64_t at = run.offset; at < run.offset + run.length; at += 65'536) {
        told[at / 65'536] = true;
      }
    }
    CHECK(told == changed);
  }
}
