// When an EarlyFlush has the disk write.
#include "common/components/files/early_flush.hpp"

#include <condition_variable>
#include <mutex>

#include "tests/support/forwarding_disk.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

class SyncedDisk final : public ForwardingDisk {
 public:
  using ForwardingDisk::ForwardingDisk;

  os::Sys<void> syncfs(int fd) override {
    {
      const std::lock_guard lock(mutex_);
      ++syncs_;
    }
    synced_.notify_all();
    return under_.syncfs(fd);
  }
  int syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }
  bool wait_for(int count) {
    std::unique_lock lock(mutex_);
    return synced_.wait_for(lock, std::chrono::seconds(60), [&] { return syncs_ >= count; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable synced_;
  int syncs_ = 0;
};

constexpr std::uint64_t kMiB = 1 << 20;

}  // namespace

TEST_CASE("what is written goes to the disk every 32 MiB, beside the writing") {
  const Scratch top("/tmp");
  const auto kernel = os::make_kernel_disk();
  SyncedDisk disk(*kernel);
  files::EarlyFlush flush(disk, top.path());
  for (int i = 0; i < 31; ++i) flush.wrote(kMiB);
  CHECK(disk.syncs() == 0);
  flush.wrote(kMiB);
  REQUIRE(disk.wait_for(1));
  for (int i = 0; i < 32; ++i) flush.wrote(kMiB);
  REQUIRE(disk.wait_for(2));
}

TEST_CASE("a flush that cannot open its directory does no harm") {
  const auto kernel = os::make_kernel_disk();
  SyncedDisk disk(*kernel);
  files::EarlyFlush flush(disk, "/nowhere/at/all");
  flush.wrote(100 * kMiB);
  flush.wrote(100 * kMiB);
  CHECK(disk.syncs() == 0);
}
