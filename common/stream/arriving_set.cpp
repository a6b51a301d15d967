#include "common/stream/arriving_set.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/os/failpoint.hpp"
#include "common/stream/carrying.hpp"

namespace lockstep::stream {

// ---- what is kept ---------------------------------------------------------------------------
Result<void> ArrivingSet::load() {
  checkpointed_ = tools_.clock.mono();
  boot_id_ = tools_.clock.quality().boot_id;
  LOCKSTEP_TRY(const auto row, job_.log->load());
  if (row) {
    auto kept = decode_state(row->state);
    if (kept && kept->transfer == job_.transfer)
      state_ = std::move(*kept);
    else
      refused("the journal's row is of another transfer or version");
  }
  const bool power_lost = state_.boot_id != boot_id_;
  state_.transfer = job_.transfer;
  state_.boot_id = boot_id_;
  if (state_.sealing && !state_.complete) {
    // A crash between seal and its record: the version is there, and its manifest, or neither.
    LOCKSTEP_TRY(const auto version, job_.find_sealed());
    if (version) LOCKSTEP_CHECK(publish_after_crash());
  }
  if (state_.complete) return {};  // durable, however long ago the last checkpoint was
  if (power_lost) state_.applied = state_.durable;
  LOCKSTEP_TRY(base_root_, root_of_base(tools_.disk, job_.base_manifest, outcome_.base_refused));
  return {};
}

Result<void> ArrivingSet::publish_after_crash() {
  if (!read_manifest_summary(tools_.disk, job_.manifest)) {
    LOCKSTEP_CHECK(check_manifest(tools_.disk, part()));
    LOCKSTEP_CHECK(publish_manifest(tools_.disk, part(), job_.manifest));
  }
  state_.complete = true;
  return save();
}

Result<void> ArrivingSet::save() {
  ResumeRow row;
  row.state = encode_state(state_);
  row.sequence = state_.applied.sequence;
  row.durable = state_.durable.sequence;
  row.complete = state_.complete;
  return job_.log->save(row);
}

Result<void> ArrivingSet::forget() {
  applier_.reset();
  Result<void> abandoned;
  if (staging_) abandoned = staging_->abandon();
  staging_.reset();
  static_cast<void>(tools_.disk.unlink(os::kCwd, part()));
  ResumeState fresh;
  fresh.transfer = job_.transfer;
  fresh.boot_id = boot_id_;
  fresh.seen = state_.seen;
  fresh.received = state_.received;
  fresh.again = state_.again;
  state_ = std::move(fresh);
  LOCKSTEP_CHECK(job_.log->clear());
  return abandoned;
}

// ---- where packs come -----------------------------------------------------------------------
Result<void> ArrivingSet::prepare(const std::optional<Digest256>& base_of_sender) {
  between_packs_ = true;
  if (state_.complete) {
    // What was sealed needs no base here any more; the sender makes the same packs with its own.
    with_base_ = state_.applied.apply.with_base && base_of_sender;
    if (!followed_) followed_ = {state_.applied.sequence, state_.applied.chain};
    return {};
  }
  with_base_ = base_root_ && base_of_sender == base_root_;
  if (applier_ && state_.applied.apply.with_base == with_base_) return {};
  const bool known = applier_ || state_.applied.sequence > 0;
  if (known && state_.applied.apply.with_base != with_base_) {
    refused("it had begun with another base");
    LOCKSTEP_CHECK(forget());
  } else if (known) {
    auto resumed = resume();
    if (resumed) return {};
    if (resumed.error().code != ErrorCode::resume_refused) return resumed;
    refused(resumed.error().what);
    LOCKSTEP_CHECK(forget());
  }
  return stage();
}

Result<void> ArrivingSet::restart(const std::string& why) {
  refused(why);
  if (state_.complete) {
    followed_ = Place{};
    return {};
  }
  LOCKSTEP_CHECK(forget());
  LOCKSTEP_CHECK(stage());
  return have_carried();
}

Result<void> ArrivingSet::stage() {
  LOCKSTEP_TRY(staging_, job_.stage(with_base_, false));
  LOCKSTEP_TRY(applier_, Applier::create(tools_.disk, *staging_, part(),
                                         with_base_ ? job_.base_manifest : std::string()));
  outcome_.resumed_from = 0;
  LOCKSTEP_TRY(state_.applied.apply, applier_->state());
  state_.durable = state_.applied;
  return {};
}

Result<void> ArrivingSet::resume() {
  LOCKSTEP_TRY(staging_, job_.stage(with_base_, true));
  LOCKSTEP_TRY(applier_, Applier::resume(tools_.disk, *staging_, part(), job_.base_manifest,
                                         state_.applied.apply));
  state_.sealing = false;
  outcome_.resumed_from = state_.applied.sequence;
  return {};
}

ArrivingSet::Place ArrivingSet::place() const {
  return followed_.value_or(Place{state_.applied.sequence, state_.applied.chain});
}

std::uint64_t ArrivingSet::durable_sequence() const {
  return followed_ ? followed_->sequence : state_.durable.sequence;
}

// ---- what an engine brings ------------------------------------------------------------------
bool ArrivingSet::may_be_carried() const {
  return job_.may_be_carried && staging_ && !state_.complete && !state_.carried &&
         state_.applied.sequence == 0 && !staging_->carried_to().empty();
}

Result<void> ArrivingSet::have_carried() {
  if (!may_be_carried() || !job_.carry) return {};
  LOCKSTEP_TRY(state_.carried, job_.carry(staging_->carried_to(), !with_base_, job_.stop));
  return check_carried(*state_.carried);
}

Result<void> ArrivingSet::was_carried(component::Carried carried) {
  state_.carried = std::move(carried);
  return save();
}

// ---- packs ----------------------------------------------------------------------------------
Result<void> ArrivingSet::apply(const CheckedPack& pack) {
  const std::uint64_t wire = kPackHeaderBytes + pack.header.wire_length;
  state_.received += wire;
  if (pack.header.sequence <= state_.seen) state_.again += wire;
  state_.seen = std::max(state_.seen, pack.header.sequence);
  ++outcome_.packs;
  if (followed_) {
    *followed_ = {pack.header.sequence, pack.header.chain};
    return {};
  }
  between_packs_ = false;
  LOCKSTEP_CHECK(apply_records(pack));
  state_.applied.sequence = pack.header.sequence;
  state_.applied.chain = pack.header.chain;
  between_packs_ = true;
  os::failpoint("stream-applied");
  uncheckpointed_ += pack.header.raw_length;
  if (uncheckpointed_ >= job_.checkpoint_bytes ||
      tools_.clock.mono() - checkpointed_ >= job_.checkpoint_time)
    LOCKSTEP_CHECK(checkpoint());
  return {};
}

Result<void> ArrivingSet::apply_records(const CheckedPack& pack) {
  LOCKSTEP_TRY(const std::vector<Record> records, pack.records());
  for (const Record& record : records) {
    if (record.kind == RecordKind::entry) staging_->expect(record.entry);
  }
  for (const Record& record : records) LOCKSTEP_CHECK(applier_->apply(record));
  return {};
}

Result<void> ArrivingSet::checkpoint() {
  LOCKSTEP_CHECK(staging_->checkpoint());
  LOCKSTEP_TRY(state_.applied.apply, applier_->state());
  LOCKSTEP_CHECK(applier_->sync_manifest());
  state_.durable = state_.applied;
  uncheckpointed_ = 0;
  checkpointed_ = tools_.clock.mono();
  return {};
}

Result<void> ArrivingSet::keep() {
  if (applier_) {
    LOCKSTEP_TRY(state_.applied.apply, applier_->state());
  }
  return save();
}

Result<void> ArrivingSet::interrupted() {
  if (std::exchange(ended_, false)) {
    // Its manifest has its end: what was kept before that is gone on with.
    applier_.reset();
    staging_.reset();
    return {};
  }
  return followed_ || (applier_ && between_packs_) ? keep() : Result<void>{};
}

// ---- the end --------------------------------------------------------------------------------
Result<ManifestSummary> ArrivingSet::finish() {
  LOCKSTEP_CHECK(keep());
  if (state_.complete) return read_manifest_summary(tools_.disk, job_.manifest);
  ended_ = true;
  return applier_->finish();
}

Result<void> ArrivingSet::seal() {
  outcome_.incremental = state_.applied.apply.with_base;
  if (state_.complete) return find_version();
  state_.sealing = true;
  LOCKSTEP_CHECK(save());
  os::failpoint("stream-sealing");
  LOCKSTEP_TRY(outcome_.version, staging_->seal());
  os::failpoint("stream-sealed");
  LOCKSTEP_CHECK(publish_manifest(tools_.disk, part(), job_.manifest));
  os::failpoint("stream-published");
  state_.complete = true;
  LOCKSTEP_CHECK(save());
  os::failpoint("stream-complete");
  applier_.reset();
  staging_.reset();
  ended_ = false;
  return {};
}

Result<void> ArrivingSet::find_version() {
  LOCKSTEP_TRY(const auto version, job_.find_sealed());
  if (!version)
    return make_error(ErrorCode::version_missing, "the version that was sealed is gone");
  outcome_.version = *version;
  return {};
}

}  // namespace lockstep::stream
