#include "common/stream/applier.hpp"

#include <algorithm>

namespace lockstep::stream {
namespace {

using component::Action;
using component::EntryKind;
using At = ManifestReader::At;

Error hostile(const std::string& what, const std::string& path) {
  return make_error(ErrorCode::stream_hostile, what, "/" + path);
}

// What a sender with another base would send: no attack, but nothing to go on with.
Error disagreement(const std::string& what, const std::string& path) {
  return make_error(ErrorCode::stream_protocol, what, "/" + path);
}

}  // namespace

Result<std::unique_ptr<Applier>> Applier::create(os::Disk& disk, component::Staging& staging,
                                                 const std::string& manifest_part,
                                                 const std::string& base_manifest) {
  std::unique_ptr<Applier> made(new Applier(staging));
  if (!base_manifest.empty()) {
    LOCKSTEP_TRY(ManifestReader base, ManifestReader::open(disk, base_manifest));
    made->base_ = std::move(base);
    made->state_.with_base = true;
    LOCKSTEP_CHECK(made->advance_base());
  }
  LOCKSTEP_TRY(ManifestWriter manifest,
               ManifestWriter::create(disk, manifest_part, WithNative::no));
  made->manifest_ = std::move(manifest);
  made->attach_leave();
  return made;
}

Result<std::unique_ptr<Applier>> Applier::resume(os::Disk& disk, component::Staging& staging,
                                                 const std::string& manifest_part,
                                                 const std::string& base_manifest,
                                                 const ApplyState& state) {
  std::unique_ptr<Applier> made(new Applier(staging));
  made->state_ = state;
  if (state.with_base) {
    if (base_manifest.empty())
      return make_error(ErrorCode::resume_refused, "the base that it began with is not there now");
    LOCKSTEP_TRY(ManifestReader base,
                 ManifestReader::go_on_at(disk, base_manifest, state.base_offset));
    made->base_ = std::move(base);
    LOCKSTEP_CHECK(made->advance_base());
  }
  LOCKSTEP_TRY(ManifestWriter manifest,
               ManifestWriter::resume(disk, manifest_part, state.manifest_offset, WithNative::no));
  made->manifest_ = std::move(manifest);
  made->attach_leave();
  for (const std::string& path : state.touched) made->manifest_->touch(path);
  LOCKSTEP_CHECK(made->go_on_with_file());
  return made;
}

void Applier::attach_leave() {
  manifest_->on_leave([this](const Entry& directory, bool touched) -> Result<void> {
    return touched ? staging_.leave_directory(directory) : Result<void>{};
  });
}

// The file that was under way is begun again in the staging, keeping what it has of it.
Result<void> Applier::go_on_with_file() {
  const bool open = manifest_->entry_open();
  if (open != state_.open || (open && file().path != state_.last_path))
    return make_error(ErrorCode::resume_refused, "the partial manifest does not fit the journal");
  if (!open) return {};
  const bool base_fits = base_at_entry() && base_->entry().path == file().path;
  if (state_.has_base != base_fits)
    return make_error(ErrorCode::resume_refused, "the base's manifest does not fit the journal");
  for (std::uint64_t i = 0; i < state_.next_leaf && state_.has_base && base_->leaves_left() > 0;
       ++i)
    LOCKSTEP_CHECK(base_->read_leaf());
  return staging_.begin(file(), state_.action == Action::create ? Action::patch : state_.action);
}

bool Applier::base_at_entry() const { return base_ && base_->at() == At::entry; }

Result<void> Applier::advance_base() {
  if (base_) LOCKSTEP_CHECK(base_->next_entry());
  return {};
}

Result<void> Applier::skip_base_tree() {
  const std::string top = base_->entry().path;
  do {
    LOCKSTEP_CHECK(advance_base());
  } while (base_at_entry() && component::path_inside(base_->entry().path, top));
  return {};
}

// The base's entry at hand stays as it is, and with `whole` all that lies in it.
Result<void> Applier::keep_base(bool whole, const std::string& before) {
  LOCKSTEP_TRY(const bool fits, manifest_->leave_until(base_->entry().path));
  if (!fits) return disagreement("what the base has here lost its directory", before);
  LOCKSTEP_CHECK(whole && manifest_->copies_trees_of(*base_) ? manifest_->copy_tree(*base_)
                                                             : manifest_->copy(*base_));
  return advance_base();
}

// Everything of the base that stands before `path` was not sent: it is as it was.
Result<void> Applier::move_to(const std::string& path) {
  if (state_.open) return hostile("an entry before the last file was closed", path);
  if (state_.any && !component::path_less(state_.last_path, path))
    return hostile("a path that is out of order", path);
  while (base_at_entry() && component::path_less(base_->entry().path, path)) {
    const bool whole = !component::path_inside(path, base_->entry().path);
    LOCKSTEP_CHECK(keep_base(whole, path));
  }
  LOCKSTEP_TRY(const bool fits, manifest_->leave_until(path));
  if (!fits) return hostile("a path whose directory is not there", path);
  state_.any = true;
  state_.last_path = path;
  return {};
}

Result<void> Applier::apply(const Record& record) {
  switch (record.kind) {
    case RecordKind::entry:
      return apply_entry(record);
    case RecordKind::data:
    case RecordKind::zeros:
      return apply_extent(record);
    case RecordKind::close:
      return apply_close(record.content);
    case RecordKind::remove:
      return apply_remove(record.path);
  }
  return make_error(ErrorCode::stream_hostile, "a record of an unknown kind");
}

Result<void> Applier::apply_entry(const Record& record) {
  const Entry& entry = record.entry;
  LOCKSTEP_CHECK(move_to(entry.path));
  const bool match = base_at_entry() && base_->entry().path == entry.path;
  const bool same_kind = match && base_->entry().kind == entry.kind;
  const bool directory = entry.kind == EntryKind::directory;
  const bool regular = entry.kind == EntryKind::regular;
  const bool made = record.action == Action::create || record.action == Action::adopt;
  if (!made && !same_kind)
    return disagreement("a change of what the base does not have", entry.path);
  if (record.action == Action::patch && (!has_leaves(base_->entry()) || !has_leaves(entry)))
    return hostile("a patch of what cannot be patched", entry.path);
  if (record.action == Action::metadata && !directory &&
      (!regular || base_->entry().size != entry.size))
    return hostile("a change of metadata that changes more", entry.path);
  LOCKSTEP_CHECK(check_sum(record));
  if (record.action == Action::create && directory && same_kind)
    return disagreement("a new directory where the base has one", entry.path);

  manifest_->touch();
  LOCKSTEP_CHECK(staging_.begin(entry, record.action));
  LOCKSTEP_CHECK(manifest_->begin(entry, true));
  ++state_.entries;
  if (regular) {
    state_.open = true;
    state_.action = record.action;
    state_.has_base = same_kind;
    state_.extent_end = 0;
    state_.next_leaf = 0;
    state_.partial_leaf = false;
    state_.single_leaf.reset();
    if (match && !same_kind) LOCKSTEP_CHECK(skip_base_tree());
    return {};  // the base's record is needed until the file is closed
  }
  LOCKSTEP_CHECK(staging_.finish());
  if (!directory) LOCKSTEP_CHECK(manifest_->end());
  if (!match) return {};
  return same_kind ? advance_base() : skip_base_tree();
}

// Where content is known by a checksum, nothing of it travels: it was brought, or stays.
Result<void> Applier::check_sum(const Record& record) const {
  const Entry& entry = record.entry;
  if (record.action == Action::adopt) {
    if (entry.sum.empty() || staging_.carried_to().empty())
      return hostile("a file to adopt where none was brought", entry.path);
    return {};
  }
  const bool stays = record.action == Action::metadata && base_at_entry();
  if (entry.sum == (stays ? base_->entry().sum : std::string())) return {};
  return hostile("a checksum in place of content that is sent", entry.path);
}

Result<void> Applier::apply_extent(const Record& record) {
  if (!state_.open) return make_error(ErrorCode::stream_hostile, "content of no file");
  const Entry& entry = file();
  if (state_.action == Action::metadata || state_.action == Action::adopt)
    return hostile("content of a file whose content is not sent", entry.path);
  if (record.offset < state_.extent_end)
    return hostile("extents that overlap or are out of order", entry.path);
  if (record.offset > entry.size || record.length > entry.size - record.offset)
    return hostile("content beyond the end of the file", entry.path);
  const bool zeros = record.kind == RecordKind::zeros;
  // Writing is bounded by what travels: zeros stand for holes in patches, a chunk at a time.
  if (zeros && (state_.action != Action::patch || record.length > kExtent))
    return hostile("zeros where none are sent", entry.path);

  std::uint64_t at = record.offset;
  const std::uint64_t end = record.offset + record.length;
  LOCKSTEP_CHECK(leaves_before(at / kLeaf));
  if (zeros)
    LOCKSTEP_CHECK(write_zeros(at, record.length));
  else
    LOCKSTEP_CHECK(staging_.write(at, record.data));
  while (at < end) {
    const std::uint64_t index = at / kLeaf;
    const std::uint64_t length = leaf_length(entry.size, index);
    LOCKSTEP_CHECK(leaves_before(index));
    if (at == index * kLeaf && end - at >= length) {
      LOCKSTEP_CHECK(emit_leaf(
          zeros ? zero_leaf_digest(length)
                : xxh3_128(record.data.subspan(static_cast<std::size_t>(at - record.offset),
                                               static_cast<std::size_t>(length)))));
      at += length;
    } else {
      state_.partial_leaf = true;
      at = std::min(end, index * kLeaf + length);
    }
  }
  state_.extent_end = end;
  state_.bytes += record.length;
  return {};
}

Result<void> Applier::write_zeros(std::uint64_t offset, std::uint64_t length) {
  static const Buffer zeros(static_cast<std::size_t>(kExtent));
  return staging_.write(offset, std::span(zeros).first(static_cast<std::size_t>(length)));
}

// Settles every leaf before `index`: no more of them will come.
Result<void> Applier::leaves_before(std::uint64_t index) {
  while (state_.next_leaf < index) LOCKSTEP_CHECK(settle_leaf());
  return {};
}

// The next leaf, of which nothing came (then it is a hole, or the base's), or not all.
Result<void> Applier::settle_leaf() {
  const Entry& entry = file();
  const std::uint64_t index = state_.next_leaf;
  const std::uint64_t length = leaf_length(entry.size, index);
  // A base that is known by a checksum has no leaves to copy.
  const bool summed = state_.action == Action::patch && !base_->entry().sum.empty() &&
                      (index + 1) * kLeaf <= base_->entry().size;
  if (state_.partial_leaf || summed) {
    leaf_.resize(static_cast<std::size_t>(length));
    LOCKSTEP_TRY(const std::size_t got, staging_.read_back(index * kLeaf, leaf_));
    // Past the end of what was written so far there are zeros: the size is set by finish().
    std::fill(leaf_.begin() + static_cast<std::ptrdiff_t>(got), leaf_.end(), std::byte{0});
    return emit_leaf(xxh3_128(leaf_));
  }
  if (state_.action == Action::create) return emit_leaf(zero_leaf_digest(length));
  if (base_->leaves_left() == 0 || leaf_length(base_->entry().size, index) != length)
    return disagreement("part of a file that the base does not have was not sent", entry.path);
  LOCKSTEP_TRY(const Digest128 digest, base_->read_leaf());
  if (stored_leaves(entry) > 0) LOCKSTEP_CHECK(manifest_->leaf(digest));
  ++state_.next_leaf;
  return {};
}

Result<void> Applier::emit_leaf(const Digest128& digest) {
  // The base's leaves are read in step, so that the next one that was not sent is found.
  if (state_.has_base && base_->leaves_left() > 0) LOCKSTEP_CHECK(base_->read_leaf());
  if (stored_leaves(file()) > 0)
    LOCKSTEP_CHECK(manifest_->leaf(digest));
  else
    state_.single_leaf = digest;
  ++state_.next_leaf;
  state_.partial_leaf = false;
  return {};
}

// The content digest of a file of one leaf or none that keeps its content, or got its leaf, or is
// known by its checksum.
Result<Digest256> Applier::kept_content() {
  if (!file().sum.empty()) return content_of_sum(file().size, file().sum);
  if (state_.action == Action::metadata) {
    LOCKSTEP_TRY(const ManifestReader::Tail tail, base_->tail());
    return tail.content;
  }
  ContentDigest content(file().size);
  if (state_.single_leaf) content.add(*state_.single_leaf);
  return content.finish();
}

Result<void> Applier::apply_close(const Digest256& told) {
  if (!state_.open) return make_error(ErrorCode::stream_hostile, "the end of no file");
  const bool leaves_stored = stored_leaves(file()) > 0;
  const bool one_leaf_sent = file().sum.empty() && state_.action != Action::metadata;
  if (leaves_stored || one_leaf_sent) LOCKSTEP_CHECK(leaves_before(leaf_count(file().size)));
  const std::string path = file().path;
  Digest256 content{};
  if (!leaves_stored) {
    LOCKSTEP_TRY(content, kept_content());
  }
  LOCKSTEP_TRY(content, manifest_->end(content));
  if (content != told)
    return make_error(ErrorCode::stream_digest, "a file arrived with another content than was sent",
                      "/" + path);
  LOCKSTEP_CHECK(staging_.finish());
  state_.open = false;
  return state_.has_base ? advance_base() : Result<void>{};
}

Result<void> Applier::apply_remove(const std::string& path) {
  LOCKSTEP_CHECK(move_to(path));
  if (!base_at_entry() || base_->entry().path != path)
    return disagreement("the removal of what the base does not have", path);
  manifest_->touch();
  LOCKSTEP_CHECK(staging_.remove(path));
  ++state_.entries;
  return skip_base_tree();
}

Result<ApplyState> Applier::state() {
  LOCKSTEP_CHECK(manifest_->flush());
  state_.manifest_offset = manifest_->offset();
  state_.base_offset = base_ ? base_->record_offset() : 0;
  state_.touched = manifest_->touched();
  return state_;
}

Result<void> Applier::sync_manifest() { return manifest_->sync(); }

Result<ManifestSummary> Applier::finish() {
  if (state_.open) return hostile("the stream ends inside a file", file().path);
  while (base_at_entry()) LOCKSTEP_CHECK(keep_base(true, base_->entry().path));
  if (manifest_->entries() == 0)
    return make_error(ErrorCode::stream_hostile, "the stream holds nothing, not even the root");
  LOCKSTEP_TRY(const ManifestSummary summary, manifest_->finish());
  LOCKSTEP_CHECK(manifest_->sync());
  return summary;
}

}  // namespace lockstep::stream
