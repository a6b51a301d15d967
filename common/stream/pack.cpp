#include "common/stream/pack.hpp"

#include "common/stream/entry_codec.hpp"

namespace lockstep::stream {
namespace {

constexpr char kMagic[4] = {'L', 'S', 'P', 'K'};
constexpr std::uint16_t kVersion = 1;

Error hostile(const std::string& what) {
  return make_error(ErrorCode::stream_hostile, "a pack holds a record that cannot be: " + what);
}

}  // namespace

Digest128 transfer_tag(std::string_view transfer) {
  return xxh3_128(std::as_bytes(std::span(transfer)));
}

Digest128 chain_after(const Digest128& before, const Digest128& body) {
  std::array<std::uint8_t, 32> both;
  std::copy(before.begin(), before.end(), both.begin());
  std::copy(body.begin(), body.end(), both.begin() + 16);
  return xxh3_128(std::as_bytes(std::span(both)));
}

Buffer encode_header(const PackHeader& header) {
  Buffer bytes;
  bytes.reserve(kPackHeaderBytes);
  ByteWriter out(bytes);
  out.raw(kMagic, sizeof kMagic);
  out.number(kVersion);
  out.number(static_cast<std::uint8_t>(header.codec));
  out.number(std::uint8_t{0});
  out.digest(header.transfer);
  out.number(header.epoch);
  out.number(header.sequence);
  out.number(header.records);
  out.number(header.raw_length);
  out.number(header.wire_length);
  out.number(std::uint32_t{0});
  out.digest(header.body);
  out.digest(header.chain);
  return bytes;
}

bool looks_like_pack(std::span<const std::byte> head) {
  return head.size() >= sizeof kMagic && std::memcmp(head.data(), kMagic, sizeof kMagic) == 0;
}

DecodedHeader decode_header(std::span<const std::byte> bytes) {
  DecodedHeader out;
  if (bytes.size() != kPackHeaderBytes || !looks_like_pack(bytes)) {
    out.bad = "header";
    return out;
  }
  ByteReader in(bytes.subspan(sizeof kMagic));
  PackHeader& header = out.header;
  const auto version = in.number<std::uint16_t>();
  const auto codec = in.number<std::uint8_t>();
  const auto flags = in.number<std::uint8_t>();
  header.codec = static_cast<Codec>(codec);
  header.transfer = in.digest<16>();
  header.epoch = in.number<std::uint64_t>();
  header.sequence = in.number<std::uint64_t>();
  header.records = in.number<std::uint32_t>();
  header.raw_length = in.number<std::uint32_t>();
  header.wire_length = in.number<std::uint32_t>();
  const auto reserved = in.number<std::uint32_t>();
  header.body = in.digest<16>();
  header.chain = in.digest<16>();
  if (version != kVersion)
    out.bad = "version";
  else if (codec > static_cast<std::uint8_t>(Codec::zstd))
    out.bad = "codec";
  else if (flags != 0 || reserved != 0)
    out.bad = "reserved bits";
  else if (header.records == 0 || header.records > kPackRecords)
    out.bad = "number of records";
  else if (header.raw_length == 0 || header.raw_length > kPackLimit)
    out.bad = "raw length";
  else if (header.wire_length == 0 || header.wire_length > kPackLimit ||
           (header.codec == Codec::none && header.wire_length != header.raw_length))
    out.bad = "wire length";
  return out;
}

PackBuilder::PackBuilder(std::string_view transfer, std::uint64_t epoch, Sink sink)
    : transfer_(transfer_tag(transfer)), epoch_(epoch), sink_(std::move(sink)) {}

Result<void> PackBuilder::hand_on() {
  if (records_ == 0) return {};
  RawPack pack;
  pack.header.transfer = transfer_;
  pack.header.epoch = epoch_;
  pack.header.sequence = ++sequence_;
  pack.header.records = records_;
  pack.header.raw_length = static_cast<std::uint32_t>(body_->size());
  pack.header.wire_length = pack.header.raw_length;
  pack.header.body = xxh3_128(*body_);
  pack.header.chain = chain_ = chain_after(chain_, pack.header.body);
  // Many small ones may be under way: each keeps no more than it holds.
  const bool small = body_->size() < kPackLimit / 4;
  pack.body = small ? std::make_unique<Buffer>(*body_) : std::move(body_);
  body_.reset();
  pack.content = content_;
  records_ = 0;
  content_ = 0;
  return sink_(std::move(pack));
}

Result<void> PackBuilder::room(std::size_t bytes) {
  if (records_ == kPackRecords || (records_ > 0 && body_->size() + bytes > kPackLimit))
    LOCKSTEP_CHECK(hand_on());
  if (!body_) {
    body_ = std::make_unique<Buffer>();
    // What a body may hold is reserved once: growing by copies would cost more than the page
    // faults of memory that a small transfer never touches.
    body_->reserve(kPackLimit);
  }
  if (records_++ == 0) begun_at_ = passed_;
  return {};
}

Result<void> PackBuilder::entry(const Entry& entry, component::Action action) {
  scratch_.clear();
  LOCKSTEP_CHECK(encode_entry(entry, WithNative::no, scratch_));
  LOCKSTEP_CHECK(room(scratch_.size() + 2));
  ByteWriter out(*body_);
  out.number(static_cast<std::uint8_t>(RecordKind::entry));
  out.number(static_cast<std::uint8_t>(action));
  out.raw(scratch_.data(), scratch_.size());
  return {};
}

Result<void> PackBuilder::data(std::uint64_t offset, std::span<const std::byte> bytes) {
  LOCKSTEP_CHECK(room(bytes.size() + 13));
  ByteWriter out(*body_);
  out.number(static_cast<std::uint8_t>(RecordKind::data));
  out.number(offset);
  out.number(static_cast<std::uint32_t>(bytes.size()));
  out.raw(bytes.data(), bytes.size());
  content_ += bytes.size();
  return {};
}

Result<void> PackBuilder::zeros(std::uint64_t offset, std::uint64_t length) {
  LOCKSTEP_CHECK(room(17));
  ByteWriter out(*body_);
  out.number(static_cast<std::uint8_t>(RecordKind::zeros));
  out.number(offset);
  out.number(length);
  return {};
}

Result<void> PackBuilder::close(const Digest256& content) {
  LOCKSTEP_CHECK(room(33));
  ByteWriter out(*body_);
  out.number(static_cast<std::uint8_t>(RecordKind::close));
  out.digest(content);
  return {};
}

Result<void> PackBuilder::remove(const std::string& path) {
  LOCKSTEP_CHECK(room(path.size() + 5));
  ByteWriter out(*body_);
  out.number(static_cast<std::uint8_t>(RecordKind::remove));
  out.counted(path);
  return {};
}

Result<void> PackBuilder::finish() { return hand_on(); }

Result<void> PackBuilder::passed(std::uint64_t entries) {
  passed_ = entries;
  return passed_ - begun_at_ >= kPackWalk ? hand_on() : Result<void>{};
}

Result<Record> RecordReader::next() {
  Record record;
  record.kind = static_cast<RecordKind>(in_.number<std::uint8_t>());
  switch (record.kind) {
    case RecordKind::entry: {
      const auto action = in_.number<std::uint8_t>();
      if (action < 1 || action > 4) return hostile("its action");
      record.action = static_cast<component::Action>(action);
      DecodedEntry decoded = decode_entry(in_, WithNative::no);
      if (decoded.bad != nullptr) return hostile(std::string("an entry's ") + decoded.bad);
      record.entry = std::move(decoded.entry);
      return record;
    }
    case RecordKind::data: {
      record.offset = in_.number<std::uint64_t>();
      record.length = in_.number<std::uint32_t>();
      if (record.length == 0 || record.length > kExtent) return hostile("the length of its data");
      record.data = in_.take(static_cast<std::size_t>(record.length));
      break;
    }
    case RecordKind::zeros:
      record.offset = in_.number<std::uint64_t>();
      record.length = in_.number<std::uint64_t>();
      if (in_.ok() && record.length == 0) return hostile("the length of its zeros");
      break;
    case RecordKind::close:
      record.content = in_.digest<32>();
      break;
    case RecordKind::remove:
      record.path = in_.counted(4096);
      if (in_.ok() && (record.path.empty() || !component::path_is_clean(record.path)))
        return hostile("the path to remove");
      break;
    default:
      return hostile("its kind");
  }
  if (!in_.ok()) return hostile("its length");
  return record;
}

}  // namespace lockstep::stream
