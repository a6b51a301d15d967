// Large files of snapshots are read from the disk with no page of the cache in between.
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <random>

#include "common/os/disk.hpp"
#include "common/stream/page_buffer.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

constexpr std::size_t kChunk = 1 << 20;

// How many of a file's pages are in memory (mincore(2)).
std::size_t pages_in_memory(const os::Fd& file, std::size_t size) {
  void* map = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  REQUIRE(map != MAP_FAILED);
  std::vector<unsigned char> pages((size + 4095) / 4096);
  REQUIRE(::mincore(map, size, pages.data()) == 0);
  ::munmap(map, size);
  return static_cast<std::size_t>(std::count_if(
      pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; }));
}

std::string read_all(component::EntryReader& reader, std::size_t size, std::size_t skew) {
  stream::PageBuffer room(2 * kChunk);
  // btrfs turns to the cache where memory has to be made for the answer first.
  std::ranges::fill(room.bytes(), std::byte{1});
  std::string out;
  while (out.size() < size) {
    const auto into = room.bytes().subspan(skew, kChunk);
    auto got = reader.read(out.size(), into);
    REQUIRE(got);
    REQUIRE(*got > 0);
    out.append(reinterpret_cast<const char*>(into.data()), *got);
  }
  return out;
}

}  // namespace

TEST_CASE("a large file of a snapshot is read past the cache, whole, wherever the memory lies") {
  const LoopMount mount("btrfs", "256M");
  if (!mount.mounted()) {
    WARN("skipped: btrfs over a loop device cannot be mounted here");
    return;
  }
  const auto disk = os::make_kernel_disk();
  FilesBench bench(*disk, mount.path());
  std::string content(5 * kChunk + 1234, '\0');
  std::mt19937_64 noise(1);
  for (char& byte : content) byte = static_cast<char>(noise());
  bench.write("large", content);
  component::Version version = bench.version(kRunOne);
  auto native = files::native_from_text(version.native);
  REQUIRE(native);
  native->form = "subvolume";
  version.native = files::to_text(*native);
  auto source = bench.component->sources()->open(version);
  REQUIRE(source);
  auto entries = entries_of(**source);
  REQUIRE(entries);
  const component::Entry& large = entries->back();

  const auto forget = [&] {
    auto file = disk->open(os::kCwd, bench.tree() + "/large", O_RDWR);
    REQUIRE(file);
    REQUIRE(disk->fdatasync(file->get()));
    disk->forget_read(file->get());
    REQUIRE(pages_in_memory(*file, content.size()) == 0);
    return std::move(*file);
  };
  {
    const os::Fd file = forget();
    auto reader = (*source)->open(large);
    REQUIRE(reader);
    CHECK(read_all(**reader, content.size(), 0) == content);
    CHECK(pages_in_memory(file, content.size()) <=
          256);  // those of the last chunk, which is no whole one
  }
  forget();
  auto reader = (*source)->open(large);
  REQUIRE(reader);
  CHECK(read_all(**reader, content.size(), 24) == content);
}
