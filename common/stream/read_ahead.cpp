#include "common/stream/read_ahead.hpp"

#include <algorithm>
#include <utility>

#include "common/stream/digest.hpp"
#include "common/stream/entry_codec.hpp"

namespace lockstep::stream {
namespace {

// A batch is full with so many entries, or when another small file might not fit in so many bytes.
constexpr std::size_t kEntries = 64;
constexpr std::size_t kBytes = 512 * 1024;
constexpr std::size_t kWeight = 256 * 1024;  // of what is not content: see weight_of
constexpr std::size_t kAhead = 8;            // batches listed and not taken
constexpr int kReaders = 4;

// The memory that an entry takes beside its content, where it can be much.
std::size_t weight_of(const Entry& entry) {
  std::size_t weight = entry.link_target.size() + entry.holes.size() * sizeof(component::Extent);
  for (const component::Xattr& xattr : entry.xattrs)
    weight += xattr.name.size() + xattr.value.size();
  return weight;
}

bool is_content(const component::Change& change) {
  return change.now && change.now->kind == component::EntryKind::regular && change.now->size > 0;
}

bool is_small_file(const component::Change& change) {
  return is_content(change) && change.now->size <= kLeaf;
}

}  // namespace

ReadAhead::ReadAhead(component::Source& source, List list, Content content, std::stop_token stop,
                     std::function<void()> moved, SumOf sum_of)
    : source_(source),
      list_(std::move(list)),
      content_(content),
      stop_(std::move(stop)),
      moved_(std::move(moved)),
      sum_of_(std::move(sum_of)) {
  threads_.emplace_back([this](const std::stop_token& token) { walk(token); });
  if (content_ == Content::of_none && !sum_of_) return;
  for (int i = 0; i < kReaders; ++i)
    threads_.emplace_back([this](const std::stop_token& token) { read(token); });
}

ReadAhead::~ReadAhead() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

std::unique_ptr<ReadAhead::Batch> ReadAhead::list_some(const std::stop_token& stop) {
  std::unique_ptr<Batch> batch;
  {
    const std::lock_guard lock(mutex_);
    if (!spare_.empty()) {
      batch = std::move(spare_.back());
      spare_.pop_back();
    }
  }
  if (!batch) batch = std::make_unique<Batch>();
  batch->listed.clear();
  batch->bytes = 0;
  batch->to_read = false;
  std::size_t weight = 0;
  while (batch->listed.size() < kEntries && batch->bytes + kLeaf <= kBytes && weight < kWeight &&
         !stop.stop_requested()) {
    auto next = list_();
    if (!next || !*next) {
      batch->last = true;
      if (!next) batch->error = next.error();
      break;
    }
    Listed listed;
    listed.change = std::move(**next);
    if (listed.change.now) {
      normalise(*listed.change.now);
      weight += weight_of(*listed.change.now);
    }
    if (moved_) moved_();
    if (content_ == Content::of_small_files && is_small_file(listed.change)) {
      listed.small = true;
      listed.at = batch->bytes;
      listed.length = static_cast<std::size_t>(listed.change.now->size);
      batch->bytes += listed.length;
    }
    listed.summed = sum_of_ && is_content(listed.change);
    batch->to_read = batch->to_read || listed.small || listed.summed;
    batch->listed.push_back(std::move(listed));
  }
  batch->state = batch->to_read ? Batch::State::listed : Batch::State::ready;
  return batch;
}

void ReadAhead::walk(const std::stop_token& stop) {
  for (bool last = false; !last;) {
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return batches_.size() < kAhead; })) return;
    }
    auto batch = list_some(stop);
    last = batch->last;
    {
      const std::lock_guard lock(mutex_);
      batches_.push_back(std::move(batch));
    }
    changed_.notify_all();
  }
}

void ReadAhead::look_at(Batch& batch, Listed& listed) {
  if (listed.small) read_small(batch, listed);
  if (listed.summed) listed.sum = sum_of_(*listed.change.now);
  if ((listed.small || listed.summed) && moved_) moved_();
}

void ReadAhead::read_small(Batch& batch, Listed& listed) {
  const auto into = std::span(batch.content).subspan(listed.at, listed.length);
  auto reader = source_.open(*listed.change.now);
  if (!reader) {
    listed.error = reader.error();
    return;
  }
  auto got = (*reader)->read(0, into);
  if (!got)
    listed.error = got.error();
  else if (*got != into.size())
    listed.error = make_error(ErrorCode::source_read, "the file is shorter than its size says",
                              listed.change.now->path);
}

void ReadAhead::read(const std::stop_token& stop) {
  while (true) {
    Batch* batch = nullptr;
    {
      std::unique_lock lock(mutex_);
      const bool found = changed_.wait(lock, stop, [&] {
        const auto one = std::find_if(batches_.begin(), batches_.end(), [](const auto& any) {
          return any->state == Batch::State::listed;
        });
        if (one == batches_.end()) return false;
        batch = one->get();
        batch->state = Batch::State::claimed;
        return true;
      });
      if (!found) return;
    }
    // Nobody takes it before it is ready.
    if (batch->content.size() < batch->bytes) batch->content.resize(batch->bytes);
    for (Listed& listed : batch->listed) {
      if (!stop.stop_requested()) look_at(*batch, listed);
    }
    {
      const std::lock_guard lock(mutex_);
      batch->state = Batch::State::ready;
    }
    changed_.notify_all();
  }
}

Result<std::optional<ReadAhead::Item>> ReadAhead::next() {
  while (!taken_ || at_ == taken_->listed.size()) {
    if (taken_ && taken_->error) return *taken_->error;
    if (taken_ && taken_->last) return std::optional<Item>();
    std::unique_lock lock(mutex_);
    if (taken_) spare_.push_back(std::move(taken_));
    const bool ready = changed_.wait(lock, stop_, [this] {
      return !batches_.empty() && batches_.front()->state == Batch::State::ready;
    });
    if (!ready) return make_error(ErrorCode::cancelled, "sending was stopped");
    taken_ = std::move(batches_.front());
    batches_.pop_front();
    at_ = 0;
    lock.unlock();
    changed_.notify_all();
  }
  Listed& listed = taken_->listed[at_++];
  Item item{std::move(listed.change), {}, std::move(listed.sum)};
  if (listed.error)
    item.content = *listed.error;
  else if (listed.small)
    item.content = std::span<const std::byte>(taken_->content).subspan(listed.at, listed.length);
  return std::optional<Item>(std::move(item));
}

}  // namespace lockstep::stream
