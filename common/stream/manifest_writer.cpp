#include "common/stream/manifest_writer.hpp"

#include <fcntl.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>

#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/stream/tree_digest.hpp"

namespace lockstep::stream {
namespace {

constexpr std::size_t kBuffer = 256 * 1024;

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

}  // namespace

struct ManifestWriter::Impl {
  os::Disk& disk;
  std::string path;
  os::Fd file;
  WithNative native;
  OnLeave on_leave;

  Buffer buffer;
  std::uint64_t written = 0;  // bytes of the file before buffer
  std::unique_ptr<XXH3_state_t, FreeState> hash{XXH3_createState()};

  TreeDigest tree;
  std::vector<bool> touched;             // of each open directory
  std::optional<Entry> current;          // begun and not ended; never a directory
  std::optional<ContentDigest> content;  // where its leaves are stored
  std::uint64_t leaves = 0;
  ManifestSummary summary;

  Impl(os::Disk& d, std::string p, WithNative n) : disk(d), path(std::move(p)), native(n) {
    XXH3_128bits_reset(hash.get());
    buffer.reserve(kBuffer + kMaxEntryBytes);
  }

  Result<void> flush() {
    if (buffer.empty()) return {};
    auto done = disk.write_at(file.get(), written, buffer);
    if (!done) {
      return from_errno(done.error().number == ENOSPC ? ErrorCode::no_space : ErrorCode::io,
                        done.error().number, "write the manifest", path);
    }
    XXH3_128bits_update(hash.get(), buffer.data(), buffer.size());
    written += buffer.size();
    buffer.clear();
    return {};
  }
  Result<void> flush_if_full() { return buffer.size() >= kBuffer ? flush() : Result<void>{}; }

  // What begin, leaf, end and leave do to the state, apart from the bytes: a resumed writer goes
  // through the same.
  void account_begin(const Entry& entry, bool is_touched) {
    ++summary.entries;
    if (entry.kind == component::EntryKind::directory) {
      tree.enter(entry);
      touched.push_back(is_touched);
      return;
    }
    if (entry.kind == component::EntryKind::regular) summary.bytes += entry.size;
    current = entry;
    leaves = 0;
    content.reset();
    if (stored_leaves(entry) > 0) content.emplace(entry.size);
  }
  void account_leaf(const Digest128& digest) {
    content->add(digest);
    ++leaves;
  }
  void account_end(const Digest256& digest) {
    tree.add(current->path, digest);
    current.reset();
    content.reset();
  }
  TreeDigest::Left account_leave() {
    touched.pop_back();
    return tree.leave();
  }

  Result<void> put_entry(const Entry& entry) {
    const std::size_t start = buffer.size();
    ByteWriter out(buffer);
    out.number(static_cast<std::uint8_t>(ManifestTag::entry));
    out.number(std::uint32_t{0});
    if (auto encoded = encode_entry(entry, native, buffer); !encoded) {
      buffer.resize(start);
      return encoded;
    }
    const auto length = static_cast<std::uint32_t>(buffer.size() - start - 5);
    std::memcpy(buffer.data() + start + 1, &length, sizeof length);
    return {};
  }

  Result<void> leave() {
    if (on_leave) LOCKSTEP_CHECK(on_leave(tree.innermost(), touched.back()));
    const TreeDigest::Left left = account_leave();
    ByteWriter out(buffer);
    out.number(static_cast<std::uint8_t>(ManifestTag::leave));
    out.number(left.children);
    out.digest(left.digest);
    return flush_if_full();
  }

  Result<void> replay(std::uint64_t offset);
};

// Rebuilds the state from the first `offset` bytes.
Result<void> ManifestWriter::Impl::replay(std::uint64_t offset) {
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::open_partial(disk, path, offset));
  while (true) {
    LOCKSTEP_TRY(const ManifestReader::At at, reader.next());
    if (at == ManifestReader::At::end) break;
    if (at == ManifestReader::At::leave) {
      LOCKSTEP_TRY(const ManifestReader::Tail tail, reader.tail());
      if (tree.depth() == 0 || account_leave().digest != tail.digest)
        return make_error(ErrorCode::resume_refused, "the partial manifest's digests differ", path);
      continue;
    }
    account_begin(reader.entry(), false);
    if (!current) continue;
    while (reader.leaves_left() > 0 && !reader.exhausted()) {
      LOCKSTEP_TRY(const Digest128 leaf, reader.read_leaf());
      account_leaf(leaf);
    }
    // The last entry may have been under way: nothing stands after its leaves.
    if (reader.exhausted()) break;
    LOCKSTEP_TRY(const ManifestReader::Tail tail, reader.tail());
    account_end(tail.digest);
  }
  return {};
}

ManifestWriter::ManifestWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ManifestWriter::ManifestWriter(ManifestWriter&&) noexcept = default;
ManifestWriter& ManifestWriter::operator=(ManifestWriter&&) noexcept = default;
ManifestWriter::~ManifestWriter() = default;

Result<ManifestWriter> ManifestWriter::create(os::Disk& disk, const std::string& path,
                                              WithNative native) {
  auto impl = std::make_unique<Impl>(disk, path, native);
  auto fd = disk.open(os::kCwd, path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  if (!fd) return from_errno(ErrorCode::io, fd.error().number, "make the manifest", path);
  impl->file = std::move(*fd);
  ByteWriter out(impl->buffer);
  out.raw(kManifestMagic, sizeof kManifestMagic);
  out.number(kManifestVersion);
  out.number(native == WithNative::yes ? kManifestHasNative : 0U);
  return ManifestWriter(std::move(impl));
}

Result<ManifestWriter> ManifestWriter::resume(os::Disk& disk, const std::string& path,
                                              std::uint64_t offset, WithNative native) {
  auto impl = std::make_unique<Impl>(disk, path, native);
  auto replayed = impl->replay(offset);
  if (!replayed)
    return make_error(ErrorCode::resume_refused,
                      "the partial manifest cannot be continued: " + replayed.error().what, path);
  auto fd = disk.open(os::kCwd, path, O_RDWR);
  if (!fd) return from_errno(ErrorCode::io, fd.error().number, "open the manifest", path);
  impl->file = std::move(*fd);
  if (auto cut = disk.truncate(impl->file.get(), offset); !cut)
    return from_errno(ErrorCode::io, cut.error().number, "truncate the manifest", path);
  // The checksum is over all bytes, so those that stand are hashed again.
  Buffer chunk(kBuffer);
  while (impl->written < offset) {
    const auto want =
        static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), offset - impl->written));
    auto got = disk.read_at(impl->file.get(), impl->written, std::span(chunk).first(want));
    if (!got || *got == 0)
      return make_error(ErrorCode::resume_refused, "the partial manifest cannot be read", path);
    XXH3_128bits_update(impl->hash.get(), chunk.data(), *got);
    impl->written += *got;
  }
  return ManifestWriter(std::move(impl));
}

void ManifestWriter::on_leave(OnLeave handler) { impl_->on_leave = std::move(handler); }

Result<bool> ManifestWriter::leave_until(const std::string& path) {
  while (impl_->tree.must_leave(path)) LOCKSTEP_CHECK(impl_->leave());
  return impl_->tree.fits(path);
}

void ManifestWriter::touch() {
  if (!impl_->touched.empty()) impl_->touched.back() = true;
}

void ManifestWriter::touch(const std::string& path) {
  for (std::size_t i = 0; i < impl_->touched.size(); ++i) {
    if (impl_->tree.open_directory(i).path == path) impl_->touched[i] = true;
  }
}

std::vector<std::string> ManifestWriter::touched() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < impl_->touched.size(); ++i) {
    if (impl_->touched[i]) out.push_back(impl_->tree.open_directory(i).path);
  }
  return out;
}

Result<void> ManifestWriter::begin(const Entry& entry, bool touched) {
  if (impl_->current)
    return make_error(ErrorCode::internal, "an entry begins before the last one ended", entry.path);
  LOCKSTEP_CHECK(impl_->put_entry(entry));
  impl_->account_begin(entry, touched);
  return impl_->flush_if_full();
}

Result<void> ManifestWriter::leaf(const Digest128& digest) {
  if (!impl_->content)
    return make_error(ErrorCode::internal, "a leaf of what has none", impl_->path);
  impl_->account_leaf(digest);
  ByteWriter(impl_->buffer).digest(digest);
  return impl_->flush_if_full();
}

std::uint64_t ManifestWriter::leaves() const { return impl_->leaves; }

Result<Digest256> ManifestWriter::end(const Digest256& content) {
  if (!impl_->current)
    return make_error(ErrorCode::internal, "an entry ends that had not begun", impl_->path);
  if (impl_->content && impl_->leaves != stored_leaves(*impl_->current))
    return make_error(ErrorCode::internal, "a file's leaves are not all there",
                      impl_->current->path);
  const Digest256 made = impl_->content ? impl_->content->finish() : content;
  const Digest256 digest = entry_digest(*impl_->current, made);
  ByteWriter out(impl_->buffer);
  if (impl_->current->kind == component::EntryKind::regular) out.digest(made);
  out.digest(digest);
  impl_->account_end(digest);
  LOCKSTEP_CHECK(impl_->flush_if_full());
  return made;
}

bool ManifestWriter::entry_open() const { return impl_->current.has_value(); }
const Entry& ManifestWriter::open_entry() const { return *impl_->current; }

Result<void> ManifestWriter::copy(ManifestReader& reader, const Entry& as) {
  Impl& impl = *impl_;
  LOCKSTEP_CHECK(impl.put_entry(as));
  if (as.kind == component::EntryKind::directory) {
    impl.account_begin(as, false);
    return impl.flush_if_full();
  }
  ByteWriter out(impl.buffer);
  while (reader.leaves_left() > 0) {
    LOCKSTEP_TRY(const Digest128 digest, reader.read_leaf());
    out.digest(digest);
    LOCKSTEP_CHECK(impl.flush_if_full());
  }
  LOCKSTEP_TRY(const ManifestReader::Tail tail, reader.tail());
  const bool regular = as.kind == component::EntryKind::regular;
  if (regular) out.digest(tail.content);
  out.digest(tail.digest);
  ++impl.summary.entries;
  if (regular) impl.summary.bytes += as.size;
  impl.tree.add(as.path, tail.digest);
  return impl.flush_if_full();
}

bool ManifestWriter::copies_trees_of(const ManifestReader& reader) const {
  return reader.has_native() == (impl_->native == WithNative::yes);
}

Result<void> ManifestWriter::copy_tree(ManifestReader& reader, const OnHardLink& hard_link,
                                       const std::function<Result<void>()>& passed) {
  Impl& impl = *impl_;
  if (reader.entry().kind != component::EntryKind::directory) return copy(reader);
  LOCKSTEP_CHECK(impl.put_entry(reader.entry()));
  const std::string path = reader.entry().path;
  const std::uint64_t inside_from = ++impl.summary.entries;
  ManifestReader::OnEntry on_link;
  if (hard_link) {
    on_link = [&](const Entry& entry, std::uint64_t before) -> Result<void> {
      impl.summary.entries = inside_from + before;
      return hard_link(entry);
    };
  }
  LOCKSTEP_TRY(const ManifestReader::Inside inside,
               reader.pass_directory(
                   [&impl, &passed](std::span<const std::byte> bytes) -> Result<void> {
                     if (passed) LOCKSTEP_CHECK(passed());
                     impl.buffer.insert(impl.buffer.end(), bytes.begin(), bytes.end());
                     return impl.flush_if_full();
                   },
                   on_link));
  impl.summary.entries = inside_from + inside.entries;
  impl.summary.bytes += inside.bytes;
  impl.tree.add(path, inside.tail.digest);
  return {};
}

Result<ManifestSummary> ManifestWriter::finish() {
  if (impl_->current || !impl_->tree.any())
    return make_error(ErrorCode::internal, "the manifest is not whole", impl_->path);
  while (impl_->tree.depth() > 0) LOCKSTEP_CHECK(impl_->leave());
  impl_->summary.root = impl_->tree.root();
  ByteWriter out(impl_->buffer);
  out.number(static_cast<std::uint8_t>(ManifestTag::end));
  out.number(impl_->summary.entries);
  out.number(impl_->summary.bytes);
  out.digest(impl_->summary.root);
  LOCKSTEP_CHECK(impl_->flush());
  XXH128_canonical_t sum;
  XXH128_canonicalFromHash(&sum, XXH3_128bits_digest(impl_->hash.get()));
  ByteWriter(impl_->buffer).raw(sum.digest, sizeof sum.digest);
  LOCKSTEP_CHECK(impl_->flush());
  return impl_->summary;
}

std::uint64_t ManifestWriter::offset() const { return impl_->written + impl_->buffer.size(); }
std::uint64_t ManifestWriter::entries() const { return impl_->summary.entries; }
Result<void> ManifestWriter::flush() { return impl_->flush(); }

Result<void> ManifestWriter::sync() {
  LOCKSTEP_CHECK(impl_->flush());
  if (auto done = impl_->disk.fsync(impl_->file.get()); !done)
    return from_errno(ErrorCode::io, done.error().number, "sync the manifest", impl_->path);
  return {};
}

Result<void> publish_manifest(os::Disk& disk, const std::string& part, const std::string& path) {
  if (auto moved = disk.rename(os::kCwd, part, os::kCwd, path); !moved)
    return from_errno(ErrorCode::io, moved.error().number, "rename the manifest into place", path);
  os::failpoint("stream-manifest-named");
  const std::string directory = os::directory_of(path);
  if (auto done = os::sync_directory(disk, directory); !done)
    return from_errno(ErrorCode::io, done.error().number, "sync the manifest's directory",
                      directory);
  return {};
}

}  // namespace lockstep::stream
