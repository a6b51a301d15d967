#include "common/stream/intake.hpp"

#include <chrono>

#include "common/stream/compress.hpp"

namespace lockstep::stream {
namespace {

constexpr Nanos kWait = seconds(1);

Error hostile(const std::string& what) {
  return make_error(ErrorCode::stream_hostile, "the sender sent " + what);
}

}  // namespace

Intake::Intake(Channel& channel, const IntakeOptions& options)
    : channel_(channel),
      options_(options),
      sequence_(options.sequence),
      chain_(options.chain),
      thread_([this](const std::stop_token& stop) { take_in(stop); }) {}

Intake::~Intake() { thread_.request_stop(); }

void Intake::restart() {
  const std::lock_guard lock(mutex_);
  sequence_ = 0;
  chain_ = {};
  received_ = 0;
  released_ = 0;
}

Result<Item> Intake::check(Frame frame, Decompressor& decompressor) {
  if (!looks_like_pack(frame.head.bytes())) {
    auto control = Control::decode(frame.head.text());
    if (!control || frame.body.size() > 0) return hostile("what is neither pack nor control frame");
    return Item(std::move(*control));
  }
  const DecodedHeader decoded = decode_header(frame.head.bytes());
  if (decoded.bad != nullptr) return hostile(std::string("a pack with a wrong ") + decoded.bad);
  const PackHeader& header = decoded.header;
  if (header.transfer != options_.transfer) return hostile("a pack of another transfer");
  if (header.epoch != options_.epoch) return hostile("a pack of another epoch");
  if (header.wire_length != frame.body.size())
    return hostile("a pack of another length than it says");
  {
    const std::lock_guard lock(mutex_);
    if (header.sequence != sequence_ + 1) return hostile("a pack out of order");
    received_ += header.raw_length;
    // The credit limits what waits here decompressed, too.
    if (received_ - released_.load() > options_.window + kPackLimit)
      return hostile("more than its credit");
  }
  CheckedPack pack;
  pack.header = header;
  if (header.codec == Codec::zstd) {
    pack.raw = decompressor.decompress(frame.body.bytes(), header.raw_length);
    if (!pack.raw) return hostile("a pack that cannot be decompressed to the length it says");
  } else {
    pack.wire = std::move(frame.body);
  }
  if (xxh3_128(pack.body()) != header.body)
    return make_error(ErrorCode::stream_digest,
                      "a pack arrived with another content than was sent");
  const std::lock_guard lock(mutex_);
  chain_ = chain_after(chain_, header.body);
  if (chain_ != header.chain)
    return make_error(ErrorCode::stream_digest, "the packs do not follow on each other");
  sequence_ = header.sequence;
  return Item(std::move(pack));
}

// The component may be busy for long (a first tree made from the base, a sync, a check of a whole
// database); what it does then has no steps to see.
void Intake::tell_of_work() {
  const auto now = std::chrono::steady_clock::now();
  if (idle_.load() || now - told_ < std::chrono::seconds(2)) return;
  told_ = now;
  static_cast<void>(channel_.send({Control("working").encode(), {}}));
}

void Intake::take_in(const std::stop_token& stop) {
  Decompressor decompressor;
  while (!stop.stop_requested()) {
    auto frame = channel_.receive(kWait, stop);
    tell_of_work();
    if (frame && !*frame) continue;
    auto item = frame ? check(std::move(**frame), decompressor) : Result<Item>(frame.error());
    {
      const std::lock_guard lock(mutex_);
      if (item)
        items_.push_back(std::move(*item));
      else
        error_ = item.error();
    }
    changed_.notify_all();
    if (!item) return;
  }
}

Result<std::vector<Record>> CheckedPack::records() const {
  std::vector<Record> out;
  RecordReader reader(body());
  while (!reader.done() && out.size() < header.records) {
    LOCKSTEP_TRY(Record record, reader.next());
    out.push_back(std::move(record));
  }
  if (!reader.done() || out.size() != header.records)
    return make_error(ErrorCode::stream_hostile,
                      "a pack of another number of records than it says");
  return out;
}

Result<std::optional<Item>> Intake::next(Nanos timeout, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  idle_.store(true);
  changed_.wait_for(lock, stop, std::chrono::nanoseconds(timeout.count),
                    [this] { return !items_.empty() || error_; });
  idle_.store(false);
  if (items_.empty()) {
    if (error_) return *error_;
    return std::optional<Item>();
  }
  Item item = std::move(items_.front());
  items_.pop_front();
  return std::optional<Item>(std::move(item));
}

}  // namespace lockstep::stream
