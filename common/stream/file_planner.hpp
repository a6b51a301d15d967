// FilePlanner: what to send of one regular file that may have changed, and its leaves for the
// manifest.
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <vector>

#include "common/component/source.hpp"
#include "common/stream/manifest_writer.hpp"
#include "common/stream/pack.hpp"
#include "common/stream/page_buffer.hpp"
#include "common/stream/read_ahead.hpp"

namespace lockstep::stream {

class FilePlanner {
 public:
  using Extents = std::vector<component::Extent>;

  FilePlanner(component::Source& source, ManifestWriter& manifest, PackBuilder& builder,
              std::stop_token stop, std::function<void(std::uint64_t)> walked)
      : source_(source),
        manifest_(manifest),
        builder_(builder),
        stop_(std::move(stop)),
        walked_(std::move(walked)) {}

  // `base` stands at the record of the same path, a regular file; or is nullptr. `candidates`:
  // where the content may differ from the base's, if that is known. `content`: of a file of one
  // leaf at most, if it was read already. Returns whether anything was sent. Requires that the
  // manifest is where `entry` comes next.
  Result<bool> plan(const Entry& entry, ManifestReader* base,
                    const std::optional<Extents>& candidates, const WholeContent& content);

 private:
  static constexpr std::size_t kLeavesPerChunk = static_cast<std::size_t>(kExtent / kLeaf);

  // A leaf of the chunk under way.
  struct Leaf {
    std::uint64_t offset = 0;
    std::size_t length = 0;
    Digest128 digest{};
    std::optional<Digest128> base;  // where the base has one of the same length
    bool base_has_it = false;       // the base has bytes there, whose digest it may not know
    bool read = false;
    bool hole = false;
    bool as_in_base = false;  // as the candidates tell
    bool differs = false;
  };
  // Bytes of the chunk that will be sent.
  struct Run {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool zeros = false;
  };

  Result<std::span<const std::byte>> whole(const WholeContent& content);
  Result<bool> plan_small(ManifestReader* base, const WholeContent& ahead);
  Result<bool> plan_large(ManifestReader* base, const std::optional<Extents>& candidates);
  Result<std::vector<Leaf>> look_at_chunk(std::uint64_t offset, ManifestReader* base,
                                          const std::optional<Extents>& candidates);
  Result<void> hash_chunk(std::uint64_t offset, std::vector<Leaf>& leaves);
  void add_new(std::uint64_t offset, std::uint64_t length);
  void add_changed(const Leaf& leaf, const std::optional<Extents>& candidates);
  void add_run(Run run);
  // `bytes` are those of the file from `chunk` on.
  Result<void> send_runs(std::uint64_t chunk, std::span<const std::byte> bytes,
                         component::Action action);
  Result<void> read(std::uint64_t offset, std::span<std::byte> into);
  Result<void> ensure_begun(component::Action action);

  component::Source& source_;
  ManifestWriter& manifest_;
  PackBuilder& builder_;
  std::stop_token stop_;
  std::function<void(std::uint64_t)> walked_;
  PageBuffer buffer_ = PageBuffer(static_cast<std::size_t>(kExtent));

  // Of the file under way.
  const Entry* entry_ = nullptr;
  std::unique_ptr<component::EntryReader> reader_;
  bool begun_ = false;
  std::vector<Run> runs_;
  std::size_t hole_ = 0;       // the first hole that may still matter
  std::size_t candidate_ = 0;  // the first candidate that may still matter
};

}  // namespace lockstep::stream
