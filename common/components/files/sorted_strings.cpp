#include "common/components/files/sorted_strings.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <span>
#include <utility>

namespace lockstep::files {

namespace {

constexpr std::size_t kSmallestRun = 4096;     // strings
constexpr std::size_t kFewest = 64;            // held in memory whatever the budget says
constexpr std::size_t kRunBuffer = 16 * 1024;  // bytes
constexpr std::size_t kLengthBytes = 2;

}  // namespace

Result<os::Fd> open_scratch(os::Disk& disk, const std::string& scratch) {
  auto unnamed = disk.open(os::kCwd, scratch, O_RDWR | O_TMPFILE | O_EXCL, 0600);
  if (unnamed) return std::move(*unnamed);
  // A file system that has no such files.
  static std::atomic<unsigned> counter{0};
  const std::string path = scratch + "/.scratch-" + std::to_string(::getpid()) + "-" +
                           std::to_string(counter.fetch_add(1));
  // What stands there was left by a process of the same number that died in these two lines.
  (void)disk.unlink(os::kCwd, path);
  auto file = disk.open(os::kCwd, path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!file) return failed(Side::target, file.error(), "make the scratch file", path);
  if (auto gone = disk.unlink(os::kCwd, path); !gone) {
    return failed(Side::target, gone.error(), "unlink the scratch file", path);
  }
  return std::move(*file);
}

SortedStrings::SortedStrings(os::Disk& disk, SortBudget& budget, std::string scratch,
                             std::string where)
    : disk_(&disk),
      budget_(&budget),
      scratch_(std::move(scratch)),
      where_(std::move(where)),
      most_(std::max(budget.left, kSmallestRun)),
      from_(budget.end) {}

SortedStrings::SortedStrings(SortedStrings&& other) noexcept
    : disk_(other.disk_),
      budget_(other.budget_),
      scratch_(std::move(other.scratch_)),
      where_(std::move(other.where_)),
      strings_(std::move(other.strings_)),
      most_(other.most_),
      position_(other.position_),
      taken_(std::exchange(other.taken_, 0)),
      from_(other.from_),
      runs_(std::exchange(other.runs_, {})),
      heap_(std::move(other.heap_)) {}

SortedStrings::~SortedStrings() {
  budget_->left += taken_;
  if (!runs_.empty()) budget_->end = from_;
}

Result<void> SortedStrings::add(std::string text) {
  strings_.push_back(std::move(text));
  return strings_.size() >= most_ ? spill() : Result<void>{};
}

Result<void> SortedStrings::finish() {
  const bool fits = strings_.size() <= std::max(budget_->left, kFewest);
  if (runs_.empty() && fits) {
    std::sort(strings_.begin(), strings_.end());
    taken_ = std::min(strings_.size(), budget_->left);
    budget_->left -= taken_;
    return {};
  }
  if (!strings_.empty()) LOCKSTEP_CHECK(spill());
  strings_.shrink_to_fit();
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    LOCKSTEP_CHECK(advance(runs_[i]));
    heap_.push_back(i);
  }
  std::make_heap(heap_.begin(), heap_.end(),
                 [this](std::size_t a, std::size_t b) { return later(a, b); });
  return {};
}

bool SortedStrings::later(std::size_t a, std::size_t b) const {
  return runs_[b].head < runs_[a].head;
}

Result<void> SortedStrings::spill() {
  if (!budget_->file) {
    LOCKSTEP_TRY(budget_->file, open_scratch(*disk_, scratch_));
  }
  std::sort(strings_.begin(), strings_.end());
  Run run;
  run.from = budget_->end;
  std::string buffer;
  const auto flush = [&]() -> Result<void> {
    auto written =
        disk_->write_at(budget_->file.get(), budget_->end, std::as_bytes(std::span(buffer)));
    if (!written) return failed(Side::target, written.error(), "sort on disk", where_);
    budget_->end += buffer.size();
    buffer.clear();
    return {};
  };
  for (const std::string& text : strings_) {
    buffer += static_cast<char>(text.size() & 0xff);
    buffer += static_cast<char>(text.size() >> 8);
    buffer += text;
    if (buffer.size() >= 4 * kRunBuffer) LOCKSTEP_CHECK(flush());
  }
  LOCKSTEP_CHECK(flush());
  run.end = budget_->end;
  runs_.push_back(std::move(run));
  strings_.clear();
  return {};
}

Result<void> SortedStrings::advance(Run& run) {
  const auto available = [&run] { return run.buffer.size() - run.position; };
  const auto need = [&](std::size_t bytes) -> Result<bool> {
    if (available() >= bytes) return true;
    run.buffer.erase(0, run.position);
    run.position = 0;
    const std::size_t had = run.buffer.size();
    const auto more =
        static_cast<std::size_t>(std::min<std::uint64_t>(kRunBuffer, run.end - run.from));
    run.buffer.resize(had + more);
    auto got = disk_->read_at(budget_->file.get(), run.from,
                              std::as_writable_bytes(std::span(run.buffer).subspan(had)));
    if (!got) return failed(Side::target, got.error(), "read back what was sorted of", where_);
    run.buffer.resize(had + *got);
    run.from += *got;
    return available() >= bytes;
  };
  LOCKSTEP_TRY(const bool some, need(kLengthBytes));
  if (!some) {
    run.head.clear();
    return {};
  }
  const auto byte = [&run](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(run.buffer[run.position + i]));
  };
  const std::size_t length = byte(0) + (byte(1) << 8);
  LOCKSTEP_TRY(const bool whole, need(kLengthBytes + length));
  if (!whole) return make_error(ErrorCode::io, "the scratch file is cut off", where_);
  run.head = run.buffer.substr(run.position + kLengthBytes, length);
  run.position += kLengthBytes + length;
  return {};
}

Result<std::optional<std::string>> SortedStrings::next() {
  if (runs_.empty()) {
    if (position_ == strings_.size()) return std::optional<std::string>{};
    return std::optional<std::string>(std::move(strings_[position_++]));
  }
  const auto order = [this](std::size_t a, std::size_t b) { return later(a, b); };
  if (heap_.empty()) return std::optional<std::string>{};
  std::pop_heap(heap_.begin(), heap_.end(), order);
  Run& run = runs_[heap_.back()];
  std::string taken = run.head;
  LOCKSTEP_CHECK(advance(run));
  if (run.head.empty()) {
    heap_.pop_back();
  } else {
    std::push_heap(heap_.begin(), heap_.end(), order);
  }
  return std::optional<std::string>(std::move(taken));
}

}  // namespace lockstep::files
