// What the loss of power does to what was not synced.
#include <algorithm>
#include <set>

#include "tests/support/lossy_disk.hpp"

namespace lockstep::test {

namespace {

constexpr std::size_t kPage = 4096;

template <class Map>
auto in_order(Map& rows) {
  std::vector<typename Map::mapped_type*> out;
  for (auto& [inode, row] : rows) out.push_back(&row);
  std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->order < b->order; });
  return out;
}

bool coin(std::mt19937_64& random) { return (random() & 1U) != 0; }

}  // namespace

void LossyDisk::undo(const Change& change) {
  const int at = change.at.directory->get();
  switch (change.act) {
    case Act::made:
      (void)bury(change.at);  // not there: a synced rename took it elsewhere
      break;
    case Act::moved:
      (void)under_.rename(at, change.at.name, change.from.directory->get(), change.from.name,
                          false);
      if (!change.grave.empty()) {
        (void)under_.rename(grave_.get(), change.grave, at, change.at.name, false);
      }
      break;
    case Act::exchanged:
      (void)under_.exchange(at, change.at.name, change.from.directory->get(), change.from.name);
      break;
    case Act::removed:
      (void)under_.rename(grave_.get(), change.grave, at, change.at.name, false);
      break;
  }
}

void LossyDisk::lose_names(std::mt19937_64& random) {
  using Key = std::pair<Inode, std::string>;
  std::set<Key> lost_names;
  std::set<Inode> lost_directories;
  std::vector<bool> lost(changes_.size());
  for (std::size_t i = 0; i < changes_.size(); ++i) {
    const Change& change = changes_[i];
    const bool two = change.act == Act::moved || change.act == Act::exchanged;
    const Key at{change.at.inode, change.at.name};
    const Key from{change.from.inode, change.from.name};
    const bool needs_lost =
        lost_names.contains(at) || lost_directories.contains(at.first) ||
        (two && (lost_names.contains(from) || lost_directories.contains(from.first)));
    const bool tossed = coin(random);  // always, so that one seed means one thing
    lost[i] = needs_lost || tossed;
    if (!lost[i]) continue;
    lost_names.insert(at);
    if (two) lost_names.insert(from);
    if (change.made) lost_directories.insert(*change.made);
  }
  for (std::size_t i = changes_.size(); i-- > 0;) {
    if (lost[i]) undo(changes_[i]);
  }
}

void LossyDisk::lose_pages(Data& data, std::mt19937_64& random) {
  const auto now = content_of(data.file.get());
  const auto info = under_.stat(data.file.get());
  if (!now || !info) return;
  std::vector<std::byte> left = *now;
  left.resize(coin(random) ? now->size() : data.durable.size());
  for (std::size_t begin = 0; begin < left.size(); begin += kPage) {
    const std::vector<std::byte>& survives = coin(random) ? *now : data.durable;
    for (std::size_t i = begin; i < std::min(begin + kPage, left.size()); ++i) {
      left[i] = i < survives.size() ? survives[i] : std::byte{0};
    }
  }
  (void)under_.truncate(data.file.get(), left.size());
  (void)under_.write_at(data.file.get(), 0, left);
  (void)under_.set_times(data.file.get(),
                         {info->st_mtim.tv_sec * 1'000'000'000LL + info->st_mtim.tv_nsec});
}

void LossyDisk::lose_metadata(Metadata& metadata) {
  const int fd = metadata.file.get();
  const struct ::stat& old = metadata.durable;
  (void)under_.change_owner(fd, old.st_uid, old.st_gid);
  (void)under_.change_mode(fd, old.st_mode & 07777);
  if (auto names = under_.list_xattrs(fd)) {
    for (const auto& name : *names) {
      if (!metadata.xattrs.contains(name)) (void)under_.remove_xattr(fd, name);
    }
  }
  for (const auto& [name, value] : metadata.xattrs) (void)under_.set_xattr(fd, name, value);
  (void)under_.set_times(fd, {old.st_mtim.tv_sec * 1'000'000'000LL + old.st_mtim.tv_nsec});
}

void LossyDisk::lose_power(std::uint64_t seed) {
  const std::scoped_lock lock(guard_);
  std::mt19937_64 random(seed);
  for (auto* data : in_order(data_)) lose_pages(*data, random);
  for (auto* metadata : in_order(metadata_)) {
    if (coin(random)) lose_metadata(*metadata);
  }
  lose_names(random);
  changes_.clear();
  directories_.clear();
  data_.clear();
  metadata_.clear();
  off_ = true;
}

}  // namespace lockstep::test
