#include "common/stream/receive.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "common/os/failpoint.hpp"
#include "common/stream/applier.hpp"
#include "common/stream/carrying.hpp"
#include "common/stream/farewell.hpp"
#include "common/stream/intake.hpp"
#include "common/stream/resume_state.hpp"

namespace lockstep::stream {
namespace {

constexpr Nanos kWait = milliseconds(100);
constexpr Nanos kReport = milliseconds(200);
constexpr Nanos kFarewell = seconds(2);

// Errors after which a later call may go on where this one stopped, or the component says that it
// cannot and begins anew.
bool may_resume(ErrorCode code) {
  switch (code) {
    case ErrorCode::stream_peer_lost:
    case ErrorCode::stalled:
    case ErrorCode::cancelled:
    case ErrorCode::deadline:
    case ErrorCode::journal_write:
    case ErrorCode::journal_full:
    case ErrorCode::unreachable:  // the target's storage
      return true;
    default:
      return false;
  }
}

class Receiver {
 public:
  Receiver(const Tools& tools, Link& link, const ReceiveJob& job)
      : tools_(tools),
        link_(link),
        job_(job),
        window_(std::clamp(job.window, kLeastWindow, kMostWindow)) {}

  Result<ReceiveOutcome> run() {
    started_ = moved_ = checkpointed_ = now();
    if (auto loaded = load(); !loaded) return tell_and_fail(link_, loaded.error(), job_.stop);
    auto done = transfer();
    if (done) return outcome_;
    const Error error = done.error();
    if (may_resume(error.code) || state_.complete) return error;
    // Nothing partial is kept of what cannot be finished.
    LOCKSTEP_CHECK(start_anew());
    return error;
  }

 private:
  MonoNanos now() const { return tools_.clock.mono(); }
  Nanos left() const { return started_ + job_.deadline - now(); }
  std::string part() const { return job_.manifest + ".part"; }

  // ---- what is kept ----------------------------------------------------------------------------
  Result<void> load() {
    boot_id_ = tools_.clock.quality().boot_id;
    LOCKSTEP_TRY(base_root_, root_of_base(tools_.disk, job_.base_manifest, outcome_.base_refused));
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
    // What is sealed is durable, however long ago the last checkpoint was.
    if (power_lost && !state_.complete) state_.applied = state_.durable;
    return {};
  }

  Result<void> publish_after_crash() {
    if (!read_manifest_summary(tools_.disk, job_.manifest)) {
      LOCKSTEP_CHECK(check_manifest(tools_.disk, part()));
      LOCKSTEP_CHECK(publish_manifest(tools_.disk, part(), job_.manifest));
    }
    state_.complete = true;
    return save();
  }

  Result<void> save() {
    ResumeRow row;
    row.state = encode_state(state_);
    row.sequence = state_.applied.sequence;
    row.durable = state_.durable.sequence;
    row.complete = state_.complete;
    return job_.log->save(row);
  }

  void refused(const std::string& why) { outcome_.resume_refused = why; }

  // Forgets all that was received, here and in the staging.
  Result<void> start_anew() {
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

  // ---- connections -----------------------------------------------------------------------------
  Result<void> transfer() {
    while (true) {
      LOCKSTEP_TRY(auto channel, link_.open(std::min(left(), job_.stall), job_.stop));
      channel_ = channel.get();
      moved_ = now();
      auto done = session();
      if (!done) done = last_words(done.error());
      intake_.reset();
      if (done) return {};
      const Error error = done.error();
      const bool lost = error.code == ErrorCode::stream_peer_lost && !told_by_peer_;
      if (!lost && !told_by_peer_)
        static_cast<void>(channel->send({fail_control("fail", error).encode(), {}}));
      if (ended_ && may_resume(error.code)) {
        // Its manifest has its end: what was kept before that is gone on with.
        applier_.reset();
        staging_.reset();
        ended_ = false;
      } else if (!ended_ && applier_ && between_packs_ && may_resume(error.code)) {
        LOCKSTEP_CHECK(keep_applied());
      }
      if (!lost || left().count <= 0) return error;
    }
  }

  // Sending to a peer that has left fails before what it said is heard: why it left, perhaps.
  Error last_words(Error error) {
    if (told_by_peer_ || error.code != ErrorCode::stream_peer_lost || !intake_) return error;
    while (true) {
      auto item = intake_->next(kWait, job_.stop);
      if (!item || !*item) return error;
      const auto* control = std::get_if<Control>(&**item);
      if (control != nullptr && control->type() == "fail") return fail_of_peer(*control);
    }
  }

  Result<void> session() {
    LOCKSTEP_TRY(const bool with_base, hear_greeting());
    LOCKSTEP_CHECK(prepare(with_base));
    LOCKSTEP_CHECK(have_carried());
    LOCKSTEP_CHECK(begin());
    moved_ = now();  // what this side takes its time for is no silence of the sender
    while (true) {
      LOCKSTEP_CHECK(check_limits());
      LOCKSTEP_TRY(auto item, intake_->next(kWait, job_.stop));
      if (!item) {
        if (unjournaled_ > 0) LOCKSTEP_CHECK(give_credit());
        continue;
      }
      if (auto* pack = std::get_if<CheckedPack>(&*item)) {
        LOCKSTEP_CHECK(apply(*pack));
      } else {
        LOCKSTEP_TRY(const bool ended, heed(std::get<Control>(*item)));
        if (ended) return {};
      }
      moved_ = now();
    }
  }

  // Whether both sides have the base.
  Result<bool> hear_greeting() {
    while (true) {
      LOCKSTEP_CHECK(check_limits());
      LOCKSTEP_TRY(const auto frame, channel_->receive(kWait, job_.stop));
      if (!frame) continue;
      const auto hello = Control::decode(frame->head.text());
      if (hello && hello->type() == "fail") return fail_of_peer(*hello);
      if (!hello || hello->type() != "hello" || hello->number("v") != 1)
        return make_error(ErrorCode::stream_protocol,
                          "the sender does not greet as this version does");
      if (hello->string("transfer") != job_.transfer || hello->number("epoch") != job_.epoch)
        return make_error(ErrorCode::stream_protocol,
                          "the sender speaks of another transfer or epoch");
      const auto theirs = hello->digest<32>("base");
      return base_root_.has_value() && theirs == base_root_;
    }
  }

  // Staging and applier, new, kept or resumed.
  Result<void> prepare(bool with_base) {
    if (state_.complete) return {};
    if (applier_ && state_.applied.apply.with_base == with_base) return {};
    const bool known = applier_ || state_.applied.sequence > 0;
    if (known && state_.applied.apply.with_base != with_base) {
      refused("it had begun with another base");
      LOCKSTEP_CHECK(start_anew());
    } else if (known) {
      auto resumed = resume();
      if (resumed) return {};
      if (resumed.error().code != ErrorCode::resume_refused) return resumed;
      refused(resumed.error().what);
      LOCKSTEP_CHECK(start_anew());
    }
    return stage(with_base);
  }

  Result<void> stage(bool with_base) {
    LOCKSTEP_TRY(staging_, job_.stage(with_base, false));
    LOCKSTEP_TRY(applier_, Applier::create(tools_.disk, *staging_, part(),
                                           with_base ? job_.base_manifest : std::string()));
    outcome_.resumed_from = 0;
    LOCKSTEP_TRY(state_.applied.apply, applier_->state());
    state_.durable = state_.applied;
    return {};
  }

  Result<void> resume() {
    LOCKSTEP_TRY(staging_, job_.stage(state_.applied.apply.with_base, true));
    LOCKSTEP_TRY(applier_, Applier::resume(tools_.disk, *staging_, part(), job_.base_manifest,
                                           state_.applied.apply));
    state_.sealing = false;
    outcome_.resumed_from = state_.applied.sequence;
    return {};
  }

  // Before the sender starts: it waits for that as for any preparation.
  Result<void> have_carried() {
    if (!carrying() || !job_.carry) return {};
    LOCKSTEP_TRY(state_.carried,
                 job_.carry(staging_->carried_to(), !state_.applied.apply.with_base, job_.stop));
    return check_carried(*state_.carried);
  }

  // Whether an engine may bring what would travel whole, and nobody knows yet what it brought.
  bool carrying() const {
    return job_.may_be_carried && staging_ && !state_.complete && !state_.carried &&
           state_.applied.sequence == 0 && !staging_->carried_to().empty();
  }

  Result<void> begin() {
    IntakeOptions options;
    options.transfer = transfer_tag(job_.transfer);
    options.epoch = job_.epoch;
    options.window = window_;
    options.sequence = state_.applied.sequence;
    options.chain = state_.applied.chain;
    between_packs_ = true;
    intake_ = std::make_unique<Intake>(*channel_, options);
    released_ = unjournaled_ = 0;
    return say_start();
  }

  Result<void> say_start() {
    Control start("start");
    start.set("base", state_.applied.apply.with_base ? 1 : 0).set("window", window_);
    start.set("sequence", state_.applied.sequence).digest("chain", state_.applied.chain);
    start.set("seen", state_.seen).set("received", state_.received).set("again", state_.again);
    if (carrying()) start.bytes("carry_to", staging_->carried_to());
    if (state_.carried) tell_carried(start.set("had", 1), *state_.carried);
    return channel_->send({start.encode(), {}});
  }

  // ---- packs -----------------------------------------------------------------------------------
  Result<void> apply(const CheckedPack& pack) {
    if (!applier_)
      return make_error(ErrorCode::stream_hostile, "the sender sends packs of what is sealed");
    const std::uint64_t wire = kPackHeaderBytes + pack.header.wire_length;
    state_.received += wire;
    if (pack.header.sequence <= state_.seen) state_.again += wire;
    state_.seen = std::max(state_.seen, pack.header.sequence);
    between_packs_ = false;
    LOCKSTEP_TRY(const std::vector<Record> records, pack.records());
    for (const Record& record : records) {
      if (record.kind == RecordKind::entry) staging_->expect(record.entry);
    }
    for (const Record& record : records) LOCKSTEP_CHECK(applier_->apply(record));
    state_.applied.sequence = pack.header.sequence;
    state_.applied.chain = pack.header.chain;
    between_packs_ = true;
    ++outcome_.packs;
    os::failpoint("stream-applied");
    unjournaled_ += pack.header.raw_length;
    uncheckpointed_ += pack.header.raw_length;
    if (uncheckpointed_ >= job_.checkpoint_bytes || now() - checkpointed_ >= job_.checkpoint_time)
      LOCKSTEP_CHECK(checkpoint());
    return unjournaled_ >= window_ / 4 ? give_credit() : Result<void>{};
  }

  Result<void> checkpoint() {
    LOCKSTEP_CHECK(staging_->checkpoint());
    LOCKSTEP_TRY(state_.applied.apply, applier_->state());
    LOCKSTEP_CHECK(applier_->sync_manifest());
    state_.durable = state_.applied;
    uncheckpointed_ = 0;
    checkpointed_ = now();
    return {};
  }

  Result<void> keep_applied() {
    LOCKSTEP_TRY(state_.applied.apply, applier_->state());
    return save();
  }

  // Journaled first: what the sender may forget is never asked for again.
  Result<void> give_credit() {
    LOCKSTEP_CHECK(keep_applied());
    os::failpoint("stream-journaled");
    released_ += unjournaled_;
    intake_->release(unjournaled_);
    unjournaled_ = 0;
    Control credit("credit");
    credit.set("sequence", state_.applied.sequence).set("durable", state_.durable.sequence);
    credit.set("released", released_);
    return channel_->send({credit.encode(), {}});
  }

  // ---- control ---------------------------------------------------------------------------------
  Error fail_of_peer(const Control& control) {
    told_by_peer_ = true;
    return error_of(control);
  }

  // True at the end of the transfer.
  Result<bool> heed(const Control& control) {
    if (control.type() == "fail") return fail_of_peer(control);
    if (control.type() == "working") {
      // What is counted ends above 0, or there is nothing to tell of.
      if (const std::uint64_t expected = control.number("expected"); expected > 0) {
        progress_.expected = Forecast{expected, control.number("at_most") != 0};
        LOCKSTEP_CHECK(check_room());
      }
      return false;
    }
    if (control.type() == "carried" && carrying()) {  // the sender had it brought
      state_.carried = heard_carried(control);
      LOCKSTEP_CHECK(save());
      return false;
    }
    if (control.type() == "fin") {
      LOCKSTEP_CHECK(finish(control));
      return true;
    }
    if (control.type() == "restart" && !state_.complete) {
      refused(control.string("why"));
      const bool with_base = state_.applied.apply.with_base;
      LOCKSTEP_CHECK(start_anew());
      LOCKSTEP_CHECK(stage(with_base));
      LOCKSTEP_CHECK(have_carried());
      intake_->restart();
      released_ = unjournaled_ = 0;
      LOCKSTEP_CHECK(say_start());
      return false;
    }
    return make_error(ErrorCode::stream_protocol, "the sender said " + control.type());
  }

  Result<void> check_room() {
    const Forecast& all = *progress_.expected;
    if (!job_.room || all.at_most || !applier_ || std::exchange(room_asked_, true)) return {};
    return job_.room(all.bytes - std::min(all.bytes, applier_->bytes()));
  }

  Result<void> finish(const Control& fin) {
    const auto root = fin.digest<32>("root");
    if (!root || fin.number("sequence") != state_.applied.sequence ||
        fin.digest<16>("chain") != state_.applied.chain)
      return make_error(ErrorCode::stream_protocol, "the sender ends elsewhere than its packs do");
    ManifestSummary summary;
    if (state_.complete) {
      LOCKSTEP_TRY(summary, read_manifest_summary(tools_.disk, job_.manifest));
    } else {
      LOCKSTEP_CHECK(keep_applied());
      ended_ = true;
      LOCKSTEP_TRY(summary, applier_->finish());
    }
    if (summary.root != *root || summary.entries != fin.number("entries") ||
        summary.bytes != fin.number("bytes"))
      return make_error(ErrorCode::stream_digest,
                        "the set that arrived has another root than the one that was sent");
    outcome_.summary = summary;
    LOCKSTEP_CHECK(state_.complete ? find_version() : seal());
    outcome_.incremental = state_.applied.apply.with_base;
    if (job_.carry && state_.carried) outcome_.carried = state_.carried->how;
    outcome_.bytes_received = state_.received;
    outcome_.bytes_again = state_.again;
    report(true);
    return say_goodbye(summary);
  }

  Result<void> find_version() {
    LOCKSTEP_TRY(const auto version, job_.find_sealed());
    if (!version)
      return make_error(ErrorCode::version_missing, "the version that was sealed is gone");
    outcome_.version = *version;
    return {};
  }

  Result<void> seal() {
    LOCKSTEP_CHECK(channel_->send({Control("sealing").encode(), {}}));
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

  // The sender's answer shows that it knows; without it the sender will ask again.
  Result<void> say_goodbye(const ManifestSummary& summary) {
    Control finack("finack");
    finack.digest("root", summary.root).set("entries", summary.entries).set("bytes", summary.bytes);
    if (!channel_->send({finack.encode(), {}})) return {};
    const auto last = intake_->next(kFarewell, job_.stop);
    const auto* word = last && *last ? std::get_if<Control>(&**last) : nullptr;
    // Of a sender that cannot keep its manifest, without which the next run has no base: what is
    // sealed stays, and the same transfer can be gone on with.
    if (word != nullptr && word->type() == "fail") return fail_of_peer(*word);
    return {};
  }

  // ---- limits ----------------------------------------------------------------------------------
  Result<void> check_limits() {
    if (job_.stop.stop_requested())
      return make_error(ErrorCode::cancelled, "receiving was stopped");
    const MonoNanos at = now();
    if (at - started_ > job_.deadline)
      return make_error(ErrorCode::deadline,
                        "the transfer did not end in time; it waited for the sender");
    if (at - moved_ > job_.stall)
      return make_error(ErrorCode::stalled, "the transfer waited for the sender's packs");
    report(false);
    return {};
  }

  void report(bool now_too) {
    if (!job_.progress || (!now_too && now() - reported_ < kReport)) return;
    reported_ = now();
    if (applier_) {
      progress_.entries = applier_->entries();
      progress_.bytes = applier_->bytes();
    }
    job_.progress(progress_);
  }

  const Tools& tools_;
  Link& link_;
  const ReceiveJob& job_;
  const std::uint64_t window_;
  std::string boot_id_;
  std::optional<Digest256> base_root_;
  ResumeState state_;
  ReceiveOutcome outcome_;
  Progress progress_;

  std::unique_ptr<component::Staging> staging_;
  std::unique_ptr<Applier> applier_;
  bool between_packs_ = true;  // only there is the applier's state one to go on from
  bool room_asked_ = false;
  bool ended_ = false;  // the applier's manifest has its end, and nothing is sealed yet
  std::uint64_t uncheckpointed_ = 0;
  MonoNanos checkpointed_{};
  MonoNanos started_{};
  MonoNanos moved_{};
  MonoNanos reported_{};

  // Of the connection.
  Channel* channel_ = nullptr;
  std::unique_ptr<Intake> intake_;
  bool told_by_peer_ = false;
  std::uint64_t released_ = 0;     // raw bytes given back
  std::uint64_t unjournaled_ = 0;  // raw bytes applied since
};

}  // namespace

Result<ReceiveOutcome> receive_set(const Tools& tools, Link& link, const ReceiveJob& job) {
  return Receiver(tools, link, job).run();
}

}  // namespace lockstep::stream
