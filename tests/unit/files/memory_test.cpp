// What does not fit in memory lies in scratch files, and comes back in the same order.
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <set>

#include "common/components/files/links.hpp"
#include "common/components/files/names.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::files;

TEST_CASE("a directory beyond the budget is sorted on disk, bytewise") {
  test::Scratch scratch("/dev/shm");
  std::set<std::string> expected;
  const std::string directory = scratch / "many";
  std::filesystem::create_directory(directory);
  for (int i = 0; i < 20'000; ++i) {
    std::string name = std::to_string(i * 7919 % 20'011);
    if (i % 5 == 0) name += "\xff-" + std::string(static_cast<std::size_t>(i % 200), 'x');
    if (i % 7 == 0) name = "\n" + name;
    std::ofstream(directory + "/" + name);
    expected.insert(name);
  }
  std::filesystem::create_directory(directory + "/sub");
  expected.insert("sub");
  const auto disk = os::make_kernel_disk();
  auto opened = disk->open(os::kCwd, directory, O_RDONLY | O_DIRECTORY);
  REQUIRE(opened);
  for (const std::size_t left : {std::size_t{0}, std::size_t{7'000}, std::size_t{50'000}}) {
    SortBudget budget{left};
    {
      auto names =
          SortedNames::read(*disk, opened->get(), scratch.path(), budget, Side::source, "x");
      if (!names) FAIL(names.error().text());
      for (const std::string& name : expected) {
        auto next = names->next();
        REQUIRE(next);
        REQUIRE(next->has_value());
        REQUIRE((*next)->text == name);
        REQUIRE((*next)->type == (name == "sub" ? DT_DIR : DT_REG));
      }
      auto end = names->next();
      REQUIRE(end);
      CHECK_FALSE(end->has_value());
    }
    CHECK(budget.left == left);
  }
  INFO("the scratch file has no name");
  CHECK(std::distance(std::filesystem::directory_iterator(scratch.path()), {}) == 1);
}

TEST_CASE("the first names of hard links are remembered, in memory or not") {
  test::Scratch scratch;
  for (const std::size_t memory : {std::size_t{0}, std::size_t{5'000}, std::size_t{1} << 20}) {
    {
      Links links(scratch.path(), memory);
      const auto name = [](int i, int n) {
        return "dir\n/\xff" + std::to_string(i) + "-" + std::to_string(n);
      };
      for (int i = 0; i < 2'000; ++i) {
        auto first = links.first(static_cast<std::uint64_t>(i) << 44, 3, name(i, 0));
        REQUIRE(first);
        REQUIRE_FALSE(first->has_value());
      }
      for (int n = 1; n < 3; ++n) {
        for (int i = 0; i < 2'000; ++i) {
          auto first = links.first(static_cast<std::uint64_t>(i) << 44, 3, name(i, n));
          REQUIRE(first);
          REQUIRE(*first == name(i, 0));
        }
      }
    }
    CHECK(std::filesystem::is_empty(scratch.path()));
  }
}
