// What one plain file costs: the measure by which the stream is fast (docs/components/files.md).
#include <fcntl.h>

#include <atomic>

#include "common/components/files/metadata.hpp"
#include "common/components/files/tree_writer.hpp"
#include "tests/support/forwarding_disk.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// Counts the calls that a file's entry costs; each opened descriptor is one more, to close it.
class CountingDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;
  template <class T>
  using Sys = os::Sys<T>;

  Sys<os::Fd> open(int directory, const std::string& path, int flags, mode_t mode) override {
    calls += 2;
    return under_.open(directory, path, flags, mode);
  }
  Sys<os::Fd> open_beneath(int directory, const std::string& path, int flags,
                           mode_t mode) override {
    calls += 2;
    return under_.open_beneath(directory, path, flags, mode);
  }
  Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) override {
    ++calls;
    return under_.read_at(fd, offset, into);
  }
  Sys<void> write_at(int fd, std::uint64_t offset, std::span<const std::byte> data) override {
    ++calls;
    return under_.write_at(fd, offset, data);
  }
  void forget_read(int fd) override {
    ++calls;
    ++forgotten;
    under_.forget_read(fd);
  }
  Sys<void> truncate(int fd, std::uint64_t size) override {
    ++calls;
    return under_.truncate(fd, size);
  }
  Sys<std::optional<std::uint64_t>> seek_data(int fd, std::uint64_t from) override {
    ++calls;
    return under_.seek_data(fd, from);
  }
  Sys<void> unlink(int directory, const std::string& path) override {
    ++calls;
    return under_.unlink(directory, path);
  }
  Sys<struct ::stat> stat(int fd) override {
    ++calls;
    return under_.stat(fd);
  }
  Sys<struct ::stat> stat_at(int directory, const std::string& path) override {
    ++calls;
    return under_.stat_at(directory, path);
  }
  Sys<void> change_mode(int fd, mode_t mode) override {
    ++calls;
    return under_.change_mode(fd, mode);
  }
  Sys<void> change_owner(int fd, uid_t uid, gid_t gid) override {
    ++calls;
    return under_.change_owner(fd, uid, gid);
  }
  Sys<void> set_times(int fd, os::Times times) override {
    ++calls;
    ++times_set;
    return under_.set_times(fd, times);
  }
  Sys<std::vector<std::string>> list_xattrs(int fd) override {
    ++calls;
    return under_.list_xattrs(fd);
  }
  Sys<std::vector<std::string>> list_xattrs_at(int directory, const std::string& path) override {
    ++calls;
    return under_.list_xattrs_at(directory, path);
  }

  std::atomic<std::uint64_t> calls = 0;
  std::atomic<std::uint64_t> times_set = 0;
  std::atomic<std::uint64_t> forgotten = 0;
};

}  // namespace

TEST_CASE("a plain file costs six calls to read and seven to write") {
  constexpr int kFiles = 2'000;
  const auto kernel = os::make_kernel_disk();
  CountingDisk disk(*kernel);
  FilesBench bench(disk, "/dev/shm");
  for (int i = 0; i < kFiles; ++i) bench.write("d/f" + std::to_string(i), "invoice");

  disk.calls = 0;
  auto source = bench.component->sources()->open(bench.version(kRunOne));
  REQUIRE(source);
  auto entries = entries_of(**source);
  REQUIRE(entries);
  REQUIRE(entries->size() == kFiles + 2);
  for (const component::Entry& entry : *entries) {
    if (entry.kind == component::EntryKind::regular) REQUIRE(content_of(**source, entry));
  }
  CHECK(disk.calls <= 6 * kFiles + 50);

  component::Context context;
  context.run = kRunOne;
  auto staging = bench.component->target()->stage(context, {bench.target, std::nullopt, false});
  REQUIRE(staging);
  disk.calls = 0;
  const std::string content = "invoice";
  for (component::Entry& entry : *entries) {
    entry.mode = entry.kind == component::EntryKind::directory ? 0755 : 0640;
    if (::geteuid() == 0) entry.uid = 1234;  // the owner differs: one call more
    REQUIRE((*staging)->begin(entry, component::Action::create));
    if (entry.kind == component::EntryKind::regular) {
      REQUIRE((*staging)->write(0, std::as_bytes(std::span(content))));
    }
    REQUIRE((*staging)->finish());
  }
  CHECK(disk.calls <= 7 * kFiles + 50);
  CHECK(disk.calls >= 5 * kFiles);  // else it was not counted
  REQUIRE((*staging)->abandon());
}

TEST_CASE("a new file has its mode without a call of its own, whatever the umask takes away") {
  const mode_t mask = GENERATE(mode_t{0}, mode_t{022}, mode_t{077});
  INFO("umask " << mask);
  constexpr int kFiles = 100;
  const auto kernel = os::make_kernel_disk();
  CountingDisk disk(*kernel);
  const Scratch top("/dev/shm");
  auto root = kernel->open(os::kCwd, top.path(), O_RDONLY | O_DIRECTORY);
  REQUIRE(root);
  const mode_t before = ::umask(mask);
  files::TreeWriter writer(disk, std::move(*root), {});
  const std::string content = "invoice";
  component::Entry entry;
  entry.kind = component::EntryKind::regular;
  entry.uid = ::geteuid();
  entry.gid = ::getegid();
  entry.size = content.size();
  entry.mtime_ns = 1;
  const mode_t modes[] = {0644, 0600, 0444, 04755, 0000, 02640, 0777, 01644};
  for (int i = 0; i < kFiles; ++i) {
    entry.path = "f" + std::to_string(i);
    entry.mode = modes[static_cast<std::size_t>(i) % std::size(modes)];
    REQUIRE(writer.begin(entry, component::Action::create));
    REQUIRE(writer.write(0, std::as_bytes(std::span(content))));
    REQUIRE(writer.finish());
  }
  ::umask(before);
  for (int i = 0; i < kFiles; ++i) {
    auto info = kernel->stat_at(os::kCwd, top / ("f" + std::to_string(i)));
    REQUIRE(info);
    CHECK((info->st_mode & 07777) == modes[static_cast<std::size_t>(i) % std::size(modes)]);
  }
  // Opened, written, its times set, closed; where the mode is not to be had at once, one call more.
  const int more = mask == 0 ? kFiles / 2 : kFiles;
  CHECK(disk.calls <= static_cast<std::uint64_t>(4 * kFiles + more + 20));
}

TEST_CASE("a directory in which content changed but no name keeps its times without a call") {
  const auto kernel = os::make_kernel_disk();
  CountingDisk disk(*kernel);
  const Scratch top("/tmp");
  fs::create_directories(top / "tree/d");
  std::ofstream(top / "tree/d/f") << "invoice";
  auto root = kernel->open(os::kCwd, top / "tree", O_RDONLY | O_DIRECTORY);
  REQUIRE(root);
  const auto entry_of = [&](const std::string& path) {
    component::Entry entry;
    entry.path = path;
    auto info = kernel->stat_at(os::kCwd, top / ("tree/" + path));
    REQUIRE(info);
    files::take_stat(*info, entry);
    return entry;
  };
  const component::Entry directory = entry_of("d");
  component::Entry file = entry_of("d/f");
  file.mtime_ns += 1'000'000'000;
  files::TreeWriter writer(disk, std::move(*root), {});
  const std::string content = "INVOICE";
  REQUIRE(writer.begin(file, component::Action::create));
  REQUIRE(writer.write(0, std::as_bytes(std::span(content))));
  REQUIRE(writer.finish());
  CHECK(disk.times_set == 1);  // the file's
  REQUIRE(writer.leave_directory(directory));
  CHECK(disk.times_set == 1);
  CHECK(entry_of("d").mtime_ns == directory.mtime_ns);

  component::Entry another = file;
  another.path = "d/g";
  REQUIRE(writer.begin(another, component::Action::create));
  REQUIRE(writer.write(0, std::as_bytes(std::span(content))));
  REQUIRE(writer.finish());
  REQUIRE(writer.leave_directory(directory));
  CHECK(disk.times_set == 3);  // a new name moved the directory's
  CHECK(entry_of("d").mtime_ns == directory.mtime_ns);
}

TEST_CASE("what is read of a snapshot leaves the cache, of a tree that others read it stays") {
  constexpr int kFiles = 200;
  const auto kernel = os::make_kernel_disk();
  CountingDisk disk(*kernel);
  FilesBench bench(disk, "/dev/shm");
  for (int i = 0; i < kFiles; ++i) bench.write("d/f" + std::to_string(i), "invoice");
  for (const std::string form : {"subvolume", "plain"}) {
    INFO(form);
    component::Version version = bench.version(kRunOne);
    auto native = files::native_from_text(version.native);
    REQUIRE(native);
    native->form = form;
    version.native = files::to_text(*native);
    disk.calls = disk.forgotten = 0;
    auto source = bench.component->sources()->open(version);
    REQUIRE(source);
    auto entries = entries_of(**source);
    REQUIRE(entries);
    for (const component::Entry& entry : *entries) {
      if (entry.kind == component::EntryKind::regular) REQUIRE(content_of(**source, entry));
    }
    CHECK(disk.forgotten == (form == "subvolume" ? kFiles : 0));
    CHECK(disk.calls <= 6 * kFiles + 50);
  }
}
