#include "common/components/hbase/staging.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/components/hbase/contents.hpp"
#include "common/components/hbase/hex.hpp"
#include "common/components/hdfs/metadata.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::hbase {

using component::Action;
using component::Entry;
using component::EntryKind;
using component::Version;

namespace {

constexpr Nanos kPatience = seconds(600);
constexpr std::uint64_t kLargestInfo = std::uint64_t{4} << 20U;

Error hostile(const std::string& path) {
  return make_error(ErrorCode::stream_hostile, "this is no part of an HBase snapshot", "/" + path);
}

// "tables/orders/lines/<run>/info" in its parts.
std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// HBase's files say nothing of their owner: all of them are its user's, who may set no mark for
// what is foreign to HDFS, and whose files want none.
Entry as_of_hdfs(Entry entry, const std::string& user) {
  entry.xattrs = {{std::string(hdfs::kOwner), user}};
  return entry;
}

}  // namespace

HBaseStaging::HBaseStaging(const Cluster& cluster, component::DataSet target,
                           component::Context context, std::string directory, std::string archive,
                           std::optional<Version> sealed)
    : cluster_(cluster),
      target_(std::move(target)),
      context_(std::move(context)),
      directory_(std::move(directory)),
      archive_(std::move(archive)),
      sealed_(std::move(sealed)) {
  writer_.emplace(cluster_.files, directory_, archive_);
}

std::string HBaseStaging::carried_to() const {
  if (sealed_) return {};
  return snapshot_directory(hdfs::parent_of(archive_),
                            prefix_of(Use::carried, target_.id, context_.run));
}

Result<void> HBaseStaging::begin(const Entry& entry, Action action) {
  skipping_ = true;
  info_ = nullptr;
  if (sealed_ || entry.kind == EntryKind::directory) return {};
  if (!writer_) return make_error(ErrorCode::internal, "the staging has ended", directory_);
  if (!component::path_is_clean(entry.path)) return hostile(entry.path);
  const bool hfile = is_hfile(entry.path);
  // HFiles never change: what the base has of that name is that file.
  if (hfile && action == Action::metadata) return {};
  if (action == Action::adopt) return hfile ? adopt(entry) : hostile(entry.path);
  const std::vector<std::string> parts = parts_of(entry.path);
  const bool table = parts.front() == "tables" && parts.size() == 5 && parts[3] == context_.run;
  if (!table && !hfile) return hostile(entry.path);
  skipping_ = false;
  if (table && parts.back() == "info") {
    const TableName name{parts[1], parts[2]};
    if (!can_be_named(name) || entry.size > kLargestInfo) return hostile(entry.path);
    info_ = &infos_[entry.path];
    *info_ = {name, std::string(static_cast<std::size_t>(entry.size), '\0')};
    return {};
  }
  return writer_->begin(as_of_hdfs(entry, cluster_.files.settings().user), action);
}

// It lies in the archive, where HBase looks for it. It is believed by its checksum alone.
Result<void> HBaseStaging::adopt(const Entry& entry) {
  const std::string path = hdfs::join(archive_, entry.path);
  LOCKSTEP_CHECK(hdfs::check_brought(cluster_.files, path, entry));
  // As in publish: nobody is to write it anew under those who read it.
  if (auto put = cluster_.files.set_mode(path, 0444); !put) {
    return hdfs::to_error(put.error(), ErrorCode::target_write, "set the mode of", path);
  }
  return {};
}

Result<void> HBaseStaging::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (skipping_) return {};
  if (info_ == nullptr) return writer_->write(offset, data);
  if (offset > info_->bytes.size() || data.size() > info_->bytes.size() - offset) {
    return make_error(ErrorCode::stream_hostile, "content beyond the end of the description",
                      info_->table.text());
  }
  std::memcpy(info_->bytes.data() + offset, data.data(), data.size());
  return {};
}

Result<void> HBaseStaging::finish() {
  if (std::exchange(skipping_, false)) return {};
  if (std::exchange(info_, nullptr) != nullptr) return {};
  return writer_->finish();
}

Result<std::size_t> HBaseStaging::read_back(std::uint64_t offset, std::span<std::byte> into) {
  if (info_ != nullptr) {
    if (offset >= info_->bytes.size()) return std::size_t{0};
    const std::size_t count =
        std::min(into.size(), info_->bytes.size() - static_cast<std::size_t>(offset));
    std::memcpy(into.data(), info_->bytes.data() + offset, count);
    return count;
  }
  if (skipping_) {
    return make_error(ErrorCode::internal, "what was not written is asked back", directory_);
  }
  return writer_->read_back(offset, into);
}

Result<void> HBaseStaging::remove(const std::string& path) {
  infos_.erase(path);
  // What goes is the base's; the staging has only what is new, and of that nothing goes.
  return {};
}

Result<void> HBaseStaging::publish() {
  nlohmann::json snapshots = nlohmann::json::array();
  for (const auto& [path, info] : infos_) {
    snapshots.push_back({{"name", snapshot_name(Use::point, target_.id, context_.run, info.table)},
                         {"namespace", info.table.space},
                         {"table", info.table.table},
                         {"info", to_hex(info.bytes)},
                         {"manifest", table_path(info.table, context_.run)}});
  }
  const nlohmann::json request{
      {"op", "publish"}, {"staging", directory_}, {"snapshots", snapshots}};
  auto published = cluster_.bridge.ask(request, kPatience, context_.stop);
  if (!published) {
    return to_error(published.error(), ErrorCode::target_write, "make the point's snapshots",
                    directory_);
  }
  // What the moves did is not believed: HBase itself looks for every file that a snapshot names.
  for (const auto& one : snapshots) {
    auto looked =
        cluster_.bridge.ask({{"op", "verify"}, {"name", one["name"]}}, kPatience, context_.stop);
    if (!looked) {
      return to_error(looked.error(), ErrorCode::target_write, "find the point's snapshot whole",
                      one["name"].get<std::string>());
    }
  }
  return {};
}

Result<Version> HBaseStaging::seal() {
  if (sealed_) return *sealed_;
  if (!writer_) return make_error(ErrorCode::internal, "the staging has ended", directory_);
  if (infos_.empty()) {
    return make_error(ErrorCode::stream_protocol, "no table came", directory_);
  }
  LOCKSTEP_CHECK(writer_->drain());
  if (auto done = publish(); !done) {
    // The first error is the one to tell; what is left now is found beside its staging.
    auto found = list_snapshots(cluster_.bridge, prefix_of(Use::point, target_.id, context_.run));
    if (found) (void)delete_snapshots(cluster_.bridge, *found);
    return done.error();
  }
  os::failpoint("hbase.seal.published");
  if (auto removed = cluster_.files.remove(directory_); !removed) {
    return hdfs::to_error(removed.error(), ErrorCode::target_write, "remove the staging",
                          directory_);
  }
  os::failpoint("hbase.seal.done");
  // What stays of it goes with the point.
  static_cast<void>(drop_carried(cluster_, target_.id, context_.run));
  Native native;
  LOCKSTEP_TRY(native.snapshots,
               list_snapshots(cluster_.bridge, prefix_of(Use::point, target_.id, context_.run)));
  if (native.snapshots.size() != infos_.size()) {
    return make_error(ErrorCode::target_write, "the snapshots that were made are not all found",
                      directory_);
  }
  sealed_ = Version{target_.id, target_.component, context_.run, to_text(native)};
  return *sealed_;
}

Result<void> HBaseStaging::abandon() {
  writer_.reset();
  if (sealed_) return {};
  LOCKSTEP_CHECK(drop_version(cluster_, Use::point, target_.id, context_.run));
  return drop_carried(cluster_, target_.id, context_.run);
}

}  // namespace lockstep::hbase
