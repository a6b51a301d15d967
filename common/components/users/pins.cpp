#include "common/components/users/pins.hpp"

#include <thread>

#include "common/components/users/hold.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::user_data {

using component::Context;
using component::DataSet;
using component::UserCapture;
using component::Version;
using files::Area;

namespace {

constexpr const char* kMethod = "user-data-read";

class ArmedUsers final : public component::Armed {
 public:
  ArmedUsers(const component::Surroundings& at, const Context& context, const DataSet& set,
             std::unique_ptr<users::Store> store)
      : at_(at),
        id_(set.id),
        run_(context.run),
        hold_(hold_path(set, Area::pins, context.run)),
        store_(std::move(store)) {
    estimate_.method = kMethod;
    estimate_.one_instant = false;
  }

  const component::Estimate& estimate() const override { return estimate_; }

  Result<Interval> raise_fence(Nanos /*timeout*/) override {
    return make_error(ErrorCode::not_supported, "user data has no lock of its own", run_);
  }
  Result<component::FenceEnd> lower_fence() override {
    return make_error(ErrorCode::not_supported, "user data has no lock of its own", run_);
  }

  Result<component::Pinned> pin() override {
    if (reader_.joinable()) {
      return make_error(ErrorCode::pin_failed, "this run has pinned the user data already", run_);
    }
    component::Pinned out;
    out.interval.requested = at_.clock.utc();
    LOCKSTEP_CHECK(os::make_directories(at_.disk, hold_));  // find() shows that there is a pin
    reader_ = std::jthread([this](const std::stop_token& stop) {
      read_ = store_->capture(at_.clock, stop);
      store_.reset();
    });
    out.interval.acknowledged = at_.clock.utc();
    out.version = version_in(hold_, id_, run_);
    out.durable = false;
    out.one_instant = false;
    out.method = kMethod;
    return out;
  }

  Result<Version> settle(const Context& context) override {
    if (settled_) return *settled_;
    if (!reader_.joinable()) {
      return make_error(ErrorCode::pin_lost, "no user data is pinned", run_);
    }
    const std::stop_callback stopped(context.stop, [this] { reader_.request_stop(); });
    reader_.join();
    auto kept = keep();
    read_ =
        Result<users::Reading>(users::Reading{});  // hashes stay in memory no longer than needed
    if (!kept)
      static_cast<void>(one_file::remove_hold(at_.disk, kHeld, hold_));  // else found by find()
    return kept;
  }

 private:
  Result<Version> keep() {
    LOCKSTEP_CHECK(read_);
    const std::string kind = read_->store;
    const std::string document = users::to_document(read_->state, kind);
    if (document.size() > kMostBytes) {
      return make_error(ErrorCode::source_read, "the directory holds more than a point takes of it",
                        std::to_string(document.size()) + " bytes",
                        "carry fewer subtrees, or leave `user_data` out of the policy");
    }
    UserCapture capture{kind, users::digest_of(document), {}, read_->during};
    for (const auto& [id, record] : read_->state) ++capture.records[kind_name(record.kind)];
    const Native native{hold_, std::move(capture)};
    os::failpoint("users.pin.read");
    LOCKSTEP_CHECK(os::write_durably(at_.disk, native.file(), document, {}));
    settled_ = Version{id_, component::kUserData, run_, to_text(native)};
    return *settled_;
  }

  component::Surroundings at_;
  component::SetId id_;
  std::string run_;
  std::string hold_;
  component::Estimate estimate_;
  std::unique_ptr<users::Store> store_;  // the reader's, once it runs
  Result<users::Reading> read_ = users::Reading{};
  std::optional<Version> settled_;
  std::jthread reader_;  // ended before what it works with
};

class Pins final : public component::Snapshots, public component::CapturesUsers {
 public:
  Pins(const component::Surroundings& at, OpenStore open) : at_(at), open_(std::move(open)) {}

  Result<std::unique_ptr<component::Armed>> arm(const Context& context, const DataSet& set,
                                                UtcNanos /*moment*/) override {
    LOCKSTEP_CHECK(check_location(set.place.location));
    if (const auto there = find_hold(at_.disk, set, Area::pins, context.run)) {
      return make_error(ErrorCode::arm_refused, "a pin of this run is in the store", there->native);
    }
    LOCKSTEP_CHECK(os::make_directories(
        at_.disk, files::set_directory(set.place.location, Area::pins, set.id)));
    auto store = open_();
    LOCKSTEP_CHECK(store->probe());
    return std::unique_ptr<component::Armed>(
        std::make_unique<ArmedUsers>(at_, context, set, std::move(store)));
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& set) override {
    return find_hold(at_.disk, set, Area::pins, context.run);
  }
  Result<std::vector<Version>> list(const DataSet& set) override {
    return holds_of(at_.disk, set, Area::pins);
  }
  Result<void> drop(const Context& /*context*/, const Version& version) override {
    LOCKSTEP_TRY(const Native native, native_of(version));
    return one_file::remove_hold(at_.disk, kHeld, native.hold);
  }

  Result<UserCapture> capture_of(const Version& version) const override {
    LOCKSTEP_TRY(Native native, native_of(version));
    if (native.capture) return std::move(*native.capture);
    return make_error(ErrorCode::version_missing, "the pin of the user data was not settled",
                      version.name);
  }

 private:
  component::Surroundings at_;
  OpenStore open_;
};

}  // namespace

std::unique_ptr<component::Snapshots> make_pins(const component::Surroundings& surroundings,
                                                OpenStore open) {
  return std::make_unique<Pins>(surroundings, std::move(open));
}

}  // namespace lockstep::user_data
