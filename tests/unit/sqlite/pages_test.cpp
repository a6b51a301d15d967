#include "common/components/sqlite/pages.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace lockstep::sqlite;
using lockstep::component::Extent;
using lockstep::os::MappedExtent;

namespace {

MappedExtent at(std::uint64_t logical, std::uint64_t physical, std::uint64_t length,
                bool known = true) {
  return {.logical = logical, .physical = physical, .length = length, .known = known};
}

}  // namespace

TEST_CASE("runs that touch are one") {
  std::vector<Extent> runs;
  append_run(runs, 0, 10);
  append_run(runs, 10, 5);
  append_run(runs, 20, 0);
  append_run(runs, 20, 5);
  append_run(runs, 22, 10);
  CHECK(runs == std::vector<Extent>{{0, 15}, {20, 12}});
}

TEST_CASE("what lies in the same blocks is not looked at") {
  constexpr std::uint64_t kPage = 4096;
  const std::vector<MappedExtent> base = {at(0, 1 << 20, 10 * kPage)};

  SECTION("all of it") { CHECK(not_shared(base, base, 10 * kPage, kPage).empty()); }
  SECTION("one page written anew in the middle") {
    const std::vector<MappedExtent> now = {at(0, 1 << 20, 4 * kPage), at(4 * kPage, 9 << 20, kPage),
                                           at(5 * kPage, (1 << 20) + 5 * kPage, 5 * kPage)};
    CHECK(not_shared(now, base, 10 * kPage, kPage) == std::vector<Extent>{{4 * kPage, kPage}});
  }
  SECTION("blocks that are smaller than pages widen to pages") {
    const std::vector<MappedExtent> now = {at(0, 1 << 20, 4 * kPage), at(4 * kPage, 9 << 20, kPage),
                                           at(5 * kPage, (1 << 20) + 5 * kPage, 5 * kPage)};
    CHECK(not_shared(now, base, 10 * kPage, 4 * kPage) ==
          std::vector<Extent>{{4 * kPage, 4 * kPage}});
  }
  SECTION("the same blocks at another place are not the same content") {
    const std::vector<MappedExtent> now = {at(0, (1 << 20) + kPage, 9 * kPage)};
    CHECK(not_shared(now, base, 10 * kPage, kPage) == std::vector<Extent>{{0, 10 * kPage}});
  }
  SECTION("what the file system does not know for certain is looked at") {
    const std::vector<MappedExtent> now = {at(0, 1 << 20, 10 * kPage, false)};
    CHECK(not_shared(now, now, 10 * kPage, kPage) == std::vector<Extent>{{0, 10 * kPage}});
  }
  SECTION("cut at the size") {
    CHECK(not_shared({}, base, kPage + 100, kPage) == std::vector<Extent>{{0, kPage + 100}});
  }
}

TEST_CASE("coarser runs cover the finer ones and stay in order") {
  std::mt19937_64 random(7);
  std::vector<Extent> runs;
  std::uint64_t end = 0;
  for (int i = 0; i < 5000; ++i) {
    const std::uint64_t offset = end + 4096 * (1 + random() % 50);
    runs.push_back({offset, 4096 * (1 + random() % 3)});
    end = offset + runs.back().length;
  }
  auto coarse = runs;
  coarsen(coarse, 100, 4096);
  REQUIRE(coarse.size() <= 100);
  REQUIRE_FALSE(coarse.empty());
  std::size_t c = 0;
  for (const Extent& run : runs) {
    while (coarse[c].offset + coarse[c].length < run.offset + run.length)
      REQUIRE(++c < coarse.size());
    CHECK(coarse[c].offset <= run.offset);
  }
  for (std::size_t i = 1; i < coarse.size(); ++i) {
    CHECK(coarse[i].offset > coarse[i - 1].offset + coarse[i - 1].length);
  }
  CHECK(coarse.front().offset == runs.front().offset);
  auto same = runs;
  coarsen(same, runs.size(), 4096);
  CHECK(same == runs);
}
