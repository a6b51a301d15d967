#include "common/components/files/prefetch.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstddef>
#include <span>
#include <utility>

namespace lockstep::files {

namespace {
constexpr std::size_t kMostWanted = 8192;  // two packs of entries (common/stream/pack.hpp)
constexpr std::uint64_t kPage = 4096;
}  // namespace

Prefetch::Prefetch(os::Disk& disk, int root)
    : disk_(disk), root_(root), thread_([this](const std::stop_token& stop) { work(stop); }) {}

Prefetch::~Prefetch() = default;

void Prefetch::add(std::string path, std::uint64_t size) {
  {
    const std::lock_guard lock(mutex_);
    if (wanted_.size() >= kMostWanted) return;
    wanted_.push_back({std::move(path), size});
  }
  added_.notify_one();
}

void Prefetch::work(const std::stop_token& stop) {
  while (true) {
    Wanted next;
    {
      std::unique_lock lock(mutex_);
      if (!added_.wait(lock, stop, [this] { return !wanted_.empty(); })) return;
      next = std::move(wanted_.front());
      wanted_.pop_front();
    }
    if (stop.stop_requested()) return;
    look_at(next);
  }
}

void Prefetch::look_at(const Wanted& wanted) {
  // The base may have a device or a FIFO there, which opening would wake.
  const auto there = disk_.open_beneath(root_, wanted.path, O_PATH);
  if (!there) return;
  const auto info = disk_.stat(there->get());
  if (!info || !S_ISREG(info->st_mode)) return;
  const std::uint64_t page = wanted.size / kPage * kPage;
  if (page == wanted.size || page >= static_cast<std::uint64_t>(info->st_size)) return;
  const auto file = disk_.open_beneath(root_, wanted.path, O_RDONLY | O_NONBLOCK);
  if (!file) return;
  std::byte one{};
  static_cast<void>(disk_.read_at(file->get(), page, std::span(&one, 1)));
}

}  // namespace lockstep::files
