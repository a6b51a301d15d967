// A pin as a tree of clones or copies: arm counts, does what it can ahead and estimates the rest;
// pin() does the rest under the fence and proves that nothing changed meanwhile.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>
#include <utility>

#include "common/components/files/native.hpp"
#include "common/components/files/pin_armed.hpp"
#include "common/components/files/pin_mirror.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/remove_tree.hpp"

namespace lockstep::files {

namespace {

// Left between the end of the first pass and the moment, for its sync, the answer and the fences.
constexpr Nanos kBeforeMoment = milliseconds(700);
// The first pass runs at least this long, so that there is something to measure.
constexpr Nanos kLeastAhead = milliseconds(200);
// Where what is left would outlast the fence, the first pass goes on beyond the moment, until this
// long before the answer is due: the moment may still be moved, or a little lateness be allowed.
constexpr Nanos kBeforeDeadline = seconds(1);
// Assumed where next to nothing was copied ahead: that little will hardly matter.
constexpr double kAssumedBytesPerSecond = 100e6;
constexpr std::uint64_t kMeasuredBytes = 1 << 20;

std::uint64_t allocated(const struct ::stat& stat) {
  constexpr std::uint64_t kBlock = 512;  // stat(3type): st_blocks counts these
  return std::min(static_cast<std::uint64_t>(stat.st_size),
                  static_cast<std::uint64_t>(stat.st_blocks) * kBlock);
}

// What there is, and what of it the base has not.
class Count final : public Visitor {
 public:
  explicit Count(OriginReader* base) : base_(base) {}

  Result<void> enter(const Node&) override {
    ++entries;
    return {};
  }
  Result<void> leave(const Node&, int) override { return {}; }
  Result<void> entry(const Node& node) override {
    ++entries;
    ++files;
    if (!S_ISREG(node.stat.st_mode)) return {};
    if (base_ != nullptr) {
      LOCKSTEP_TRY(const auto origin, base_->find(node.path));
      if (origin && origin->inode == node.stat.st_ino && origin->ctime_ns == node.ctime_ns()) {
        return {};
      }
    }
    changed_bytes += allocated(node.stat);
    return {};
  }

  std::uint64_t entries = 0;
  std::uint64_t files = 0;
  std::uint64_t changed_bytes = 0;

 private:
  OriginReader* base_;
};

class ArmedTree final : public component::Armed {
 public:
  ArmedTree(PinRequest&& request, const std::string& base_hold)
      : disk_(request.surroundings.disk),
        clock_(request.surroundings.clock),
        run_(request.context.run),
        stop_(request.context.stop),
        set_(request.set),
        moment_(request.moment),
        deadline_(request.context.deadline),
        progress_(request.context.progress),
        exclude_(std::move(request.exclude)),
        place_(std::move(request.place)),
        directory_(std::move(request.directory)),
        hold_(std::move(request.hold)),
        base_hold_(base_hold) {}

  ~ArmedTree() override {
    // Armed and never pinned: nothing of it may stay. What cannot be removed now is found by
    // list().
    if (!pinned_) (void)remove_pin(disk_, hold_);
  }

  Result<void> arm() {
    LOCKSTEP_CHECK(sync(place_.root.get()));
    LOCKSTEP_CHECK(make_places());
    reflink_ = can_reflink();
    LOCKSTEP_TRY(const Count count, count_set());
    LOCKSTEP_CHECK(check_space(count));
    LOCKSTEP_CHECK(first_pass(count));
    LOCKSTEP_CHECK(sync(tree_.get()));
    const MonoNanos begun = clock_.mono();
    LOCKSTEP_CHECK(sync(place_.root.get()));
    sync_time_ = clock_.mono() - begun;
    return make_estimate(count);
  }

  const component::Estimate& estimate() const override { return estimate_; }
  Result<Interval> raise_fence(Nanos) override { return no_fence(); }
  Result<component::FenceEnd> lower_fence() override { return no_fence(); }

  Result<component::Pinned> pin() override {
    auto pinned = second_pass();
    pinned_ = pinned.has_value();
    if (!pinned_) (void)remove_pin(disk_, hold_);
    return pinned;
  }

  Result<component::Version> settle(const component::Context&) override {
    if (!pinned_) return make_error(ErrorCode::pin_lost, "there is no pin to settle", hold_);
    links_.reset();
    LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, hold_ + "/links"));
    LOCKSTEP_CHECK(os::remove_tree(disk_, os::kCwd, hold_ + "/ahead"));
    // Until here the pin survives the agent's death; from here a power loss too.
    LOCKSTEP_CHECK(sync(tree_.get()));
    return version();
  }

 private:
  Error no_fence() const {
    return make_error(ErrorCode::not_supported, "files have no lock of their own",
                      set_.place.location, "fence the writers with a hook or their cgroup");
  }

  component::Version version() const {
    return {set_.id, set_.component, run_,
            to_text({.tree = hold_ + "/tree",
                     .hold = hold_,
                     .form = "tree",
                     .uuid = {},
                     .exclude = {},
                     .settled_before_ns = 0})};
  }

  WalkOptions options(bool live) {
    return {.shown = set_.place.location,
            .scratch = hold_,
            .live = live,
            .directories_only = false,
            .stop = stop_,
            .walked = [this] { moved(1, 0); }};
  }

  // Tells who waits that arming goes on.
  void moved(std::uint64_t directories, std::uint64_t bytes) {
    moved_entries_ += directories;
    moved_bytes_ += bytes;
    if (progress_) progress_(moved_entries_, moved_bytes_);
  }

  Result<void> sync(int descriptor) {
    auto synced = disk_.syncfs(descriptor);
    if (synced) return {};
    return os::write_error(synced.error(), "sync the file system of", set_.place.location);
  }

  Result<os::Fd> make_place(const std::string& path) {
    if (auto made = disk_.make_directory(os::kCwd, path, 0700); !made) {
      return os::write_error(made.error(), "make the directory", path);
    }
    auto opened = disk_.open(os::kCwd, path, O_RDONLY | O_DIRECTORY);
    if (!opened) return os::write_error(opened.error(), "open the directory", path);
    // Below a default ACL all that is made would carry it.
    (void)disk_.remove_xattr(opened->get(), "system.posix_acl_default");
    return std::move(*opened);
  }

  Result<void> make_places() {
    LOCKSTEP_TRY(hold_directory_, make_place(hold_));
    LOCKSTEP_TRY(tree_, make_place(hold_ + "/tree"));
    LOCKSTEP_TRY(links_, make_place(hold_ + "/links"));
    if (base_hold_.empty()) return {};
    auto base = disk_.open(os::kCwd, base_hold_ + "/tree", O_RDONLY | O_DIRECTORY);
    if (base) base_tree_ = std::move(*base);
    return {};
  }

  bool can_reflink() {
    auto from = disk_.open(hold_directory_.get(), "from", O_RDWR | O_CREAT, 0600);
    auto to = disk_.open(hold_directory_.get(), "to", O_RDWR | O_CREAT, 0600);
    bool works = false;
    if (from && to) {
      const std::string block(4096, 'x');
      works = disk_.write_at(from->get(), 0, std::as_bytes(std::span(block))).has_value() &&
              disk_.reflink(to->get(), from->get()).has_value();
    }
    (void)disk_.unlink(hold_directory_.get(), "from");
    (void)disk_.unlink(hold_directory_.get(), "to");
    return works;
  }

  // The base's record, from its start; nothing where there is no base.
  Result<std::optional<OriginReader>> open_base() {
    if (!base_tree_) return std::optional<OriginReader>{};
    auto reader = OriginReader::open(disk_, origin_path(base_hold_));
    if (!reader) return std::optional<OriginReader>{};  // dropped meanwhile: done without
    return std::optional<OriginReader>(std::move(*reader));
  }

  Result<Count> count_set() {
    LOCKSTEP_TRY(std::optional<OriginReader> base, open_base());
    Count count(base ? &*base : nullptr);
    const MonoNanos begun = clock_.mono();
    LOCKSTEP_CHECK(walk(disk_, place_.root.get(), exclude_, options(true), count));
    walk_time_ = clock_.mono() - begun;
    return count;
  }

  Result<void> check_space(const Count& count) {
    auto space = disk_.space(tree_.get());
    if (!space) return os::write_error(space.error(), "ask for the free space of", directory_);
    const std::uint64_t wanted = reflink_ ? 0 : count.changed_bytes;
    if (space->free_bytes > wanted &&
        (space->total_inodes == 0 || base_tree_ || space->free_inodes > count.entries)) {
      return {};
    }
    return make_error(ErrorCode::no_space,
                      "the pin needs " + std::to_string(wanted) + " bytes and " +
                          std::to_string(count.entries) + " inodes, there are " +
                          std::to_string(space->free_bytes) + " bytes and " +
                          std::to_string(space->free_inodes) + " inodes",
                      directory_);
  }

  MirrorPlan plan(bool live, std::int64_t settled_before_ns) const {
    MirrorPlan plan;
    plan.shown = set_.place.location;
    plan.scratch = hold_;
    plan.live = live;
    plan.settled_before_ns = settled_before_ns;
    plan.tree = tree_.get();
    plan.links = links_.get();
    if (base_tree_) plan.base_tree = base_tree_.get();
    return plan;
  }

  Result<void> first_pass(const Count& count) {
    LOCKSTEP_TRY(OriginWriter record, OriginWriter::create(disk_, hold_ + "/ahead"));
    LOCKSTEP_TRY(std::optional<OriginReader> base, open_base());
    const MonoNanos begun = clock_.mono();
    const UtcNanos now = clock_.utc();
    const Nanos wanted = std::max(kLeastAhead, moment_ - kBeforeMoment - now);
    const Nanos most = deadline_ ? std::max(wanted, *deadline_ - kBeforeDeadline - now) : wanted;
    const Mirror* passing = nullptr;
    const InodeCopier* copying = nullptr;
    std::uint64_t told = 0;
    const auto enough = [&] {
      if (copying != nullptr) moved(0, copying->bytes() - std::exchange(told, copying->bytes()));
      if (stop_.stop_requested()) return true;
      const Nanos passed = clock_.mono() - begun;
      if (passed < wanted) return false;
      if (passed >= most || passing == nullptr) return true;
      ahead_ = {passing->counts(), copying->bytes(), copying->spent(), passed};
      return !set_.fenced_from_outside || left_after(count, ahead_).time <= set_.fence_timeout;
    };
    InodeCopier copier(disk_, clock_, reflink_, enough);
    // What mappings had written when the sync at arm began is on disk, and its pages are clean: any
    // later write shows in the ctime.
    MirrorPlan ahead = plan(true, (synced_ - kTick).count);
    ahead.base = base ? &*base : nullptr;
    ahead.record = &record;
    Mirror mirror(disk_, copier, ahead, enough);
    passing = &mirror;
    copying = &copier;
    auto walked = walk(disk_, place_.root.get(), exclude_, options(true), mirror);
    if (!walked && (!mirror.stopped() || stop_.stop_requested())) {
      return std::move(walked).error();
    }
    LOCKSTEP_CHECK(record.finish());
    ahead_ = {mirror.counts(), copier.bytes(), copier.spent(), clock_.mono() - begun};
    return {};
  }

  // What the first pass did, and what that tells of the rest.
  struct Ahead {
    MirrorCounts counts;
    std::uint64_t bytes = 0;
    Nanos copying;  // of it: content
    Nanos time;
  };
  struct Left {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    double bytes_per_second = 0;
    Nanos time;
  };
  Left left_after(const Count& count, const Ahead& ahead) const {
    Left left;
    left.files = count.files - std::min(count.files, ahead.counts.done);
    left.bytes = reflink_ ? 0 : count.changed_bytes - std::min(count.changed_bytes, ahead.bytes);
    left.bytes_per_second =
        ahead.bytes > kMeasuredBytes && ahead.copying.count > 0
            ? static_cast<double>(ahead.bytes) * 1e9 / static_cast<double>(ahead.copying.count)
            : kAssumedBytesPerSecond;
    // With reflinks copying content is part of what an entry costs.
    const Nanos on_entries = reflink_ ? ahead.time : ahead.time - ahead.copying;
    const double an_entry = ahead.counts.entries > 0 ? static_cast<double>(on_entries.count) /
                                                           static_cast<double>(ahead.counts.entries)
                                                     : 0.0;
    // The second pass and the proof each look at everything once more; directories get their
    // metadata in between.
    const Nanos walks{walk_time_.count * 3};
    const double rest = static_cast<double>(left.files) * an_entry +
                        static_cast<double>(left.bytes) / left.bytes_per_second * 1e9;
    left.time = kTick + sync_time_ + walks + Nanos{static_cast<std::int64_t>(rest)};
    return left;
  }

  Result<void> make_estimate(const Count& count) {
    const Left left = left_after(count, ahead_);
    estimate_.pin = left.time;
    estimate_.needs_fence = true;
    estimate_.one_instant = false;
    estimate_.method = reflink_ ? "reflink-clone" : "copy";
    if (!set_.fenced_from_outside || estimate_.pin <= set_.fence_timeout) return {};
    return make_error(
        ErrorCode::fence_too_long,
        "the pin would take about " + to_duration(estimate_.pin) + " under a fence of " +
            to_duration(set_.fence_timeout) + ": of " + std::to_string(count.entries) +
            " entries " + std::to_string(left.files) + ", and " + std::to_string(left.bytes) +
            " bytes, are left to " + (reflink_ ? "clone" : "copy") + ", at " +
            std::to_string(static_cast<std::uint64_t>(left.bytes_per_second / 1e6)) + " MB/s",
        set_.place.location,
        "put the data on btrfs (or XFS), exclude what need not be kept, raise arm_ahead so that "
        "more is copied before the fence, or raise the fence's timeout");
  }

  Result<component::Pinned> second_pass() {
    component::Pinned pinned;
    const UtcNanos begun = clock_.utc();
    // What was written last before the fence carries a ctime up to `begun`; it must lie more than a
    // tick before what the proof allows.
    const Nanos wait = kTick + milliseconds(1);
    if (clock_.wait_for(wait, stop_) == Clock::Wake::stopped) {
      return make_error(ErrorCode::cancelled, "the pin was stopped", set_.place.location);
    }
    // Mappings: a page that is dirty already is written without a trace in the ctime. The sync
    // makes all pages clean, so that from its beginning on the first write to each page leaves one:
    // the proof reaches back to there, not only to `requested`.
    const std::int64_t settled_before =
        std::max(begun + milliseconds(1), clock_.utc() - kTick).count;
    LOCKSTEP_CHECK(sync(place_.root.get()));
    pinned.interval.requested = clock_.utc();

    LOCKSTEP_TRY(OriginWriter record, OriginWriter::create(disk_, origin_path(hold_)));
    LOCKSTEP_TRY(OriginReader ahead, OriginReader::open(disk_, hold_ + "/ahead"));
    LOCKSTEP_TRY(std::optional<OriginReader> base, open_base());
    const auto stopped = [this] { return stop_.stop_requested(); };
    InodeCopier copier(disk_, clock_, reflink_, stopped);
    MirrorPlan second = plan(false, settled_before);
    second.base = base ? &*base : nullptr;
    second.ahead = &ahead;
    second.record = &record;
    Mirror mirror(disk_, copier, second, stopped);
    LOCKSTEP_CHECK(walk(disk_, place_.root.get(), exclude_, options(false), mirror));
    LOCKSTEP_CHECK(
        prove_settled(disk_, place_.root.get(), exclude_, options(false), settled_before));
    LOCKSTEP_CHECK(still_in_place(disk_, place_));
    pinned.interval.acknowledged = clock_.utc();
    LOCKSTEP_CHECK(record.finish());
    os::failpoint("files.pin.made");

    pinned.durable = true;
    pinned.one_instant = false;
    pinned.quiet = true;  // prove_settled() said so, or there would be no pin
    pinned.method = estimate_.method;
    pinned.caveats.push_back(
        set_.fenced_from_outside
            ? "the tree was " + std::string(reflink_ ? "cloned" : "copied") +
                  " file by file under the fence; that nothing changed meanwhile is proved by the "
                  "change time of every inode"
            : "the tree was " + std::string(reflink_ ? "cloned" : "copied") +
                  " file by file without a fence; it was quiet, as the change time of every inode "
                  "proves");
    pinned.version = version();
    return pinned;
  }

  os::Disk& disk_;
  const Clock& clock_;
  std::string run_;
  std::stop_token stop_;
  component::DataSet set_;
  UtcNanos moment_;
  std::optional<UtcNanos> deadline_;
  std::function<void(std::uint64_t, std::uint64_t)> progress_;
  std::uint64_t moved_entries_ = 0;
  std::uint64_t moved_bytes_ = 0;
  Exclude exclude_;
  PinPlace place_;
  std::string directory_;
  std::string hold_;
  std::string base_hold_;
  os::Fd hold_directory_, tree_, links_, base_tree_;
  bool reflink_ = false;
  bool pinned_ = false;
  UtcNanos synced_ = clock_.utc();  // just before the sync at arm
  Nanos walk_time_, sync_time_;
  Ahead ahead_;
  component::Estimate estimate_;
};

}  // namespace

Result<std::unique_ptr<component::Armed>> arm_tree(PinRequest request,
                                                   const std::string& base_hold) {
  auto armed = std::make_unique<ArmedTree>(std::move(request), base_hold);
  LOCKSTEP_CHECK(armed->arm());
  return std::unique_ptr<component::Armed>(std::move(armed));
}

}  // namespace lockstep::files
