#include "common/stream/receive.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "common/os/failpoint.hpp"
#include "common/stream/arriving_set.hpp"
#include "common/stream/carrying.hpp"
#include "common/stream/farewell.hpp"

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
        window_(std::clamp(job.window, kLeastWindow, kMostWindow)),
        set_(tools, job, outcome_) {}

  Result<ReceiveOutcome> run() {
    started_ = moved_ = now();
    if (auto loaded = set_.load(); !loaded) return tell_and_fail(link_, loaded.error(), job_.stop);
    auto done = transfer();
    if (done) return outcome_;
    const Error error = done.error();
    if (may_resume(error.code) || set_.complete()) return error;
    // Nothing partial is kept of what cannot be finished.
    LOCKSTEP_CHECK(set_.forget());
    return error;
  }

 private:
  MonoNanos now() const { return tools_.clock.mono(); }
  Nanos left() const { return started_ + job_.deadline - now(); }

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
      if (may_resume(error.code)) LOCKSTEP_CHECK(set_.interrupted());
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
    LOCKSTEP_TRY(const std::optional<Digest256> base_of_sender, hear_greeting());
    LOCKSTEP_CHECK(set_.prepare(base_of_sender));
    // Before the sender starts: it waits for that as for any preparation.
    LOCKSTEP_CHECK(set_.have_carried());
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

  // The root of the base that the sender has.
  Result<std::optional<Digest256>> hear_greeting() {
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
      return hello->digest<32>("base");
    }
  }

  Result<void> begin() {
    IntakeOptions options;
    options.transfer = transfer_tag(job_.transfer);
    options.epoch = job_.epoch;
    options.window = window_;
    options.sequence = set_.place().sequence;
    options.chain = set_.place().chain;
    intake_ = std::make_unique<Intake>(*channel_, options);
    released_ = unjournaled_ = 0;
    return say_start();
  }

  Result<void> say_start() {
    const ResumeState& before = set_.state();
    Control start("start");
    start.set("base", set_.with_base() ? 1 : 0).set("window", window_);
    start.set("sequence", set_.place().sequence).digest("chain", set_.place().chain);
    start.set("seen", before.seen).set("received", before.received).set("again", before.again);
    if (set_.may_be_carried()) start.bytes("carry_to", set_.carried_to());
    if (before.carried) tell_carried(start.set("had", 1), *before.carried);
    return channel_->send({start.encode(), {}});
  }

  // ---- packs -----------------------------------------------------------------------------------
  Result<void> apply(const CheckedPack& pack) {
    LOCKSTEP_CHECK(set_.apply(pack));
    unjournaled_ += pack.header.raw_length;
    return unjournaled_ >= window_ / 4 ? give_credit() : Result<void>{};
  }

  // Journaled first: what the sender may forget is never asked for again.
  Result<void> give_credit() {
    LOCKSTEP_CHECK(set_.keep());
    os::failpoint("stream-journaled");
    released_ += unjournaled_;
    intake_->release(unjournaled_);
    unjournaled_ = 0;
    Control credit("credit");
    credit.set("sequence", set_.place().sequence).set("durable", set_.durable_sequence());
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
    if (control.type() == "carried" && set_.may_be_carried()) {  // the sender had it brought
      LOCKSTEP_CHECK(set_.was_carried(heard_carried(control)));
      return false;
    }
    if (control.type() == "fin") {
      LOCKSTEP_CHECK(finish(control));
      return true;
    }
    if (control.type() == "restart") {
      LOCKSTEP_CHECK(set_.restart(control.string("why")));
      intake_->restart();
      released_ = unjournaled_ = 0;
      LOCKSTEP_CHECK(say_start());
      return false;
    }
    return make_error(ErrorCode::stream_protocol, "the sender said " + control.type());
  }

  Result<void> check_room() {
    const Forecast& all = *progress_.expected;
    const Applier* applier = set_.applier();
    if (!job_.room || all.at_most || !applier || std::exchange(room_asked_, true)) return {};
    return job_.room(all.bytes - std::min(all.bytes, applier->bytes()));
  }

  Result<void> finish(const Control& fin) {
    const auto root = fin.digest<32>("root");
    if (!root || fin.number("sequence") != set_.place().sequence ||
        fin.digest<16>("chain") != set_.place().chain)
      return make_error(ErrorCode::stream_protocol, "the sender ends elsewhere than its packs do");
    LOCKSTEP_TRY(const ManifestSummary summary, set_.finish());
    if (summary.root != *root || summary.entries != fin.number("entries") ||
        summary.bytes != fin.number("bytes"))
      return make_error(ErrorCode::stream_digest,
                        "the set that arrived has another root than the one that was sent");
    outcome_.summary = summary;
    if (!set_.complete()) LOCKSTEP_CHECK(channel_->send({Control("sealing").encode(), {}}));
    LOCKSTEP_CHECK(set_.seal());
    if (const auto& carried = set_.state().carried; job_.carry && carried)
      outcome_.carried = carried->how;
    outcome_.bytes_received = set_.state().received;
    outcome_.bytes_again = set_.state().again;
    report(true);
    return say_goodbye(summary);
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
    if (const Applier* applier = set_.applier()) {
      progress_.entries = applier->entries();
      progress_.bytes = applier->bytes();
    }
    job_.progress(progress_);
  }

  const Tools& tools_;
  Link& link_;
  const ReceiveJob& job_;
  const std::uint64_t window_;
  ReceiveOutcome outcome_;
  ArrivingSet set_;
  Progress progress_;
  bool room_asked_ = false;
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
