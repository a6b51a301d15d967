#include "common/components/hbase/source.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/components/hdfs/comparison.hpp"
#include "common/components/hdfs/reader.hpp"
#include "common/components/hdfs/sums.hpp"

namespace lockstep::hbase {

using component::Entry;
using component::Version;

namespace {

class Cursor final : public component::EntryCursor {
 public:
  explicit Cursor(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}
  Result<std::optional<Entry>> next() override {
    if (position_ == contents_->size()) return std::optional<Entry>();
    return std::optional<Entry>((*contents_)[position_++].entry);
  }

 private:
  std::shared_ptr<const Contents> contents_;
  std::size_t position_ = 0;
};

class Held final : public component::EntryReader {
 public:
  explicit Held(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> into) override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const std::size_t count =
        std::min(into.size(), bytes_.size() - static_cast<std::size_t>(offset));
    std::memcpy(into.data(), bytes_.data() + offset, count);
    return count;
  }

 private:
  std::string bytes_;
};

class HBaseSource final : public component::Source {
 public:
  HBaseSource(hdfs::WebHdfs& files, std::shared_ptr<const Contents> contents)
      : files_(files), contents_(std::move(contents)) {}

  Result<std::unique_ptr<component::EntryCursor>> entries() override {
    return std::unique_ptr<component::EntryCursor>(std::make_unique<Cursor>(contents_));
  }

  Result<std::unique_ptr<component::EntryReader>> open(const Entry& entry) override {
    LOCKSTEP_TRY(const Item* const found, find(entry.path));
    if (found->paths.empty()) {
      return std::unique_ptr<component::EntryReader>(std::make_unique<Held>(found->bytes));
    }
    return std::unique_ptr<component::EntryReader>(std::make_unique<hdfs::Reader>(
        files_, found->paths, found->entry.size, ErrorCode::source_read));
  }

  // Of an HFile: nothing else is carried by ExportSnapshot.
  Result<std::string> kept_sum(const Entry& entry) override {
    LOCKSTEP_TRY(const Item* const found, find(entry.path));
    if (!is_hfile(entry.path)) return std::string();
    auto sum = hdfs::checksum_at(files_, found->paths);  // a compaction moves it
    if (sum) return std::move(*sum);
    return hdfs::to_error(sum.error(), ErrorCode::source_read, "ask for the checksum of",
                          found->paths.front());
  }

  Result<std::string> made_sum(const Entry& entry, const std::string& like,
                               const std::stop_token& stop) override {
    LOCKSTEP_TRY(const auto reader, open(entry));
    return hdfs::sum_of(*reader, entry.size, like, entry.path, stop);
  }

  // An HFile never changes once it is written: the inode says that it is that one.
  bool unchanged(const Entry& before, const Entry& now) const override {
    return before.native == now.native && before.native.inode != 0 && before.path == now.path &&
           before.kind == now.kind && before.size == now.size && before.mode == now.mode;
  }

  Result<std::optional<std::vector<component::Extent>>> changed_extents(const Entry&,
                                                                        const Version&) override {
    return std::optional<std::vector<component::Extent>>();
  }

 private:
  // A regular file.
  Result<const Item*> find(const std::string& path) const {
    const auto found = std::lower_bound(contents_->begin(), contents_->end(), path,
                                        [](const Item& item, const std::string& wanted) {
                                          return component::path_less(item.entry.path, wanted);
                                        });
    if (found == contents_->end() || found->entry.path != path ||
        found->entry.kind != component::EntryKind::regular) {
      return make_error(ErrorCode::source_read, "the snapshot has no such file", path);
    }
    return &*found;
  }

  hdfs::WebHdfs& files_;
  std::shared_ptr<const Contents> contents_;
};

}  // namespace

Result<std::unique_ptr<component::Source>> HBaseSources::open(const Version& version) {
  LOCKSTEP_TRY(const Native native, open_version(cluster_.bridge, version, ErrorCode::source_read));
  LOCKSTEP_TRY(auto contents,
               read_contents(cluster_, native, version.name, ErrorCode::source_read));
  return std::unique_ptr<component::Source>(
      std::make_unique<HBaseSource>(cluster_.files, std::move(contents)));
}

}  // namespace lockstep::hbase
