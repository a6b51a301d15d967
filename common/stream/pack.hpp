// Pack: the unit of the stream. A fixed header and a body of records (docs/stream.md).
//
// Packs follow from the version and the base alone, never from time or network: a sender that
// starts again makes the same packs with the same numbers.
//
// Thread rule: values; an object belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/component/target.hpp"
#include "common/error/error.hpp"
#include "common/stream/bytes.hpp"
#include "common/stream/digest.hpp"

namespace lockstep::stream {

inline constexpr std::uint64_t kExtent = 1024 * 1024;  // the longest run of bytes in a record
// A body's greatest length: one extent and some smaller records around it.
inline constexpr std::size_t kPackLimit = 1024 * 1024 + 65536;
// Raw bytes that may be under way: what a receiver asks for, and what a sender grants it.
inline constexpr std::uint64_t kLeastWindow = 4 << 20;
inline constexpr std::uint64_t kMostWindow = 32 << 20;  // half of what a channel lets wait
inline constexpr std::uint32_t kPackRecords = 4096;
// A pack ends where the walk has passed so many entries since before its first record.
inline constexpr std::uint64_t kPackWalk = 16384;

enum class Codec : std::uint8_t { none = 0, zstd = 1 };

enum class RecordKind : std::uint8_t {
  entry = 1,   // u8 action, entry (entry_codec.hpp)
  data = 2,    // u64 offset, u32 length, bytes: of the entry begun
  zeros = 3,   // u64 offset, u64 length
  close = 4,   // 32 bytes content digest: ends a regular file
  remove = 5,  // u32 length, path
};

struct PackHeader {
  Codec codec = Codec::none;
  Digest128 transfer{};  // transfer_tag()
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;  // from 1
  std::uint32_t records = 0;
  std::uint32_t raw_length = 0;
  std::uint32_t wire_length = 0;
  Digest128 body{};   // XXH3-128 of the raw body
  Digest128 chain{};  // XXH3-128 of (the chain before, body)
};
inline constexpr std::size_t kPackHeaderBytes = 88;

Digest128 transfer_tag(std::string_view transfer);
Digest128 chain_after(const Digest128& before, const Digest128& body);

Buffer encode_header(const PackHeader& header);
// `bad` names what no honest sender would have written; lengths are within the limits otherwise.
struct DecodedHeader {
  PackHeader header;
  const char* bad = nullptr;
};
DecodedHeader decode_header(std::span<const std::byte> bytes);
bool looks_like_pack(std::span<const std::byte> head);

// A pack before it is compressed.
struct RawPack {
  PackHeader header;
  std::unique_ptr<Buffer> body;
  std::uint64_t content = 0;  // bytes of data in it
};

class PackBuilder {
 public:
  using Sink = std::function<Result<void>(RawPack)>;
  PackBuilder(std::string_view transfer, std::uint64_t epoch, Sink sink);

  Result<void> entry(const Entry& entry, component::Action action);
  Result<void> data(std::uint64_t offset, std::span<const std::byte> bytes);  // at most kExtent
  Result<void> zeros(std::uint64_t offset, std::uint64_t length);
  Result<void> close(const Digest256& content);
  Result<void> remove(const std::string& path);
  Result<void> finish();  // hands on what is left
  // The walk has passed so many entries: a pack that was begun kPackWalk before is handed on, so
  // that whoever receives walks along and does not begin when the walk ends. Where it is called,
  // and how often, makes no difference to the packs, as long as it was told of all before a record.
  Result<void> passed(std::uint64_t entries);

  std::uint64_t sequence() const { return sequence_; }  // of the last pack handed on
  const Digest128& chain() const { return chain_; }

 private:
  Result<void> room(std::size_t bytes);
  Result<void> hand_on();

  Digest128 transfer_;
  std::uint64_t epoch_;
  Sink sink_;
  std::unique_ptr<Buffer> body_;
  Buffer scratch_;
  std::uint32_t records_ = 0;
  std::uint64_t passed_ = 0;    // entries
  std::uint64_t begun_at_ = 0;  // of them, before the first record
  std::uint64_t content_ = 0;
  std::uint64_t sequence_ = 0;
  Digest128 chain_{};
};

// One record, its bytes still in the pack's body.
struct Record {
  RecordKind kind = RecordKind::entry;
  component::Action action = component::Action::create;
  Entry entry;
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
  std::span<const std::byte> data;
  Digest256 content{};
  std::string path;
};

class RecordReader {
 public:
  explicit RecordReader(std::span<const std::byte> body) : in_(body) {}
  bool done() const { return in_.left() == 0; }
  // Error: stream-hostile, for whatever is not a record.
  Result<Record> next();

 private:
  ByteReader in_;
};

}  // namespace lockstep::stream
