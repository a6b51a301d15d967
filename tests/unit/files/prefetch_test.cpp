// What a Prefetch reads of the tree that a writer is about to change, and what it leaves alone.
#include "common/components/files/prefetch.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "tests/support/forwarding_disk.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

// Remembers what was opened to be read, and where it was read.
class WatchedDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;
  template <class T>
  using Sys = os::Sys<T>;

  Sys<os::Fd> open_beneath(int directory, const std::string& path, int flags,
                           mode_t mode) override {
    auto opened = under_.open_beneath(directory, path, flags, mode);
    if (opened && (flags & O_PATH) == 0) {
      const std::lock_guard lock(mutex_);
      opened_.insert(path);
    }
    return opened;
  }
  Sys<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::byte> into) override {
    auto got = under_.read_at(fd, offset, into);
    {
      const std::lock_guard lock(mutex_);
      reads_.insert(offset);
    }
    read_.notify_all();
    return got;
  }

  // Once there was a read at `offset`: it never comes where the thread died.
  bool wait_for(std::uint64_t offset) {
    std::unique_lock lock(mutex_);
    return read_.wait_for(lock, std::chrono::seconds(60), [&] { return reads_.contains(offset); });
  }
  std::set<std::string> opened() const {
    const std::lock_guard lock(mutex_);
    return opened_;
  }
  std::set<std::uint64_t> reads() const {
    const std::lock_guard lock(mutex_);
    return reads_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable read_;
  std::set<std::string> opened_;
  std::set<std::uint64_t> reads_;
};

struct Tree {
  Tree() {
    fs::create_directories(top / "tree/d");
    root = std::move(*kernel->open(os::kCwd, top / "tree", O_RDONLY | O_DIRECTORY));
  }
  std::string path(const std::string& name) const { return top / ("tree/" + name); }
  void write(const std::string& name, std::size_t size) const {
    std::ofstream(path(name), std::ios::binary) << std::string(size, 'x');
  }

  Scratch top{"/tmp"};
  std::unique_ptr<os::Disk> kernel = os::make_kernel_disk();
  WatchedDisk disk{*kernel};
  os::Fd root;
};

// Whatever was added before has been looked at once this one was read: in its last page, at kLast.
constexpr std::uint64_t kLast = 40'960;
void add_last(const Tree& tree, files::Prefetch& prefetch) {
  tree.write("last", kLast + 10);
  prefetch.add("last", kLast + 10);
}

}  // namespace

TEST_CASE("a prefetch reads the page that a write of the whole file would have to read") {
  Tree tree;
  tree.write("d/short", 100);
  tree.write("d/longer", 9'000);
  tree.write("d/even", 8'192);
  tree.write("d/grows", 4'000);
  files::Prefetch prefetch(tree.disk, tree.root.get());
  prefetch.add("d/short", 120);     // its one page
  prefetch.add("d/longer", 9'100);  // its third
  prefetch.add("d/even", 8'192);    // ends with a page: all of each is written
  prefetch.add("d/grows", 20'000);  // the page at its new end is not there yet
  add_last(tree, prefetch);
  REQUIRE(tree.disk.wait_for(kLast));
  CHECK(tree.disk.reads() == std::set<std::uint64_t>{0, 8'192, kLast});
  CHECK(tree.disk.opened() == std::set<std::string>{"d/short", "d/longer", "last"});
}

TEST_CASE("a prefetch opens nothing but regular files below its tree") {
  Tree tree;
  tree.write("d/plain", 100);
  std::ofstream(tree.top / "outside") << "not of this tree";
  fs::create_symlink("plain", tree.path("d/link"));
  fs::create_symlink("..", tree.path("d/up"));
  REQUIRE(::mkfifo(tree.path("d/fifo").c_str(), 0600) == 0);
  const bool device = ::mknod(tree.path("d/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0;
  files::Prefetch prefetch(tree.disk, tree.root.get());
  for (const char* name : {"d", "d/link", "d/up/d/plain", "d/fifo", "../outside", "d/gone"}) {
    prefetch.add(name, 100);
  }
  if (device) prefetch.add("d/null", 100);
  add_last(tree, prefetch);
  REQUIRE(tree.disk.wait_for(kLast));
  CHECK(tree.disk.opened() == std::set<std::string>{"last"});
}

TEST_CASE("a prefetch that has much to do ends at once") {
  Tree tree;
  for (int i = 0; i < 200; ++i) tree.write("d/" + std::to_string(i), 100);
  files::Prefetch prefetch(tree.disk, tree.root.get());
  for (int i = 0; i < 100'000; ++i) prefetch.add("d/" + std::to_string(i % 200), 100);
}
