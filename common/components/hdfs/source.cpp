#include "common/components/hdfs/source.hpp"

#include <algorithm>
#include <functional>
#include <utility>

#include "common/components/hdfs/changes.hpp"
#include "common/components/hdfs/listing.hpp"
#include "common/components/hdfs/reader.hpp"
#include "common/components/hdfs/snapshot_names.hpp"
#include "common/components/hdfs/sums.hpp"

namespace lockstep::hdfs {

using component::Entry;
using component::Version;

namespace {
// Beyond that, listing all is no more work, and the list would need memory by the gigabyte.
constexpr std::size_t kMostDifferences = 200'000;
constexpr std::uint64_t kCompared = 65536;  // bytes at once
}  // namespace

Result<std::unique_ptr<component::EntryCursor>> HdfsSource::entries() {
  return std::unique_ptr<component::EntryCursor>(std::make_unique<Listing>(
      hdfs_, crew_, native_.root(), std::string(), ErrorCode::source_read));
}

Result<std::unique_ptr<component::ChangeCursor>> HdfsSource::changes(const Version& base) {
  std::unique_ptr<component::ChangeCursor> none;
  auto before = native_from_text(base.native);
  // A file that was open at both pins may have grown without a difference that tells of it.
  if (!before || before->directory != native_.directory || !before->captures_open_files ||
      !native_.captures_open_files) {
    return none;
  }
  // A base that is gone, or is another's by now, is no base: everything is compared.
  if (!open_version(hdfs_, use_of(before->snapshot), base, ErrorCode::source_read)) return none;
  auto differences = hdfs_.differences(native_.directory, before->snapshot, native_.snapshot);
  if (!differences || differences->size() > kMostDifferences) return none;
  const std::uint64_t mark = std::hash<std::string>{}(name_) | 1U;
  return std::unique_ptr<component::ChangeCursor>(
      std::make_unique<Changes>(hdfs_, crew_, native_.root(), touched_by(std::move(*differences)),
                                mark, ErrorCode::source_read));
}

Result<std::unique_ptr<component::EntryReader>> HdfsSource::open(const Entry& entry) {
  return std::unique_ptr<component::EntryReader>(std::make_unique<Reader>(
      hdfs_, join(native_.root(), entry.path), entry.size, ErrorCode::source_read));
}

Result<std::string> HdfsSource::kept_sum(const Entry& entry) {
  const std::string path = join(native_.root(), entry.path);
  auto sum = hdfs_.checksum(path);
  if (!sum) return to_error(sum.error(), ErrorCode::source_read, "ask for the checksum of", path);
  return std::move(*sum);
}

Result<std::string> HdfsSource::made_sum(const Entry& entry, const std::string& like,
                                         const std::stop_token& stop) {
  LOCKSTEP_TRY(const auto reader, open(entry));
  return sum_of(*reader, entry.size, like, join(native_.root(), entry.path), stop);
}

bool HdfsSource::unchanged(const Entry& before, const Entry& now) const {
  return before.native == now.native && before.native.inode != 0 && before.kind == now.kind &&
         before.size == now.size && before.mode == now.mode && before.mtime_ns == now.mtime_ns &&
         before.uid == now.uid && before.gid == now.gid && before.device == now.device &&
         before.link_target == now.link_target && before.xattrs == now.xattrs;
}

Result<std::optional<std::vector<component::Extent>>> HdfsSource::compared_extents(
    const Entry& entry, const Version& base) {
  std::optional<std::vector<component::Extent>> unknown;
  LOCKSTEP_TRY(const Native named, native_from_text(base.native));
  const auto before = open_version(hdfs_, use_of(named.snapshot), base, ErrorCode::source_read);
  if (!before) return unknown;  // all is sent
  const std::string path = join(before->root(), entry.path);
  const auto status = hdfs_.status(path);
  if (!status || status->kind != Status::Kind::file) return unknown;
  const std::uint64_t common = std::min(status->length, entry.size);
  Reader then(hdfs_, path, status->length, ErrorCode::source_read);
  Reader now(hdfs_, join(native_.root(), entry.path), entry.size, ErrorCode::source_read);
  std::vector<std::byte> was(kCompared);
  std::vector<std::byte> is(kCompared);
  std::vector<component::Extent> out;
  for (std::uint64_t at = 0; at < common; at += kCompared) {
    const auto count = static_cast<std::size_t>(std::min(kCompared, common - at));
    LOCKSTEP_TRY(const std::size_t got_was, then.read(at, std::span(was).first(count)));
    LOCKSTEP_TRY(const std::size_t got_is, now.read(at, std::span(is).first(count)));
    if (got_was != count || got_is != count) {
      return make_error(ErrorCode::source_read, "the file is shorter than its size says", path);
    }
    if (std::equal(is.begin(), is.begin() + static_cast<std::ptrdiff_t>(count), was.begin())) {
      continue;
    }
    if (!out.empty() && out.back().offset + out.back().length == at) {
      out.back().length += count;
    } else {
      out.push_back({at, count});
    }
  }
  return std::optional(std::move(out));
}

Result<std::unique_ptr<component::Source>> HdfsSources::open(const Version& version) {
  LOCKSTEP_TRY(const Native named, native_from_text(version.native));
  LOCKSTEP_TRY(const Native found,
               open_version(hdfs_, use_of(named.snapshot), version, ErrorCode::source_read));
  return std::unique_ptr<component::Source>(
      std::make_unique<HdfsSource>(hdfs_, crew_, found, version.name));
}

}  // namespace lockstep::hdfs
