#include "common/components/files/origin.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

#include "tests/support/scratch.hpp"

using namespace lockstep;
using files::Origin;
using files::OriginReader;
using files::OriginWriter;

TEST_CASE("Origins are found again in manifest order", "[files]") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = files::origin_path(scratch / "pin");
  {
    auto writer = OriginWriter::create(*disk, path);
    REQUIRE(writer);
    REQUIRE(writer->add({.path = "", .inode = 1, .ctime_ns = -5, .links = 2}));
    for (int i = 10000; i < 30000; ++i) {
      const auto number = static_cast<std::uint64_t>(i);
      REQUIRE(writer->add(
          {.path = "d/" + std::to_string(i), .inode = number, .ctime_ns = i, .links = 1}));
    }
    CHECK_FALSE(std::filesystem::exists(path));
    REQUIRE(writer->finish());
  }
  auto reader = OriginReader::open(*disk, path);
  REQUIRE(reader);
  auto root = reader->find("");
  REQUIRE(root);
  REQUIRE(*root);
  CHECK((*root)->ctime_ns == -5);
  CHECK((*root)->links == 2);
  for (const char* absent : {"a", "d", "d/0"}) {
    auto found = reader->find(absent);
    REQUIRE(found);
    CHECK_FALSE(found->has_value());
  }
  for (int i = 10000; i < 30000; i += 7) {
    auto found = reader->find("d/" + std::to_string(i));
    REQUIRE(found);
    REQUIRE(found->has_value());
    CHECK((*found)->inode == static_cast<std::uint64_t>(i));
  }
  auto behind = reader->find("e");
  REQUIRE(behind);
  CHECK_FALSE(behind->has_value());
}

TEST_CASE("A record of origins that is cut off or foreign is an error", "[files]") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "origin";
  {
    auto writer = OriginWriter::create(*disk, path);
    REQUIRE(writer);
    REQUIRE(writer->add({.path = "name", .inode = 7, .ctime_ns = 8, .links = 1}));
    REQUIRE(writer->finish());
  }
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 3);
  auto cut = OriginReader::open(*disk, path);
  REQUIRE(cut);
  CHECK_FALSE(cut->next());
  std::filesystem::resize_file(path, 5);
  CHECK_FALSE(OriginReader::open(*disk, path));
  CHECK_FALSE(OriginReader::open(*disk, scratch / "none"));
}
