#include "common/components/hdfs/pins.hpp"

#include <algorithm>
#include <utility>

#include "common/components/hdfs/native.hpp"
#include "common/components/hdfs/snapshot_names.hpp"

namespace lockstep::hdfs {

using component::Context;
using component::DataSet;
using component::Estimate;
using component::FenceEnd;
using component::Pinned;
using component::Version;

namespace {

constexpr const char* kMethod = "hdfs-snapshot";

Error no_fence() { return make_error(ErrorCode::not_supported, "hdfs has no fence of its own"); }

class ArmedSnapshot final : public component::Armed {
 public:
  ArmedSnapshot(WebHdfs& hdfs, const Clock& clock, DataSet set, std::string run, bool captures,
                Nanos expected)
      : hdfs_(hdfs),
        clock_(clock),
        set_(std::move(set)),
        run_(std::move(run)),
        captures_(captures) {
    estimate_.pin = expected;
    estimate_.one_instant = captures;
    estimate_.method = kMethod;
  }

  const Estimate& estimate() const override { return estimate_; }
  Result<Interval> raise_fence(Nanos) override { return no_fence(); }
  Result<FenceEnd> lower_fence() override { return no_fence(); }

  Result<Pinned> pin() override {
    const std::string& directory = set_.place.location;
    const std::string name = snapshot_name(Use::pin, set_.id, run_);
    Pinned pinned;
    pinned.interval.requested = clock_.utc();
    auto made = hdfs_.create_snapshot(directory, name, set_.fence_timeout);
    pinned.interval.acknowledged = clock_.utc();
    if (!made) {
      Error error = to_error(made.error(), ErrorCode::pin_failed, "pin", directory);
      undo(made.error(), name);
      return error;
    }
    LOCKSTEP_TRY(const auto found, find_version(hdfs_, Use::pin, set_, run_));
    if (!found) {
      return make_error(ErrorCode::pin_failed, "the snapshot that was made is not found",
                        join(directory, ".snapshot/" + name));
    }
    pinned.version = *found;
    LOCKSTEP_TRY(Native native, native_from_text(found->native));
    native.captures_open_files = captures_;
    pinned.version.native = to_text(native);
    pinned.one_instant = captures_;
    pinned.method = kMethod;
    pinned.caveats.emplace_back(
        captures_ ? "Of a file that was open for writing the pin holds what the NameNode knew of: "
                    "bytes that its writer had flushed but not synced with their length "
                    "(hsync, UPDATE_LENGTH) may be missing."
                  : "The NameNode does not fix files that are open for writing "
                    "(dfs.namenode.snapshot.capture.openfiles is false): such a file may hold "
                    "bytes that were written after the pin; that the skew cannot count.");
    pinned.caveats.emplace_back(
        "Access times, storage policies and quotas of HDFS are not carried.");
    pinned_ = pinned.version;
    return pinned;
  }

  Result<Version> settle(const Context&) override {
    if (!pinned_) return make_error(ErrorCode::pin_lost, "nothing was pinned", set_.place.location);
    return *pinned_;
  }

 private:
  // A request whose answer was lost may have made it. What cannot be undone now is found by find(),
  // which the agent asks before it drops a run: the first error is the one to tell.
  void undo(const Failure& failure, const std::string& name) {
    if (failure.trouble == Trouble::lost) {
      (void)hdfs_.remove_snapshot(set_.place.location, name);
    }
  }

  WebHdfs& hdfs_;
  const Clock& clock_;
  DataSet set_;
  std::string run_;
  bool captures_;
  Estimate estimate_;
  std::optional<Version> pinned_;
};

class HdfsSnapshots final : public component::Snapshots {
 public:
  HdfsSnapshots(WebHdfs& hdfs, const Clock& clock) : hdfs_(hdfs), clock_(clock) {}

  Result<std::unique_ptr<component::Armed>> arm(const Context& context, const DataSet& set,
                                                UtcNanos) override {
    const std::string& directory = set.place.location;
    auto status = hdfs_.status(directory);
    if (!status) {
      const bool missing = status.error().trouble == Trouble::missing;
      return to_error(status.error(), missing ? ErrorCode::set_missing : ErrorCode::arm_refused,
                      "look at the directory", directory);
    }
    if (status->kind != Status::Kind::directory) {
      return make_error(ErrorCode::not_supported, "what stands at the place is no directory",
                        directory);
    }
    if (status->encrypted || status->erasure_coded) {
      return make_error(ErrorCode::not_supported,
                        "encryption zones and erasure-coded directories are not carried yet",
                        directory);
    }
    LOCKSTEP_CHECK(need_snapshots(hdfs_, *status, directory, set.place, ErrorCode::arm_refused,
                                  ErrorCode::arm_refused));
    LOCKSTEP_TRY(const auto earlier, find(context, set));
    if (earlier) {
      return make_error(ErrorCode::arm_refused, "a pin of this run lies there already", directory,
                        "drop it first");
    }
    // The connection is warm now: what another look takes, a snapshot will take about.
    const bool captures = hdfs_.captures_open_files().value_or(false);
    const MonoNanos begin = clock_.mono();
    auto again = hdfs_.status(directory);
    if (!again) return to_error(again.error(), ErrorCode::arm_refused, "look at", directory);
    const Nanos took = clock_.mono() - begin;
    return std::unique_ptr<component::Armed>(std::make_unique<ArmedSnapshot>(
        hdfs_, clock_, set, context.run, captures, Nanos{took.count * 4 + 1'000'000}));
  }

  Result<std::optional<Version>> find(const Context& context, const DataSet& set) override {
    return find_version(hdfs_, Use::pin, set, context.run);
  }

  Result<std::vector<Version>> list(const DataSet& set) override {
    return list_versions(hdfs_, Use::pin, set);
  }

  Result<void> drop(const Context&, const Version& version) override {
    return drop_version(hdfs_, Use::pin, version);
  }

 private:
  WebHdfs& hdfs_;
  const Clock& clock_;
};

}  // namespace

std::unique_ptr<component::Snapshots> make_hdfs_snapshots(WebHdfs& hdfs, const Clock& clock) {
  return std::make_unique<HdfsSnapshots>(hdfs, clock);
}

}  // namespace lockstep::hdfs
