#include "common/stream/send.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <future>
#include <memory>

#include "common/os/failpoint.hpp"
#include "common/stream/carrying.hpp"
#include "common/stream/control.hpp"
#include "common/stream/farewell.hpp"
#include "common/stream/manifest_writer.hpp"
#include "common/stream/pace.hpp"
#include "common/stream/production.hpp"

namespace lockstep::stream {
namespace {

constexpr Nanos kTick = milliseconds(10);
constexpr Nanos kWait = milliseconds(100);
constexpr Nanos kReport = milliseconds(200);
constexpr Nanos kTellWork = seconds(2);
constexpr auto kPoll = std::chrono::milliseconds(100);
constexpr std::uint64_t kSlowBacklog = 2 << 20;

class Sender {
 public:
  Sender(const Tools& tools, Link& link, const SendJob& job)
      : tools_(tools), link_(link), job_(job), pace_(job.bandwidth) {}

  Result<SendOutcome> run() {
    auto done = transfer();
    forecaster_.reset();
    production_.reset();
    // A sender that starts again walks again: what it wrote is of no use to it.
    if (!done) static_cast<void>(tools_.disk.unlink(os::kCwd, part()));
    return done;
  }

 private:
  std::string part() const { return job_.manifest + ".part"; }

  Result<SendOutcome> transfer() {
    started_ = moved_ = now();
    auto base = root_of_base(tools_.disk, job_.base_manifest, outcome_.base_refused);
    if (!base) return tell_and_fail(link_, base.error(), job_.stop);
    base_root_ = *base;
    while (true) {
      LOCKSTEP_TRY(auto channel, link_.open(std::min(left(), job_.stall), job_.stop));
      channel_ = channel.get();
      moved_ = now();
      auto done = session();
      if (done) return outcome_;
      const Error error = last_words(done.error());
      if (!told_by_peer_ && error.code != ErrorCode::stream_peer_lost)
        static_cast<void>(channel->send({fail_control("fail", error).encode(), {}}));
      if (told_by_peer_ || error.code != ErrorCode::stream_peer_lost) return error;
      if (left().count <= 0) return error;
      ++outcome_.reconnects;
    }
  }

  // Sending to a peer that has left fails before what it said is heard: why it left, perhaps.
  Error last_words(Error error) {
    if (told_by_peer_ || error.code != ErrorCode::stream_peer_lost) return error;
    auto heard = listen(Nanos{0});
    return !heard && told_by_peer_ ? std::move(heard).error() : error;
  }

  // A pack that was sent and for which no credit has come.
  struct UnderWay {
    PackHeader header;
    Blob body;
    std::uint64_t content = 0;
  };

  MonoNanos now() const { return tools_.clock.mono(); }
  Nanos left() const { return started_ + job_.deadline - now(); }

  // One connection, from greeting to the end.
  Result<void> session() {
    LOCKSTEP_CHECK(greet());
    LOCKSTEP_CHECK(repeat_under_way());
    while (true) {
      while (!production_->ended() || held_) {
        LOCKSTEP_CHECK(
            check_limits(in_flight() >= window_ ? "the receiver's credit" : "the source"));
        LOCKSTEP_CHECK(listen(Nanos{0}));
        LOCKSTEP_CHECK(send_next());
      }
      if (!skipping()) return end();
      LOCKSTEP_CHECK(
          refuse_resumption("the version makes fewer packs than the receiver has applied"));
    }
  }

  Result<void> greet() {
    Control hello("hello");
    hello.set("v", 1).text("transfer", job_.transfer).set("epoch", job_.epoch);
    if (base_root_) hello.digest("base", *base_root_);
    patient_ = true;
    forecast_told_ = false;
    finack_.reset();
    ended_ = false;
    LOCKSTEP_CHECK(channel_->send({hello.encode(), {}}));
    return wait_for_start();
  }

  Result<void> wait_for_start() {
    start_.reset();
    while (!start_) {
      LOCKSTEP_CHECK(check_limits("the receiver's start"));
      LOCKSTEP_CHECK(listen(kWait));
    }
    return begin_at_start();
  }

  // Takes up where the receiver stands: with the packs that are kept, or by a new walk.
  Result<void> begin_at_start() {
    patient_ = false;
    moved_ = now();
    const Control start = *start_;
    const std::uint64_t sequence = start.number("sequence");
    const auto chain = start.digest<16>("chain");
    const bool base = start.number("base") != 0;
    window_ = start.number("window");
    if (window_ > kMostWindow)  // it is what may lie in this process's memory
      return make_error(ErrorCode::stream_hostile, "the receiver's window is beyond all measure");
    if (!chain || window_ < kLeastWindow || (base && !base_root_))
      return make_error(ErrorCode::stream_protocol, "the receiver's start is not as it should be");
    if (!greeted_) {
      earlier_bytes_ = start.number("received");
      outcome_.bytes_resent += start.number("again");
      greeted_ = true;
    }
    highest_sent_ = std::max(highest_sent_, start.number("seen"));
    released_ = sent_ = 0;
    if (!can_go_on(base, sequence)) {
      LOCKSTEP_CHECK(have_carried(start));
      return start_walk(base, sequence, *chain);
    }
    while (!under_way_.empty() && under_way_.front().header.sequence <= sequence)
      drop_acknowledged();
    if (chain_acknowledged_ != *chain)
      return refuse_resumption("what the receiver applied is not what was sent to it");
    return {};
  }

  // What an engine brings, or brought before, need not be sent. The receiver keeps what came of it,
  // for the packs follow from it.
  Result<void> have_carried(const Control& start) {
    carried_ = {};
    const std::string& to = start.string("carry_to");
    if (start.number("had") != 0) {
      carried_ = heard_carried(start);
    } else if (!to.empty() && job_.carry) {
      LOCKSTEP_TRY(carried_, carry(to, start.number("base") == 0));
      LOCKSTEP_CHECK(check_carried(carried_));
      Control told("carried");
      tell_carried(told, carried_);
      LOCKSTEP_CHECK(channel_->send({told.encode(), {}}));
    }
    outcome_.carried = carried_.how;
    moved_ = now();
    return {};
  }

  // While it lasts the receiver is told that there is work, and heard. That the connection broke
  // shows afterwards: what was brought by then is there.
  Result<component::Carried> carry(const std::string& to, bool whole) {
    std::stop_source ending;
    auto asked = std::async(std::launch::async, [this, &to, whole, token = ending.get_token()] {
      return job_.carry(to, whole, token);
    });
    std::optional<Error> reason;  // why it was ended
    for (bool deaf = false; asked.wait_for(kPoll) != std::future_status::ready;) {
      moved_ = now();
      auto on = check_limits("the engine");
      if (on && !deaf) {
        if (now() - told_ >= kTellWork) {
          told_ = now();
          static_cast<void>(channel_->send({Control("working").encode(), {}}));
        }
        on = listen(Nanos{0});
        deaf = !on && !told_by_peer_ && on.error().code == ErrorCode::stream_peer_lost;
      }
      if (on || deaf || reason) continue;
      reason = on.error();
      ending.request_stop();
    }
    auto carried = asked.get();
    if (reason) return std::move(*reason);
    return carried;
  }

  bool can_go_on(bool base, std::uint64_t sequence) const {
    if (!production_ || base != with_base_ || skipping()) return false;
    return sequence >= acknowledged_ && sequence <= acknowledged_ + under_way_.size();
  }

  Result<void> start_walk(bool base, std::uint64_t sequence, const Digest128& chain) {
    production_.reset();
    under_way_.clear();
    held_.reset();
    with_base_ = outcome_.incremental = base;
    forecaster_.reset();
    progress_.expected.reset();
    acknowledged_ = 0;
    chain_acknowledged_ = {};
    skip_to_ = sequence;
    skip_chain_ = chain;
    PlanJob plan;
    plan.source = job_.source;
    plan.manifest_part = part();
    plan.sum_of_carried = sums_of(*job_.source, carried_);
    if (base) {
      plan.base_manifest = job_.base_manifest;
      plan.base = job_.base;
    }
    ProductionOptions options;
    options.transfer = job_.transfer;
    options.epoch = job_.epoch;
    options.compress = job_.compress;
    options.threads = job_.compress_threads;
    options.skip_to = sequence;
    production_ = std::make_unique<Production>(tools_.disk, std::move(plan), options);
    production_->wire_is_slow(pace_.limited());
    return {};
  }

  // True while packs that the receiver has are made again for their chain.
  bool skipping() const { return acknowledged_ < skip_to_; }

  Result<void> refuse_resumption(const std::string& why) {
    outcome_.resume_refused = why;
    Control restart("restart");
    restart.bytes("why", why);
    LOCKSTEP_CHECK(channel_->send({restart.encode(), {}}));
    production_.reset();
    skip_to_ = 0;
    return wait_for_start();
  }

  std::uint64_t in_flight() const { return sent_ - std::min(sent_, released_); }

  // Sends one pack, or waits a little for what it needs.
  Result<void> send_next() {
    if (!held_) {
      LOCKSTEP_TRY(held_, production_->next(kTick));
      if (!held_) return {};
      moved_ = now();
    }
    if (held_->header.sequence <= skip_to_) return pass_over();
    if (in_flight() > 0 && in_flight() + held_->header.raw_length > window_) return listen(kWait);
    if (const Nanos wait = pace_.wait(now()); wait.count > 0) return listen(std::min(wait, kWait));
    progress_.bytes += held_->content;
    // Under way from here on: if the connection ends in the middle, the next one repeats it.
    under_way_.push_back({held_->header, Blob(std::move(held_->body)), held_->content});
    held_.reset();
    return transmit(under_way_.back());
  }

  Result<void> pass_over() {
    acknowledged_ = held_->header.sequence;
    chain_acknowledged_ = held_->header.chain;
    progress_.bytes += held_->content;
    ++outcome_.packs;
    held_.reset();
    if (skipping() || chain_acknowledged_ == skip_chain_) return {};
    return refuse_resumption(
        "the version or its base does not make the packs that the receiver has applied");
  }

  Result<void> repeat_under_way() {
    for (const UnderWay& pack : under_way_) {
      // They fitted into the window once; it is the same.
      LOCKSTEP_CHECK(transmit(pack));
    }
    return {};
  }

  Result<void> transmit(const UnderWay& pack) {
    const std::uint64_t bytes = kPackHeaderBytes + pack.header.wire_length;
    auto head = std::make_unique<Buffer>(encode_header(pack.header));
    LOCKSTEP_CHECK(channel_->send({Blob(std::move(head)), pack.body.share()}));
    os::failpoint("stream-sent");
    if (pack.header.sequence <= highest_sent_) outcome_.bytes_resent += bytes;
    highest_sent_ = std::max(highest_sent_, pack.header.sequence);
    own_bytes_ += bytes;
    sent_ += pack.header.raw_length;
    pace_.sent(bytes, now());
    moved_ = now();
    if (!pace_.limited()) production_->wire_is_slow(channel_->backlog() > kSlowBacklog);
    return {};
  }

  void drop_acknowledged() {
    acknowledged_ = under_way_.front().header.sequence;
    chain_acknowledged_ = under_way_.front().header.chain;
    ++outcome_.packs;
    under_way_.pop_front();
  }

  // Handles what the receiver says, waiting for the first of it at most `timeout`.
  Result<void> listen(Nanos timeout) {
    while (true) {
      LOCKSTEP_TRY(const auto frame, channel_->receive(timeout, job_.stop));
      if (!frame) return {};
      const auto control = Control::decode(frame->head.text());
      if (!control)
        return make_error(ErrorCode::stream_hostile, "the receiver said what is no control frame");
      LOCKSTEP_CHECK(heed(*control));
      timeout = Nanos{0};
    }
  }

  Result<void> heed(const Control& control) {
    if (control.type() == "fail") {
      told_by_peer_ = true;
      return error_of(control);
    }
    if (control.type() == "credit") {
      const std::uint64_t released = control.number("released");
      const std::uint64_t sequence = control.number("sequence");
      if (released > sent_ || released < released_ ||
          sequence > acknowledged_ + under_way_.size() || control.number("durable") > sequence)
        return make_error(ErrorCode::stream_hostile,
                          "the receiver gives credit for what was not sent");
      if (released > released_) moved_ = now();
      released_ = released;
      while (!under_way_.empty() && under_way_.front().header.sequence <= sequence)
        drop_acknowledged();
    } else if (control.type() == "start") {
      start_ = control;
    } else if (control.type() == "sealing") {
      patient_ = true;
    } else if (control.type() == "working") {
      moved_ = now();
    } else if (control.type() == "finack" && ended_) {
      finack_ = control;
    } else {
      return make_error(ErrorCode::stream_protocol, "the receiver said " + control.type());
    }
    return {};
  }

  Result<void> check_limits(const char* waiting_for) {
    if (job_.stop.stop_requested()) return make_error(ErrorCode::cancelled, "sending was stopped");
    const MonoNanos at = now();
    if (at - started_ > job_.deadline)
      return make_error(
          ErrorCode::deadline,
          std::string("the transfer did not end in time; it waited for ") + waiting_for);
    LOCKSTEP_CHECK(tell_of_work(at));
    LOCKSTEP_CHECK(tell_forecast(at));
    // What the receiver does before its start and while it seals has no steps to see: the deadline
    // alone limits it, and its silence.
    if (!patient_ && at - moved_ > job_.stall)
      return make_error(ErrorCode::stalled, std::string("the transfer waited for ") + waiting_for);
    if (job_.progress && at - reported_ > kReport) {
      reported_ = at;
      job_.progress(progress_);
    }
    return {};
  }

  // A walk that finds nothing to send must not look like a stall to the receiver.
  Result<void> tell_of_work(MonoNanos at) {
    const bool paced = pace_.wait(at).count > 0;
    if (!production_ || (production_->steps() == steps_ && !paced)) return {};
    steps_ = production_->steps();
    progress_.entries = production_->walked();
    moved_ = at;
    if (at - told_ < kTellWork) return {};
    told_ = at;
    return channel_->send({Control("working").encode(), {}});
  }

  // What there will be to send, once it is known: to the receiver too, which cannot know.
  Result<void> tell_forecast(MonoNanos at) {
    if (!production_ || forecast_told_ || carried_.any) return {};
    if (!progress_.expected) {
      if (at - started_ < job_.forecast_after) return {};
      if (!forecaster_) {
        forecaster_ = std::make_unique<Forecaster>(tools_.disk, *job_.source,
                                                   with_base_ ? job_.base_manifest : "");
      }
      progress_.expected = forecaster_->result();
      if (!progress_.expected) return {};
    }
    forecast_told_ = true;
    Control working("working");
    working.set("expected", progress_.expected->bytes);
    working.set("at_most", progress_.expected->at_most ? 1 : 0);
    return channel_->send({working.encode(), {}});
  }

  Result<void> end() {
    const ManifestSummary& summary = production_->summary();
    const Digest128 chain =
        under_way_.empty() ? chain_acknowledged_ : under_way_.back().header.chain;
    Control fin("fin");
    fin.set("sequence", acknowledged_ + under_way_.size()).digest("chain", chain);
    fin.digest("root", summary.root).set("entries", summary.entries).set("bytes", summary.bytes);
    LOCKSTEP_CHECK(channel_->send({fin.encode(), {}}));
    ended_ = true;
    while (!finack_) {
      LOCKSTEP_CHECK(check_limits("the receiver's seal"));
      LOCKSTEP_CHECK(listen(kWait));
    }
    if (finack_->digest<32>("root") != summary.root)
      return make_error(ErrorCode::stream_digest, "the receiver sealed another root than was sent");
    while (!under_way_.empty()) drop_acknowledged();
    LOCKSTEP_CHECK(publish_manifest(tools_.disk, part(), job_.manifest));
    static_cast<void>(channel_->send({Control("bye").encode(), {}}));
    outcome_.summary = summary;
    outcome_.bytes_sent = earlier_bytes_ + own_bytes_;
    progress_.entries = summary.entries;
    if (job_.progress) job_.progress(progress_);
    return {};
  }

  const Tools& tools_;
  Link& link_;
  const SendJob& job_;
  Pace pace_;
  MonoNanos started_{};
  MonoNanos moved_{};  // something went on
  MonoNanos reported_{};
  MonoNanos told_{};         // that there is work
  std::uint64_t steps_ = 0;  // of the production, when it was looked at last
  Progress progress_;
  SendOutcome outcome_;
  component::Carried carried_;
  std::optional<Digest256> base_root_;

  // Of the connection.
  Channel* channel_ = nullptr;
  bool told_by_peer_ = false;
  bool patient_ = false;
  std::optional<Control> start_;
  bool ended_ = false;  // fin was said on this connection
  std::optional<Control> finack_;
  std::uint64_t window_ = 0;
  std::uint64_t sent_ = 0;      // raw bytes
  std::uint64_t released_ = 0;  // of them, credit came back

  // Of the walk.
  std::unique_ptr<Production> production_;
  std::unique_ptr<Forecaster> forecaster_;
  bool forecast_told_ = false;    // on this connection
  std::optional<WirePack> held_;  // made, and not sent for want of credit
  std::deque<UnderWay> under_way_;
  bool with_base_ = false;
  std::uint64_t acknowledged_ = 0;  // the last pack that the receiver has applied for certain
  Digest128 chain_acknowledged_{};
  std::uint64_t skip_to_ = 0;
  Digest128 skip_chain_{};

  bool greeted_ = false;
  std::uint64_t highest_sent_ = 0;
  std::uint64_t earlier_bytes_ = 0;
  std::uint64_t own_bytes_ = 0;
};

}  // namespace

Result<SendOutcome> send_set(const Tools& tools, Link& link, const SendJob& job) {
  return Sender(tools, link, job).run();
}

}  // namespace lockstep::stream
