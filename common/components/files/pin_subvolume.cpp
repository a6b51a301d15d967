#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "common/components/files/native.hpp"
#include "common/components/files/pin_armed.hpp"
#include "common/components/files/pin_mirror.hpp"
#include "common/components/files/store.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::files {

namespace {

// A snapshot commits a transaction: some milliseconds, more where writers keep it busy.
constexpr Nanos kUsualSnapshot = milliseconds(50);
constexpr Nanos kMostUnderFence = milliseconds(250);

// Only there to have the walk look at every directory for nested subvolumes.
class NothingToDo final : public Visitor {
 public:
  Result<void> enter(const Node&) override { return {}; }
  Result<void> leave(const Node&, int) override { return {}; }
  Result<void> entry(const Node&) override { return {}; }
};

class ArmedSubvolume final : public component::Armed {
 public:
  ArmedSubvolume(const component::Surroundings& surroundings, const component::DataSet& set,
                 std::string run, PinPlace place, os::Fd store, std::string hold)
      : disk_(surroundings.disk),
        clock_(surroundings.clock),
        id_(set.id),
        component_(set.component),
        exclude_(set.exclude),
        run_(std::move(run)),
        place_(std::move(place)),
        store_(std::move(store)),
        hold_(std::move(hold)) {
    estimate_.pin = kUsualSnapshot;
    estimate_.one_instant = true;
    estimate_.method = "btrfs-snapshot";
  }

  const component::Estimate& estimate() const override { return estimate_; }

  Result<Interval> raise_fence(Nanos) override { return no_fence(); }
  Result<component::FenceEnd> lower_fence() override { return no_fence(); }

  // The snapshot commits what is dirty: 40 to 60 ms of it where writers were busy, for which the
  // pins of other sets would not wait.
  Result<void> ready() override {
    // It writes what anybody made dirty on this file system, the snapshot only what lies in this
    // subvolume: where that took long before the fence, writers are not held for it.
    if (last_sync_ > kMostUnderFence) return {};
    const MonoNanos begun = clock_.mono();
    auto synced = disk_.syncfs(place_.root.get());
    last_sync_ = clock_.mono() - begun;
    if (synced) return {};
    return from_errno(ErrorCode::io, synced.error().number, "sync", hold_);
  }

  Result<component::Pinned> pin() override {
    component::Pinned pinned;
    pinned.interval.requested = clock_.utc();
    auto made =
        disk_.snapshot_subvolume(store_.get(), name_of(hold_), place_.subvolume.get(), true);
    pinned.interval.acknowledged = clock_.utc();
    os::failpoint("files.pin.made");
    if (!made) {
      Error error = os::write_error(made.error(), "snapshot the subvolume into", hold_);
      if (error.code == ErrorCode::target_write) error.code = ErrorCode::pin_failed;
      return error;
    }
    if (auto in_place = still_in_place(disk_, place_); !in_place) {
      (void)remove_pin(disk_, hold_);  // what cannot be removed now is found by list()
      return in_place.error();
    }
    Native native{.tree = hold_,
                  .hold = hold_,
                  .form = "subvolume",
                  .uuid = {},
                  .exclude = exclude_,
                  .settled_before_ns = (pinned.interval.requested - kTick).count};
    if (!place_.inside_subvolume.empty()) native.tree += "/" + place_.inside_subvolume;
    auto opened = disk_.open(store_.get(), name_of(hold_), O_RDONLY | O_DIRECTORY);
    if (opened) {
      if (auto info = disk_.subvolume_info(opened->get())) native.uuid = info->uuid;
    }
    pinned.durable = true;
    pinned.one_instant = true;
    pinned.method = estimate_.method;
    pinned.version = {id_, component_, run_, to_text(native)};
    version_ = pinned.version;
    return pinned;
  }

  // Creating a snapshot commits it: there is nothing left to make durable.
  Result<component::Version> settle(const component::Context&) override {
    if (version_.native.empty()) {
      return make_error(ErrorCode::pin_lost, "there is no pin to settle", hold_);
    }
    return version_;
  }

 private:
  Error no_fence() const {
    return make_error(ErrorCode::not_supported, "files have no lock of their own", hold_,
                      "fence the writers with a hook or their cgroup");
  }

  os::Disk& disk_;
  const Clock& clock_;
  component::SetId id_;
  std::string component_;
  std::vector<std::string> exclude_;
  std::string run_;
  PinPlace place_;
  os::Fd store_;
  std::string hold_;
  component::Estimate estimate_;
  Nanos last_sync_;
  component::Version version_;
};

}  // namespace

Result<std::unique_ptr<component::Armed>> arm_subvolume(PinRequest request) {
  os::Disk& disk = request.surroundings.disk;
  NothingToDo nothing;
  const WalkOptions options{.shown = request.set.place.location,
                            .scratch = request.directory,
                            .live = true,
                            .directories_only = true,
                            .stop = request.context.stop,
                            .walked = [&, seen = std::uint64_t{0}]() mutable {
                              if (request.context.progress) request.context.progress(++seen, 0);
                            }};
  if (!known_without_subvolumes(disk, request.place, request.exclude)) {
    LOCKSTEP_CHECK(walk(disk, request.place.root.get(), request.exclude, options, nothing));
  }
  // What is dirty now need not be written by the snapshot's own commit, at the moment.
  if (auto synced = disk.syncfs(request.place.root.get()); !synced) {
    return from_errno(ErrorCode::io, synced.error().number, "sync", request.set.place.location);
  }
  auto store = disk.open(os::kCwd, request.directory, O_RDONLY | O_DIRECTORY);
  if (!store) return os::write_error(store.error(), "open", request.directory);
  return std::unique_ptr<component::Armed>(std::make_unique<ArmedSubvolume>(
      request.surroundings, request.set, request.context.run, std::move(request.place),
      std::move(*store), std::move(request.hold)));
}

}  // namespace lockstep::files
