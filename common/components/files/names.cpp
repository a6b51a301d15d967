#include "common/components/files/names.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <span>
#include <utility>

namespace lockstep::files {

namespace {

constexpr std::size_t kSmallestRun = 4096;     // names
constexpr std::size_t kSmallDirectory = 64;    // names: held in memory whatever the budget says
constexpr std::size_t kRunBuffer = 16 * 1024;  // bytes
constexpr std::size_t kLengthBytes = 2;

std::string encode(const os::DirectoryEntry& entry) {
  std::string out;
  out.reserve(entry.name.size() + 2);
  out += entry.name;
  out += '\0';
  out += static_cast<char>(entry.type);
  return out;
}

Name decode(std::string encoded) {
  Name name;
  name.type = static_cast<unsigned char>(encoded.back());
  encoded.resize(encoded.size() - 2);
  name.text = std::move(encoded);
  return name;
}

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

SortedNames::SortedNames(os::Disk& disk, NameBudget& budget, Side side, std::string where)
    : disk_(&disk), budget_(&budget), side_(side), where_(std::move(where)), from_(budget.end) {}

SortedNames::SortedNames(SortedNames&& other) noexcept
    : disk_(other.disk_),
      budget_(other.budget_),
      side_(other.side_),
      where_(std::move(other.where_)),
      names_(std::move(other.names_)),
      position_(other.position_),
      taken_(std::exchange(other.taken_, 0)),
      from_(other.from_),
      runs_(std::exchange(other.runs_, {})),
      heap_(std::move(other.heap_)) {}

SortedNames::~SortedNames() {
  budget_->left += taken_;
  if (!runs_.empty()) budget_->end = from_;
}

Result<SortedNames> SortedNames::read(os::Disk& disk, int directory, const std::string& scratch,
                                      NameBudget& budget, Side side, const std::string& where) {
  SortedNames made(disk, budget, side, where);
  auto stream = disk.read_directory(directory);
  if (!stream) return failed(side, stream.error(), "read the directory", where);
  const std::size_t most = std::max(budget.left, kSmallestRun);
  for (;;) {
    auto entry = (*stream)->next();
    if (!entry) return failed(side, entry.error(), "read the directory", where);
    if (!entry->has_value()) break;
    made.names_.push_back(encode(**entry));
    if (made.names_.size() >= most) LOCKSTEP_CHECK(made.spill(scratch));
  }
  const bool fits = made.names_.size() <= std::max(budget.left, kSmallDirectory);
  if (made.runs_.empty() && fits) {
    std::sort(made.names_.begin(), made.names_.end());
    made.taken_ = std::min(made.names_.size(), budget.left);
    budget.left -= made.taken_;
    return made;
  }
  if (!made.names_.empty()) LOCKSTEP_CHECK(made.spill(scratch));
  made.names_.shrink_to_fit();
  for (std::size_t i = 0; i < made.runs_.size(); ++i) {
    LOCKSTEP_CHECK(made.advance(made.runs_[i]));
    made.heap_.push_back(i);
  }
  const auto later = [&made](std::size_t a, std::size_t b) { return made.later(a, b); };
  std::make_heap(made.heap_.begin(), made.heap_.end(), later);
  return made;
}

bool SortedNames::later(std::size_t a, std::size_t b) const {
  return runs_[b].head < runs_[a].head;
}

Result<void> SortedNames::spill(const std::string& scratch) {
  if (!budget_->file) {
    LOCKSTEP_TRY(budget_->file, open_scratch(*disk_, scratch));
  }
  std::sort(names_.begin(), names_.end());
  Run run;
  run.from = budget_->end;
  std::string buffer;
  const auto flush = [&]() -> Result<void> {
    auto written =
        disk_->write_at(budget_->file.get(), budget_->end, std::as_bytes(std::span(buffer)));
    if (!written) return failed(Side::target, written.error(), "write the names of", where_);
    budget_->end += buffer.size();
    buffer.clear();
    return {};
  };
  for (const std::string& name : names_) {
    buffer += static_cast<char>(name.size() & 0xff);
    buffer += static_cast<char>(name.size() >> 8);
    buffer += name;
    if (buffer.size() >= 4 * kRunBuffer) LOCKSTEP_CHECK(flush());
  }
  LOCKSTEP_CHECK(flush());
  run.end = budget_->end;
  runs_.push_back(std::move(run));
  names_.clear();
  return {};
}

Result<void> SortedNames::advance(Run& run) {
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
    if (!got) return failed(side_, got.error(), "read back the names of", where_);
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
  if (!whole) return make_error(ErrorCode::io, "the scratch file of names is cut off", where_);
  run.head = run.buffer.substr(run.position + kLengthBytes, length);
  run.position += kLengthBytes + length;
  return {};
}

Result<std::optional<Name>> SortedNames::next() {
  if (runs_.empty()) {
    if (position_ == names_.size()) return std::optional<Name>{};
    return std::optional<Name>(decode(std::move(names_[position_++])));
  }
  const auto order = [this](std::size_t a, std::size_t b) { return later(a, b); };
  if (heap_.empty()) return std::optional<Name>{};
  std::pop_heap(heap_.begin(), heap_.end(), order);
  Run& run = runs_[heap_.back()];
  std::string taken = run.head;
  LOCKSTEP_CHECK(advance(run));
  if (run.head.empty()) {
    heap_.pop_back();
  } else {
    std::push_heap(heap_.begin(), heap_.end(), order);
  }
  return std::optional<Name>(decode(std::move(taken)));
}

}  // namespace lockstep::files
