#include "common/stream/file_planner.hpp"

#include <algorithm>

#include "common/stream/entry_codec.hpp"

namespace lockstep::stream {
namespace {

using component::Action;
using component::Extent;

// Changes are sent in blocks of this size: what a file system and a database change at once.
constexpr std::uint64_t kBlock = 4096;

std::uint64_t end_of(const Extent& extent) { return extent.offset + extent.length; }

// The first extent from `from` on that ends after `offset`; `from` moves along, for offsets ascend.
std::size_t skip_before(const std::vector<Extent>& extents, std::size_t& from,
                        std::uint64_t offset) {
  while (from < extents.size() && end_of(extents[from]) <= offset) ++from;
  return from;
}

}  // namespace

Result<void> FilePlanner::read(std::uint64_t offset, std::span<std::byte> into) {
  if (stop_.stop_requested()) return make_error(ErrorCode::cancelled, "sending was stopped");
  if (!reader_) {
    LOCKSTEP_TRY(reader_, source_.open(*entry_));
  }
  LOCKSTEP_TRY(const std::size_t got, reader_->read(offset, into));
  if (got != into.size())
    return make_error(ErrorCode::source_read, "the file is shorter than its size says",
                      entry_->path);
  return {};
}

Result<void> FilePlanner::ensure_begun(Action action) {
  if (begun_) return {};
  begun_ = true;
  return builder_.entry(*entry_, action);
}

void FilePlanner::add_run(Run run) {
  if (!runs_.empty() && runs_.back().zeros == run.zeros &&
      runs_.back().offset + runs_.back().length == run.offset) {
    runs_.back().length += run.length;
    return;
  }
  runs_.push_back(run);
}

// Of a file that is sent in full: everything between its holes.
void FilePlanner::add_new(std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t end = offset + length;
  while (offset < end) {
    skip_before(entry_->holes, hole_, offset);
    const bool more = hole_ < entry_->holes.size();
    const std::uint64_t hole = more ? std::min(entry_->holes[hole_].offset, end) : end;
    if (hole > offset) add_run({offset, hole - offset, false});
    offset = more ? std::max(hole, std::min(end, end_of(entry_->holes[hole_]))) : end;
  }
}

void FilePlanner::add_changed(const Leaf& leaf, const std::optional<Extents>& candidates) {
  if (leaf.hole) return add_run({leaf.offset, leaf.length, true});
  if (!leaf.base_has_it || !candidates) return add_run({leaf.offset, leaf.length, false});
  const std::uint64_t leaf_end = leaf.offset + leaf.length;
  std::uint64_t sent_to = leaf.offset;
  for (std::size_t i = candidate_; i < candidates->size(); ++i) {
    const Extent& extent = (*candidates)[i];
    if (extent.offset >= leaf_end) break;
    const std::uint64_t from = std::max(sent_to, extent.offset / kBlock * kBlock);
    const std::uint64_t to = std::min(leaf_end, (end_of(extent) + kBlock - 1) / kBlock * kBlock);
    if (from >= to) continue;
    add_run({from, to - from, false});
    sent_to = to;
  }
}

Result<void> FilePlanner::send_runs(std::uint64_t chunk, std::span<const std::byte> bytes,
                                    Action action) {
  for (const Run& run : runs_) {
    LOCKSTEP_CHECK(ensure_begun(action));
    if (run.zeros) {
      LOCKSTEP_CHECK(builder_.zeros(run.offset, run.length));
      continue;
    }
    LOCKSTEP_CHECK(
        builder_.data(run.offset, bytes.subspan(static_cast<std::size_t>(run.offset - chunk),
                                                static_cast<std::size_t>(run.length))));
  }
  runs_.clear();
  return {};
}

Result<std::vector<FilePlanner::Leaf>> FilePlanner::look_at_chunk(
    std::uint64_t offset, ManifestReader* base, const std::optional<Extents>& candidates) {
  const std::uint64_t end = std::min(entry_->size, offset + kExtent);
  std::vector<Leaf> leaves;
  leaves.reserve(kLeavesPerChunk);
  // Copies: what is sent of this chunk is looked up from its start again.
  std::size_t candidate = candidate_;
  std::size_t hole = hole_;
  for (std::uint64_t at = offset; at < end; at += kLeaf) {
    Leaf leaf;
    leaf.offset = at;
    leaf.length = static_cast<std::size_t>(leaf_length(entry_->size, at / kLeaf));
    if (base != nullptr && base->leaves_left() > 0) {
      const std::uint64_t base_length = leaf_length(base->entry().size, at / kLeaf);
      LOCKSTEP_TRY(const Digest128 digest, base->read_leaf());
      if (base_length == leaf.length) leaf.base = digest;
    }
    leaf.base_has_it = leaf.base || (base != nullptr && !base->entry().sum.empty() &&
                                     at + leaf.length <= base->entry().size);
    bool may_differ = true;
    if (leaf.base_has_it && candidates) {
      skip_before(*candidates, candidate, at);
      may_differ =
          candidate < candidates->size() && (*candidates)[candidate].offset < at + leaf.length;
    }
    leaf.as_in_base = !may_differ;
    skip_before(entry_->holes, hole, at);
    leaf.hole = hole < entry_->holes.size() && entry_->holes[hole].offset <= at &&
                end_of(entry_->holes[hole]) >= at + leaf.length;
    leaf.read = (may_differ || !leaf.base) && !leaf.hole;
    if (!may_differ && leaf.base)
      leaf.digest = *leaf.base;
    else if (leaf.hole)
      leaf.digest = zero_leaf_digest(leaf.length);
    leaves.push_back(leaf);
  }
  return leaves;
}

Result<void> FilePlanner::hash_chunk(std::uint64_t offset, std::vector<Leaf>& leaves) {
  const auto bytes_of = [&](const Leaf& leaf) {
    return buffer_.bytes().subspan(static_cast<std::size_t>(leaf.offset - offset), leaf.length);
  };
  for (std::size_t i = 0; i < leaves.size();) {
    if (!leaves[i].read) {
      ++i;
      continue;
    }
    std::size_t last = i;
    while (last + 1 < leaves.size() && leaves[last + 1].read) ++last;
    const std::uint64_t end = leaves[last].offset + leaves[last].length;
    LOCKSTEP_CHECK(read(leaves[i].offset,
                        buffer_.bytes().subspan(static_cast<std::size_t>(leaves[i].offset - offset),
                                                static_cast<std::size_t>(end - leaves[i].offset))));
    for (; i <= last; ++i) leaves[i].digest = xxh3_128(bytes_of(leaves[i]));
  }
  for (Leaf& leaf : leaves) {
    leaf.differs = leaf.base ? *leaf.base != leaf.digest : !leaf.as_in_base;
  }
  return {};
}

Result<std::span<const std::byte>> FilePlanner::whole(const WholeContent& content) {
  if (content) return *content;
  const auto into = buffer_.bytes().first(static_cast<std::size_t>(entry_->size));
  if (!into.empty()) LOCKSTEP_CHECK(read(0, into));
  return std::span<const std::byte>(into);
}

Result<bool> FilePlanner::plan_small(ManifestReader* base, const WholeContent& ahead) {
  LOCKSTEP_TRY(const std::span<const std::byte> bytes, whole(ahead));
  ContentDigest made(entry_->size);
  if (!bytes.empty()) made.add(xxh3_128(bytes));
  const Digest256 content = made.finish();
  LOCKSTEP_CHECK(manifest_.end(content));
  Action action = Action::create;
  if (base != nullptr && base->entry().size == entry_->size) {
    LOCKSTEP_TRY(const ManifestReader::Tail tail, base->tail());
    if (tail.content == content) {
      if (same_metadata(base->entry(), *entry_)) return false;
      action = Action::metadata;
    }
  }
  LOCKSTEP_CHECK(ensure_begun(action));
  if (action == Action::create) {
    add_new(0, entry_->size);
    LOCKSTEP_CHECK(send_runs(0, bytes, action));
  }
  LOCKSTEP_CHECK(builder_.close(content));
  return true;
}

Result<bool> FilePlanner::plan_large(ManifestReader* base,
                                     const std::optional<Extents>& candidates) {
  // Of a base that is known by a checksum only a comparison tells what it has.
  const bool patch =
      base != nullptr && has_leaves(base->entry()) && (base->entry().sum.empty() || candidates);
  if (!patch) {
    base = nullptr;
    LOCKSTEP_CHECK(ensure_begun(Action::create));
  }
  for (std::uint64_t offset = 0; offset < entry_->size; offset += kExtent) {
    if (walked_) walked_(manifest_.entries());
    LOCKSTEP_TRY(std::vector<Leaf> leaves, look_at_chunk(offset, base, candidates));
    LOCKSTEP_CHECK(hash_chunk(offset, leaves));
    for (const Leaf& leaf : leaves) {
      LOCKSTEP_CHECK(manifest_.leaf(leaf.digest));
      if (!patch || !leaf.differs) continue;
      if (candidates) skip_before(*candidates, candidate_, leaf.offset);
      add_changed(leaf, candidates);
    }
    if (!patch) add_new(offset, std::min(kExtent, entry_->size - offset));
    LOCKSTEP_CHECK(send_runs(offset, buffer_.bytes(), patch ? Action::patch : Action::create));
  }
  LOCKSTEP_TRY(const Digest256 content, manifest_.end());
  if (!begun_) {
    if (same_metadata(base->entry(), *entry_)) return false;
    // Another size without another leaf: the file was cut where a leaf ends.
    const bool same_size = base->entry().size == entry_->size;
    LOCKSTEP_CHECK(ensure_begun(same_size ? Action::metadata : Action::patch));
  }
  LOCKSTEP_CHECK(builder_.close(content));
  return true;
}

Result<bool> FilePlanner::plan(const Entry& entry, ManifestReader* base,
                               const std::optional<Extents>& candidates,
                               const WholeContent& content) {
  entry_ = &entry;
  reader_.reset();
  begun_ = false;
  runs_.clear();
  hole_ = 0;
  candidate_ = 0;
  LOCKSTEP_CHECK(manifest_.begin(entry));
  auto sent = entry.size <= kLeaf ? plan_small(base, content) : plan_large(base, candidates);
  reader_.reset();
  return sent;
}

}  // namespace lockstep::stream
