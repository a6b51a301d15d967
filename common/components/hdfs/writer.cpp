#include "common/components/hdfs/writer.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "common/components/hdfs/foreign.hpp"

namespace lockstep::hdfs {

using component::Action;
using component::Entry;
using component::EntryKind;

namespace {

constexpr std::uint64_t kSmall = std::uint64_t{1} << 20U;  // held whole
constexpr std::size_t kMostHeld = std::size_t{32} << 20U;
constexpr std::size_t kMostJobs = 512;
constexpr std::size_t kTail = (std::size_t{1} << 20U) + 65536;

Error hostile(const std::string& what, const std::string& path) {
  return make_error(ErrorCode::stream_hostile, what, "/" + path);
}

// What was lost on its way can be sent again; what was refused cannot.
Error write_error(const Failure& failure, std::string_view act, const std::string& where) {
  const bool lost = failure.trouble == Trouble::lost;
  return to_error(failure, lost ? ErrorCode::unreachable : ErrorCode::target_write, act, where);
}

// A body that is held: given as often as it is wanted.
Http::Fill fill_from(std::shared_ptr<const std::string> bytes) {
  return [bytes = std::move(bytes), at = std::size_t{0}](std::span<std::byte> into) mutable {
    const std::size_t count = std::min(into.size(), bytes->size() - at);
    std::memcpy(into.data(), bytes->data() + at, count);
    at += count;
    return count;
  };
}

}  // namespace

Writer::Writer(WebHdfs& hdfs, std::string root, std::string base, std::string carried)
    : hdfs_(hdfs),
      root_(std::move(root)),
      base_(std::move(base)),
      carried_(std::move(carried)),
      crew_(hdfs.settings().connections) {}

Writer::~Writer() {
  const std::lock_guard lock(mutex_);
  ending_ = true;
  busy_.clear();
  for (const auto& body : sent_) body->give_up();
}

void Writer::fail(Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
  moved_.notify_all();
}

Result<void> Writer::failure() {
  const std::lock_guard lock(mutex_);
  if (error_) return *error_;
  return {};
}

Result<void> Writer::check_entry(const Entry& entry) const {
  if (entry.path.empty()) {
    if (entry.kind == EntryKind::directory) return {};
    return hostile("the root of a data set in HDFS is a directory", entry.path);
  }
  if (!component::path_is_clean(entry.path)) return hostile("a path that leads out", entry.path);
  std::string_view rest = entry.path;
  while (!rest.empty()) {
    const std::size_t slash = std::min(rest.find('/'), rest.size());
    if (!can_be_named(rest.substr(0, slash))) {
      if (is_foreign(entry)) {
        return make_error(ErrorCode::not_supported,
                          "HDFS has no such name (it must be UTF-8, without `:`, and none of "
                          "`.snapshot` and `.reserved`)",
                          "/" + entry.path, "rename it, or leave it out with `exclude`");
      }
      return hostile("a name that HDFS cannot have (it must be UTF-8 and without `:`)", entry.path);
    }
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  if (entry.kind == EntryKind::hard_link && !component::path_is_clean(entry.link_target)) {
    return hostile("a further name of what lies outside", entry.path);
  }
  return {};
}

Result<void> Writer::begin(const Entry& entry, Action action) {
  if (file_) return hostile("an entry before the last file was closed", entry.path);
  LOCKSTEP_CHECK(check_entry(entry));
  LOCKSTEP_CHECK(failure());
  if (entry.kind == EntryKind::directory) return make_directory(entry);
  File file;
  file.entry = entry;
  LOCKSTEP_TRY(file.wanted, wanted_of(entry));
  file.action = action;
  if (action == Action::patch) LOCKSTEP_CHECK(open_base(file));
  file_ = std::move(file);
  if (action == Action::adopt && carried_.empty()) {
    return hostile("a file to adopt where none was brought", entry.path);
  }
  const bool nothing_comes = action == Action::metadata || action == Action::adopt;
  if (nothing_comes || entry.size <= kSmall) return {};
  auto body = std::make_shared<Body>();
  file_->body = body;
  {
    const std::lock_guard lock(mutex_);
    sent_.insert(body);
  }
  // Given once: what was sent is not held.
  auto given = std::make_shared<bool>(false);
  return hand_over(entry.path, true, 0, [this, body, given, e = entry, w = file_->wanted] {
    auto done = upload(e, w, [&]() -> Http::Fill {
      if (std::exchange(*given, true)) return {};
      return [body](std::span<std::byte> into) { return body->take(into); };
    });
    body->give_up();  // who still adds is let go
    const std::lock_guard lock(mutex_);
    sent_.erase(body);
    return done;
  });
}

Result<void> Writer::make_directory(const Entry& entry) {
  LOCKSTEP_CHECK(wanted_of(entry));
  const std::string path = whole_path(entry.path);
  {
    // A removal of that name may be on its way.
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return !running_.contains(entry.path); });
  }
  auto made = hdfs_.make_directory(path);
  if (!made && made.error().trouble == Trouble::exists && !entry.path.empty()) {
    if (auto removed = hdfs_.remove(path); !removed) {
      return write_error(removed.error(), "remove the file", path);
    }
    made = hdfs_.make_directory(path);
  }
  if (!made) return write_error(made.error(), "make the directory", path);
  return {};
}

Result<void> Writer::open_base(File& file) {
  if (base_.empty()) return hostile("a patch where there is no base", file.entry.path);
  const std::string path = join(base_, file.entry.path);
  auto status = hdfs_.status(path);
  if (!status) return write_error(status.error(), "look at the base's file", path);
  if (status->kind != Status::Kind::file) {
    return hostile("a patch of what is no file", file.entry.path);
  }
  file.base_size = status->length;
  file.base = std::make_unique<Reader>(hdfs_, path, status->length, ErrorCode::target_write);
  return {};
}

Result<void> Writer::compose(std::span<const std::byte> data) {
  File& file = *file_;
  const std::string_view text(reinterpret_cast<const char*>(data.data()), data.size());
  if (file.body == nullptr) {
    file.whole.append(text);
  } else {
    if (!file.body->add(data)) {
      LOCKSTEP_CHECK(drain());
      return make_error(ErrorCode::target_write, "the file could not be sent",
                        whole_path(file.entry.path));
    }
    file.tail.append(text);
    if (file.tail.size() > 2 * kTail) file.tail.erase(0, file.tail.size() - kTail);
  }
  file.position += data.size();
  return {};
}

// What nobody writes: of a patched file the base's, otherwise zeros.
Result<void> Writer::compose_until(std::uint64_t offset) {
  static constexpr std::array<std::byte, 65536> kZeros{};
  std::vector<std::byte> copied;
  while (file_->position < offset) {
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(offset - file_->position, kZeros.size()));
    if (file_->base != nullptr && file_->position < file_->base_size) {
      copied.resize(static_cast<std::size_t>(
          std::min<std::uint64_t>(count, file_->base_size - file_->position)));
      LOCKSTEP_TRY(const std::size_t got, file_->base->read(file_->position, copied));
      if (got != copied.size()) {
        return make_error(ErrorCode::target_write, "the base's file is shorter than it was",
                          join(base_, file_->entry.path));
      }
      LOCKSTEP_CHECK(compose(copied));
    } else {
      LOCKSTEP_CHECK(compose(std::span(kZeros).first(count)));
    }
  }
  return {};
}

Result<void> Writer::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (!file_) return hostile("content of no file", "");
  const Entry& entry = file_->entry;
  if (file_->action == Action::metadata || file_->action == Action::adopt) {
    return hostile("content of a file whose content is not sent", entry.path);
  }
  if (offset > entry.size || data.size() > entry.size - offset) {
    return hostile("content beyond the end of the file", entry.path);
  }
  if (offset < file_->position) {
    return hostile("content that is out of order", entry.path);
  }
  LOCKSTEP_CHECK(compose_until(offset));
  return compose(data);
}

Result<std::size_t> Writer::read_back(std::uint64_t offset, std::span<std::byte> into) {
  if (!file_) return hostile("content of no file", "");
  const std::uint64_t end = std::min<std::uint64_t>(offset + into.size(), file_->entry.size);
  if (offset >= end) return std::size_t{0};
  LOCKSTEP_CHECK(compose_until(end));
  const std::string& held = file_->body == nullptr ? file_->whole : file_->tail;
  const std::uint64_t first = file_->position - held.size();
  if (offset < first) {
    return make_error(ErrorCode::internal, "what was written long ago is asked back",
                      whole_path(file_->entry.path));
  }
  std::memcpy(into.data(), held.data() + (offset - first), static_cast<std::size_t>(end - offset));
  return static_cast<std::size_t>(end - offset);
}

Result<void> Writer::finish() {
  if (!file_) return {};  // a directory
  const bool comes = file_->action == Action::create || file_->action == Action::patch;
  if (comes) LOCKSTEP_CHECK(compose_until(file_->entry.size));
  File file = std::move(*file_);
  file_.reset();
  if (file.body != nullptr) return {};  // on its way
  if (file.action == Action::adopt) {
    return hand_over(file.entry.path, true, 0,
                     [this, e = file.entry, w = file.wanted] { return adopt(e, w); });
  }
  if (file.action == Action::metadata) {
    return hand_over(file.entry.path, false, 0,
                     [this, e = file.entry, w = file.wanted]() -> Result<void> {
                       const std::string path = whole_path(e.path);
                       auto put = put_metadata(hdfs_, path, e, w, false);
                       if (!put) return write_error(put.error(), "set the metadata of", path);
                       return {};
                     });
  }
  auto bytes = std::make_shared<const std::string>(std::move(file.whole));
  return hand_over(file.entry.path, true, bytes->size(),
                   [this, bytes, e = file.entry, w = file.wanted] {
                     return upload(e, w, [&bytes] { return fill_from(bytes); });
                   });
}

// On a thread of the crew.
Result<void> Writer::upload(const Entry& entry, const Wanted& wanted,
                            const WebHdfs::Content& content) {
  const std::string path = whole_path(entry.path);
  const WebHdfs::Creation creation{wanted.mode, wanted.replication, wanted.block_size};
  auto made = hdfs_.create(path, creation, entry.size, content);
  if (!made && made.error().trouble == Trouble::exists) {
    // A directory is there: what has the path is replaced.
    if (auto removed = hdfs_.remove(path); !removed) {
      return write_error(removed.error(), "remove the directory", path);
    }
    made = hdfs_.create(path, creation, entry.size, content);
  }
  if (!made) return write_error(made.error(), "write the file", path);
  if (auto put = put_metadata(hdfs_, path, entry, wanted, true); !put) {
    return write_error(put.error(), "set the metadata of", path);
  }
  return {};
}

Result<void> check_brought(WebHdfs& hdfs, const std::string& path, const Entry& entry) {
  const auto status = hdfs.status(path);
  if (!status) return write_error(status.error(), "look at what was brought", path);
  const auto sum = hdfs.checksum(path);
  if (!sum) return write_error(sum.error(), "ask for the checksum of", path);
  if (status->length == entry.size && *sum == entry.sum) return {};
  return make_error(ErrorCode::stream_digest,
                    "what the engine brought has another size or checksum than the source: " +
                        *sum + ", not " + entry.sum,
                    path);
}

// On a thread of the crew. What was brought is believed by its checksum alone, and stands at its
// place only when it is as it should be.
Result<void> Writer::adopt(const Entry& entry, const Wanted& wanted) {
  const std::string from = join(carried_, entry.path);
  const std::string path = whole_path(entry.path);
  LOCKSTEP_CHECK(check_brought(hdfs_, from, entry));
  if (auto put = put_metadata(hdfs_, from, entry, wanted, true); !put) {
    return write_error(put.error(), "set the metadata of", from);
  }
  auto moved = hdfs_.rename(from, path);
  if (!moved && moved.error().trouble == Trouble::exists) {
    if (auto removed = hdfs_.remove(path); !removed) {
      return write_error(removed.error(), "remove what is there", path);
    }
    moved = hdfs_.rename(from, path);
  }
  if (!moved) return write_error(moved.error(), "take what was brought", from);
  return {};
}

Result<void> Writer::remove(const std::string& path) {
  if (file_) return hostile("a removal before the last file was closed", path);
  if (path.empty() || !component::path_is_clean(path)) {
    return hostile("a path that leads out", path);
  }
  LOCKSTEP_CHECK(failure());
  wait_below(path);
  return hand_over(path, true, 0, [this, whole = whole_path(path)]() -> Result<void> {
    auto removed = hdfs_.remove(whole);
    // Where what should be a directory above it is a file, nothing of that path is there.
    if (removed || removed.error().trouble == Trouble::exists) return {};
    return write_error(removed.error(), "remove", whole);
  });
}

// Nothing inside `path` is on its way, or will be.
void Writer::wait_below(const std::string& path) {
  std::unique_lock lock(mutex_);
  for (auto at = busy_.begin(); at != busy_.end();) {
    const bool inside = at->first == path || component::path_inside(at->first, path);
    if (inside) at->second.leave.reset();
    at = inside && at->second.running == 0 ? busy_.erase(at) : std::next(at);
  }
  moved_.wait(lock, [&] {
    const auto first = running_.lower_bound(path + "/");
    return first == running_.end() || !first->starts_with(path + "/");
  });
}

Result<void> Writer::leave_directory(const Entry& directory) {
  if (file_) return hostile("a directory is left before its last file was closed", directory.path);
  LOCKSTEP_CHECK(check_entry(directory));
  if (directory.kind != EntryKind::directory) return hostile("no directory", directory.path);
  LOCKSTEP_CHECK(wanted_of(directory));
  LOCKSTEP_CHECK(failure());
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [&] {
    return error_ || (!running_.contains(directory.path) && running_.size() < kMostJobs);
  });
  if (error_) return *error_;
  const auto found = busy_.find(directory.path);
  if (found != busy_.end() && found->second.running > 0) {
    found->second.leave = directory;
  } else {
    start_leave(directory);
  }
  return {};
}

void Writer::start_leave(const Entry& directory) {
  if (ending_) return;
  running_.insert(directory.path);
  crew_.run([this, directory] {
    const std::string path = whole_path(directory.path);
    auto wanted = wanted_of(directory);
    if (!wanted) {
      fail(std::move(wanted).error());
    } else if (auto put = put_metadata(hdfs_, path, directory, *wanted, false); !put) {
      fail(write_error(put.error(), "set the metadata of", path));
    }
    ended(directory.path, false, 0);
  });
}

Result<void> Writer::hand_over(const std::string& path, bool inside, std::size_t bytes,
                               std::function<Result<void>()> job) {
  {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] {
      return error_ || (!running_.contains(path) && running_.size() < kMostJobs &&
                        (held_ == 0 || held_ + bytes <= kMostHeld));
    });
    if (error_) return *error_;
    running_.insert(path);
    held_ += bytes;
    if (inside) ++busy_[parent_of(path)].running;
  }
  crew_.run([this, path, inside, bytes, job = std::move(job)] {
    if (auto done = job(); !done) fail(std::move(done).error());
    ended(path, inside, bytes);
  });
  return {};
}

void Writer::ended(const std::string& path, bool inside, std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  running_.erase(running_.find(path));
  held_ -= bytes;
  if (inside) {
    const auto found = busy_.find(parent_of(path));
    if (found != busy_.end() && --found->second.running == 0) {
      const std::optional<Entry> leave = std::move(found->second.leave);
      busy_.erase(found);
      if (leave && !error_) start_leave(*leave);
    }
  }
  moved_.notify_all();
}

Result<void> Writer::drain() {
  std::unique_lock lock(mutex_);
  moved_.wait(lock, [this] { return running_.empty() || error_; });
  if (error_) return *error_;
  return {};
}

}  // namespace lockstep::hdfs
