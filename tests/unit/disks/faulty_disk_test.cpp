#include "tests/support/faulty_disk.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {
std::span<const std::byte> bytes(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
}  // namespace

TEST_CASE("the disk is full after so many bytes, there and nowhere else") {
  const Scratch scratch;
  const Scratch elsewhere;
  const auto kernel = os::make_kernel_disk();
  FaultyDisk disk(*kernel);
  auto file = disk.open(os::kCwd, scratch / "f", O_RDWR | O_CREAT, 0600);
  REQUIRE(file);
  auto other = disk.open(os::kCwd, elsewhere / "f", O_RDWR | O_CREAT, 0600);
  REQUIRE(other);
  disk.full_after(10, scratch.path());
  CHECK(disk.write_at(file->get(), 0, bytes("123456")));
  CHECK(disk.write_at(file->get(), 6, bytes("7890ab")).error().number == ENOSPC);
  CHECK(disk.stat(file->get())->st_size == 10);
  CHECK(disk.open(os::kCwd, scratch / "g", O_RDWR | O_CREAT, 0600).error().number == ENOSPC);
  CHECK(disk.make_directory(os::kCwd, scratch / "d", 0700).error().number == ENOSPC);
  CHECK(disk.open(os::kCwd, scratch / "f", O_RDWR | O_CREAT, 0600));
  CHECK(disk.met() == 3);
  CHECK(disk.write_at(other->get(), 0, bytes("much more than ten bytes")));
  disk.free_space();
  CHECK(disk.write_at(file->get(), 10, bytes("more")));
}

TEST_CASE("a read fails where it touches the place named, until healed") {
  const Scratch scratch;
  const auto kernel = os::make_kernel_disk();
  FaultyDisk disk(*kernel);
  auto file = disk.open(os::kCwd, scratch / "bad", O_RDWR | O_CREAT, 0600);
  REQUIRE(file);
  REQUIRE(disk.write_at(file->get(), 0, bytes(std::string(100, 'x'))));
  disk.fail_read("/bad", 50);
  std::vector<std::byte> into(50);
  CHECK(disk.read_at(file->get(), 0, into));
  CHECK(disk.read_at(file->get(), 1, into).error().number == EIO);
  CHECK(disk.met() == 1);
  disk.heal();
  CHECK(disk.read_at(file->get(), 1, into));
  disk.fail_open("/bad", EACCES);
  CHECK(disk.open(os::kCwd, scratch / "bad", O_RDONLY, 0).error().number == EACCES);
}
