#include "common/stream/manifest_reader.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>

namespace lockstep::stream {
namespace {

constexpr std::size_t kBuffer = 256 * 1024;
// Where an entry's size stands in its record: after kind, mode, owner, group and mtime.
constexpr std::size_t kEntrySizeAt = 1 + 4 + 4 + 4 + 8;

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};
using HashState = std::unique_ptr<XXH3_state_t, FreeState>;

Error damaged(const std::string& path, std::string what) {
  return make_error(ErrorCode::point_damaged, "the manifest is damaged: " + std::move(what), path);
}

}  // namespace

struct ManifestReader::Impl {
  os::Disk& disk;
  std::string path;
  os::Fd file;
  std::uint64_t limit = 0;  // bytes that belong to it
  bool partial = false;
  bool whole = false;        // all its bytes are seen: the checksum can be compared
  bool from_middle = false;  // directories end whose beginning was not decoded
  WithNative native = WithNative::no;

  Buffer buffer;
  std::size_t begin = 0;  // unread bytes: [begin, end) of buffer
  std::size_t end = 0;
  std::uint64_t read_to = 0;  // file offset of buffer[end]
  HashState hash{XXH3_createState()};

  At at = At::end;
  bool started = false;
  Entry entry;
  std::uint64_t record_offset = 0;
  std::uint64_t leaves_left = 0;
  bool tail_read = true;
  Tail tail;
  std::string last_path;
  bool any = false;
  std::vector<std::string> open;  // directories, for the paths of leave records
  ManifestSummary summary;

  Impl(os::Disk& d, std::string p) : disk(d), path(std::move(p)), buffer(kBuffer) {
    XXH3_128bits_reset(hash.get());
  }

  std::uint64_t offset() const { return read_to - (end - begin); }
  std::uint64_t remaining() const { return limit - offset(); }

  // Makes at least `count` bytes available; false at the limit.
  Result<bool> need(std::size_t count) {
    if (end - begin >= count) return true;
    if (remaining() < count) return false;
    if (buffer.size() < count) buffer.resize(count);
    std::copy(buffer.begin() + static_cast<std::ptrdiff_t>(begin),
              buffer.begin() + static_cast<std::ptrdiff_t>(end), buffer.begin());
    end -= begin;
    begin = 0;
    while (end < count) {
      const auto room =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size() - end, limit - read_to));
      auto got = disk.read_at(file.get(), read_to, std::span(buffer).subspan(end, room));
      if (!got) return from_errno(ErrorCode::io, got.error().number, "read the manifest", path);
      if (*got == 0) return false;
      end += *got;
      read_to += *got;
    }
    return true;
  }

  std::span<const std::byte> take(std::size_t count) {
    const auto out = std::span<const std::byte>(buffer).subspan(begin, count);
    XXH3_128bits_update(hash.get(), out.data(), out.size());
    begin += count;
    return out;
  }

  Error truncated() const { return damaged(path, "it ends early"); }

  Result<void> open_file() {
    auto fd = disk.open(os::kCwd, path, O_RDONLY);
    if (!fd) {
      return from_errno(fd.error().number == ENOENT ? ErrorCode::not_found : ErrorCode::io,
                        fd.error().number, "open the manifest", path);
    }
    file = std::move(*fd);
    auto info = disk.stat(file.get());
    if (!info) return from_errno(ErrorCode::io, info.error().number, "stat the manifest", path);
    limit = static_cast<std::uint64_t>(info->st_size);
    return {};
  }

  Result<void> read_header() {
    LOCKSTEP_TRY(const bool there, need(kManifestHeaderBytes));
    if (!there) return truncated();
    ByteReader in(take(kManifestHeaderBytes));
    const auto magic = in.take(sizeof kManifestMagic);
    const auto version = in.number<std::uint32_t>();
    const auto flags = in.number<std::uint32_t>();
    if (std::memcmp(magic.data(), kManifestMagic, sizeof kManifestMagic) != 0)
      return damaged(path, "this is not a manifest");
    if (version != kManifestVersion)
      return damaged(path, "its format version is " + std::to_string(version));
    if ((flags & ~kManifestHasNative) != 0) return damaged(path, "its flags");
    native = (flags & kManifestHasNative) != 0 ? WithNative::yes : WithNative::no;
    return {};
  }

  Result<void> read_tail() {
    if (tail_read) return {};
    while (leaves_left > 0) {
      const auto batch =
          static_cast<std::size_t>(std::min<std::uint64_t>(leaves_left, kBuffer / 16));
      LOCKSTEP_TRY(const bool there, need(batch * 16));
      if (!there) return truncated();
      take(batch * 16);
      leaves_left -= batch;
    }
    const bool regular = entry.kind == component::EntryKind::regular;
    const std::size_t size = regular ? 64 : 32;
    LOCKSTEP_TRY(const bool there, need(size));
    if (!there) return truncated();
    ByteReader in(take(size));
    if (regular) tail.content = in.digest<32>();
    tail.digest = in.digest<32>();
    tail_read = true;
    return {};
  }

  Result<At> read_record() {
    record_offset = offset();
    LOCKSTEP_TRY(const bool tag_there, need(1));
    if (!tag_there) return partial ? Result<At>(At::end) : Result<At>(truncated());
    const auto tag = static_cast<ManifestTag>(buffer[begin]);
    tail = {};
    if (tag == ManifestTag::end) return read_end();
    if (tag == ManifestTag::leave) {
      LOCKSTEP_TRY(const bool there, need(1 + 8 + 32));
      if (!there) return truncated();
      ByteReader in(take(1 + 8 + 32));
      in.number<std::uint8_t>();
      tail.children = in.number<std::uint64_t>();
      tail.digest = in.digest<32>();
      tail_read = true;
      leaves_left = 0;
      entry = Entry{};
      entry.kind = component::EntryKind::directory;
      if (!open.empty()) {
        entry.path = open.back();
        open.pop_back();
      } else if (!from_middle && (whole || partial)) {
        return damaged(path, "a directory ends that had not begun");
      }
      return At::leave;
    }
    if (tag != ManifestTag::entry) return damaged(path, "a record of an unknown kind");
    LOCKSTEP_TRY(const bool head, need(1 + 4));
    if (!head) return truncated();
    std::uint32_t length = 0;
    std::memcpy(&length, buffer.data() + begin + 1, sizeof length);
    if (length > kMaxEntryBytes) return damaged(path, "an entry's length");
    LOCKSTEP_TRY(const bool body, need(1 + 4 + std::size_t{length}));
    if (!body) return truncated();
    ByteReader in(take(1 + 4 + std::size_t{length}).subspan(5));
    DecodedEntry decoded = decode_entry(in, native);
    if (decoded.bad != nullptr) return damaged(path, std::string("an entry's ") + decoded.bad);
    if (!in.done()) return damaged(path, "an entry's length");
    entry = std::move(decoded.entry);
    if (any && !component::path_less(last_path, entry.path))
      return damaged(path, "its entries are out of order");
    any = true;
    last_path = entry.path;
    const bool directory = entry.kind == component::EntryKind::directory;
    if (directory) open.push_back(entry.path);
    leaves_left = stored_leaves(entry);
    tail_read = directory;
    return At::entry;
  }

  // What a directory that is passed as bytes needs on its way. Records are small and many: what was
  // looked at goes to the checksum and to the sink a bufferful at a time.
  struct Passing {
    const Sink& sink;
    const OnEntry& hard_link;
    Inside inside{};
    std::uint64_t depth = 1;
    std::size_t seen = 0;  // bytes from `begin` on that were looked at and not yet handed on
  };

  Result<void> hand_on(Passing& passing) {
    if (passing.seen == 0) return {};
    const auto bytes = take(passing.seen);
    passing.seen = 0;
    return passing.sink(bytes);
  }

  // `count` bytes after what was looked at.
  Result<std::span<const std::byte>> look(Passing& passing, std::size_t count) {
    if (end - begin < passing.seen + count) {
      LOCKSTEP_CHECK(hand_on(passing));
      LOCKSTEP_TRY(const bool there, need(count));
      if (!there) return truncated();
    }
    return std::span<const std::byte>(buffer).subspan(begin + passing.seen, count);
  }

  Result<void> pass_leave(Passing& passing) {
    LOCKSTEP_TRY(const auto record, look(passing, 1 + 8 + 32));
    ByteReader in(record.subspan(1));
    passing.inside.tail.children = in.number<std::uint64_t>();
    passing.inside.tail.digest = in.digest<32>();
    passing.seen += record.size();
    --passing.depth;
    return {};
  }

  Result<void> pass_entry(Passing& passing) {
    LOCKSTEP_TRY(const auto head, look(passing, 1 + 4));
    std::uint32_t length = 0;
    std::memcpy(&length, head.data() + 1, sizeof length);
    if (length < kEntrySizeAt + 8 || length > kMaxEntryBytes)
      return damaged(path, "an entry's length");
    LOCKSTEP_TRY(const auto record, look(passing, 1 + 4 + std::size_t{length}));
    Entry seen;
    seen.kind = static_cast<component::EntryKind>(record[5]);
    std::memcpy(&seen.size, record.data() + 5 + kEntrySizeAt, sizeof seen.size);
    if (seen.kind == component::EntryKind::hard_link && passing.hard_link) {
      ByteReader in(record.subspan(5));
      const DecodedEntry decoded = decode_entry(in, native);
      if (decoded.bad != nullptr) return damaged(path, std::string("an entry's ") + decoded.bad);
      LOCKSTEP_CHECK(passing.hard_link(decoded.entry, passing.inside.entries));
    }
    passing.seen += record.size();
    ++passing.inside.entries;
    if (seen.kind == component::EntryKind::directory) {
      ++passing.depth;
      return {};
    }
    const bool summed = static_cast<std::uint8_t>(seen.kind) == kSummedFile;
    const bool regular = summed || seen.kind == component::EntryKind::regular;
    if (regular) passing.inside.bytes += seen.size;
    for (std::uint64_t rest = stored_leaves(seen) * 16 + (regular ? 64 : 32); rest > 0;) {
      const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(rest, kBuffer));
      LOCKSTEP_CHECK(look(passing, some));
      passing.seen += some;
      rest -= some;
    }
    return {};
  }

  Result<At> read_end() {
    LOCKSTEP_TRY(const bool there, need(kManifestTrailerBytes));
    if (!there || remaining() != kManifestTrailerBytes) return damaged(path, "its end");
    ByteReader in(take(kManifestTrailerBytes - 16));
    in.number<std::uint8_t>();
    summary.entries = in.number<std::uint64_t>();
    summary.bytes = in.number<std::uint64_t>();
    summary.root = in.digest<32>();
    XXH128_canonical_t made;
    XXH128_canonicalFromHash(&made, XXH3_128bits_digest(hash.get()));
    const auto stored = take(16);
    if (whole && std::memcmp(made.digest, stored.data(), 16) != 0)
      return damaged(path, "its checksum");
    return At::end;
  }
};

ManifestReader::ManifestReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ManifestReader::ManifestReader(ManifestReader&&) noexcept = default;
ManifestReader& ManifestReader::operator=(ManifestReader&&) noexcept = default;
ManifestReader::~ManifestReader() = default;

Result<ManifestReader> ManifestReader::open(os::Disk& disk, const std::string& path) {
  auto impl = std::make_unique<Impl>(disk, path);
  LOCKSTEP_CHECK(impl->open_file());
  LOCKSTEP_CHECK(impl->read_header());
  impl->whole = true;
  return ManifestReader(std::move(impl));
}

Result<std::unique_ptr<ManifestReader::Impl>> ManifestReader::opened_for(os::Disk& disk,
                                                                         const std::string& path,
                                                                         std::uint64_t offset) {
  auto impl = std::make_unique<Impl>(disk, path);
  LOCKSTEP_CHECK(impl->open_file());
  LOCKSTEP_CHECK(impl->read_header());
  if (offset < kManifestHeaderBytes || offset > impl->limit)
    return make_error(ErrorCode::resume_refused, "the base's manifest is shorter than it was",
                      path);
  return impl;
}

Result<ManifestReader> ManifestReader::open_at(os::Disk& disk, const std::string& path,
                                               std::uint64_t offset) {
  LOCKSTEP_TRY(auto impl, opened_for(disk, path, offset));
  impl->begin = impl->end = 0;
  impl->read_to = offset;
  return ManifestReader(std::move(impl));
}

Result<ManifestReader> ManifestReader::go_on_at(os::Disk& disk, const std::string& path,
                                                std::uint64_t offset) {
  LOCKSTEP_TRY(auto impl, opened_for(disk, path, offset));
  while (impl->offset() < offset) {
    LOCKSTEP_TRY(const bool there, impl->need(1));
    if (!there) return impl->truncated();
    impl->take(static_cast<std::size_t>(
        std::min<std::uint64_t>(impl->end - impl->begin, offset - impl->offset())));
  }
  impl->whole = true;
  impl->from_middle = true;
  return ManifestReader(std::move(impl));
}

Result<ManifestReader> ManifestReader::open_partial(os::Disk& disk, const std::string& path,
                                                    std::uint64_t limit) {
  auto impl = std::make_unique<Impl>(disk, path);
  LOCKSTEP_CHECK(impl->open_file());
  if (limit > impl->limit)
    return make_error(ErrorCode::resume_refused, "the partial manifest is shorter than it was",
                      path);
  impl->limit = limit;
  LOCKSTEP_CHECK(impl->read_header());
  impl->partial = true;
  return ManifestReader(std::move(impl));
}

Result<ManifestReader::At> ManifestReader::next() {
  if (impl_->started && impl_->at == At::end) return At::end;
  LOCKSTEP_CHECK(impl_->read_tail());
  impl_->started = true;
  LOCKSTEP_TRY(impl_->at, impl_->read_record());
  return impl_->at;
}

Result<ManifestReader::At> ManifestReader::next_entry() {
  while (true) {
    LOCKSTEP_TRY(const At at, next());
    if (at != At::leave) return at;
  }
}

ManifestReader::At ManifestReader::at() const { return impl_->at; }
bool ManifestReader::has_native() const { return impl_->native == WithNative::yes; }
const Entry& ManifestReader::entry() const { return impl_->entry; }
std::uint64_t ManifestReader::record_offset() const { return impl_->record_offset; }
std::uint64_t ManifestReader::leaves_left() const { return impl_->leaves_left; }
bool ManifestReader::exhausted() const { return impl_->partial && impl_->remaining() == 0; }

Result<Digest128> ManifestReader::read_leaf() {
  LOCKSTEP_TRY(const bool there, impl_->need(16));
  if (!there || impl_->leaves_left == 0) return impl_->truncated();
  --impl_->leaves_left;
  ByteReader in(impl_->take(16));
  return in.digest<16>();
}

Result<ManifestReader::Tail> ManifestReader::tail() {
  LOCKSTEP_CHECK(impl_->read_tail());
  return impl_->tail;
}

Result<ManifestReader::Inside> ManifestReader::pass_directory(const Sink& sink,
                                                              const OnEntry& hard_link) {
  Impl::Passing passing{.sink = sink, .hard_link = hard_link};
  while (passing.depth > 0) {
    LOCKSTEP_TRY(const auto tag, impl_->look(passing, 1));
    switch (static_cast<ManifestTag>(tag[0])) {
      case ManifestTag::leave:
        LOCKSTEP_CHECK(impl_->pass_leave(passing));
        break;
      case ManifestTag::entry:
        LOCKSTEP_CHECK(impl_->pass_entry(passing));
        break;
      default:
        return damaged(impl_->path, "a record of an unknown kind");
    }
  }
  LOCKSTEP_CHECK(impl_->hand_on(passing));
  impl_->open.pop_back();
  return passing.inside;
}

const ManifestSummary& ManifestReader::summary() const { return impl_->summary; }

}  // namespace lockstep::stream
