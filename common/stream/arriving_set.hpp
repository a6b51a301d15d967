// ArrivingSet: what has come of a data set at the receiver: its staging, its manifest, and the
// journal's row from which another process goes on. It outlives connections; what is said on them
// is the receiver's (receive.cpp).
//
// Thread rule: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/stream/applier.hpp"
#include "common/stream/intake.hpp"
#include "common/stream/receive.hpp"
#include "common/stream/resume_state.hpp"

namespace lockstep::stream {

class ArrivingSet {
 public:
  // What is known of the set in the end, or of why it was not gone on with, goes to `outcome`. All
  // three outlive this.
  ArrivingSet(const Tools& tools, const ReceiveJob& job, ReceiveOutcome& outcome)
      : tools_(tools), job_(job), outcome_(outcome) {}

  // What an earlier process left; a version that it sealed gets its manifest. Once, before all
  // else.
  Result<void> load();
  // Where packs are to come, for each connection: kept, resumed, or begun anew where that cannot
  // be. Of a sealed set they are followed, not applied: what they lead to must have its root.
  Result<void> prepare(const std::optional<Digest256>& base_of_sender);
  // The sender makes other packs than those that came: from the first one again. What is sealed
  // stays as it is.
  Result<void> restart(const std::string& why);
  // What was received goes, here and in the staging; the counts stay. Requires !complete().
  Result<void> forget();

  // From here to seal() after prepare(). In the order in which they come. Errors: stream-hostile,
  // target-write, no-space, ...
  Result<void> apply(const CheckedPack& pack);
  // Journals what was applied: the sender may forget it. Of a sealed set the counts alone: another
  // process stands where it was sealed.
  Result<void> keep();
  // The connection ended, with an error after which another one may go on.
  Result<void> interrupted();
  // All was applied: what the manifest ends with; of a sealed set, what it ended with.
  Result<ManifestSummary> finish();
  // The version is made, with its manifest in its place; or it was, and is found.
  Result<void> seal();

  // Whether an engine may bring what would travel whole, and nobody knows yet what it brought.
  bool may_be_carried() const;
  // Requires may_be_carried().
  std::string carried_to() const { return staging_->carried_to(); }
  Result<void> have_carried();
  Result<void> was_carried(component::Carried carried);

  // Between two packs: after the last that was applied, or followed.
  struct Place {
    std::uint64_t sequence = 0;
    Digest128 chain{};
  };
  Place place() const;
  std::uint64_t durable_sequence() const;
  bool with_base() const { return with_base_; }
  bool complete() const { return state_.complete; }
  const ResumeState& state() const { return state_; }
  const Applier* applier() const { return applier_.get(); }  // null where none are applied

 private:
  std::string part() const { return job_.manifest + ".part"; }
  void refused(const std::string& why) { outcome_.resume_refused = why; }
  Result<void> publish_after_crash();
  Result<void> save();
  Result<void> stage();
  Result<void> resume();
  Result<void> apply_records(const CheckedPack& pack);
  Result<void> checkpoint();
  Result<void> find_version();

  const Tools& tools_;
  const ReceiveJob& job_;
  ReceiveOutcome& outcome_;
  std::string boot_id_;
  std::optional<Digest256> base_root_;
  ResumeState state_;
  bool with_base_ = false;         // what the sender is told to make its packs with
  std::optional<Place> followed_;  // of a set sealed before this connection

  std::unique_ptr<component::Staging> staging_;
  std::unique_ptr<Applier> applier_;
  bool between_packs_ = true;  // only there is the applier's state one to go on from
  bool ended_ = false;         // the applier's manifest has its end, and nothing is sealed yet
  std::uint64_t uncheckpointed_ = 0;
  MonoNanos checkpointed_{};
};

}  // namespace lockstep::stream
