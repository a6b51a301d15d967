// Applier: the receiver's half of the merge. Takes the records of the stream, applies them to the
// staging, copies what was not sent from the base's manifest, and makes the new manifest.
//
// Nothing that a record says is believed: paths, order, kinds, extents and digests are checked, and
// what no honest sender sends is stream-hostile. Memory: the open directories and one leaf.
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/component/target.hpp"
#include "common/os/disk.hpp"
#include "common/stream/manifest_writer.hpp"
#include "common/stream/pack.hpp"

namespace lockstep::stream {

// Where an applier stood between two packs, so that another process can go on.
struct ApplyState {
  bool with_base = false;
  std::uint64_t manifest_offset = 0;
  std::uint64_t base_offset = 0;     // of the base's record at hand
  std::string last_path;             // of the last entry or removal
  bool any = false;                  // there was one
  std::vector<std::string> touched;  // open directories whose own metadata must be set again
  std::uint64_t entries = 0;         // applied
  std::uint64_t bytes = 0;           // of content applied

  // Of the regular file under way; its entry stands last in the manifest.
  bool open = false;
  component::Action action = component::Action::create;
  bool has_base = false;  // the base's record at hand is that of this file
  std::uint64_t extent_end = 0;
  std::uint64_t next_leaf = 0;
  bool partial_leaf = false;             // next_leaf was written in part
  std::optional<Digest128> single_leaf;  // of a file of one leaf
};

class Applier {
 public:
  // `base_manifest`: empty where there is no base.
  static Result<std::unique_ptr<Applier>> create(os::Disk& disk, component::Staging& staging,
                                                 const std::string& manifest_part,
                                                 const std::string& base_manifest);
  // Error: resume-refused.
  static Result<std::unique_ptr<Applier>> resume(os::Disk& disk, component::Staging& staging,
                                                 const std::string& manifest_part,
                                                 const std::string& base_manifest,
                                                 const ApplyState& state);

  Result<void> apply(const Record& record);
  // The manifest is written to the kernel, and the state says how far. Between packs only.
  Result<ApplyState> state();
  Result<void> sync_manifest();
  // Copies what is left of the base and ends the manifest, synced.
  Result<ManifestSummary> finish();

  std::uint64_t entries() const { return state_.entries; }
  std::uint64_t bytes() const { return state_.bytes; }

 private:
  explicit Applier(component::Staging& staging) : staging_(staging) {}

  void attach_leave();
  Result<void> go_on_with_file();

  Result<void> apply_entry(const Record& record);
  Result<void> check_sum(const Record& record) const;
  Result<void> apply_extent(const Record& record);
  Result<void> apply_close(const Digest256& content);
  Result<void> apply_remove(const std::string& path);

  bool base_at_entry() const;
  Result<void> advance_base();
  Result<void> skip_base_tree();
  Result<void> keep_base(bool whole, const std::string& before);
  Result<void> move_to(const std::string& path);

  Result<void> write_zeros(std::uint64_t offset, std::uint64_t length);
  Result<void> leaves_before(std::uint64_t index);
  Result<void> settle_leaf();
  Result<void> emit_leaf(const Digest128& digest);
  Result<Digest256> kept_content();
  const Entry& file() const { return manifest_->open_entry(); }

  component::Staging& staging_;
  std::optional<ManifestReader> base_;
  std::optional<ManifestWriter> manifest_;
  ApplyState state_;
  Buffer leaf_;
};

}  // namespace lockstep::stream
