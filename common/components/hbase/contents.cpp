#include "common/components/hbase/contents.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/components/hbase/hex.hpp"

namespace lockstep::hbase {

using component::Entry;
using component::EntryKind;

namespace {

// HBase reads every region's part of the manifest, and looks for every HFile.
constexpr Nanos kPatience = seconds(600);

class Gathering {
 public:
  void add(Item item) {
    std::string_view rest = item.entry.path;
    for (std::size_t slash = rest.rfind('/'); slash != std::string_view::npos;
         slash = rest.rfind('/')) {
      rest = rest.substr(0, slash);
      if (!directories_.insert(std::string(rest)).second) break;
    }
    items_.push_back(std::move(item));
  }

  Contents sorted() && {
    directories_.insert("");
    for (const std::string& path : directories_) {
      items_.push_back({make_entry(path, EntryKind::directory, 0), {}, {}});
    }
    std::sort(items_.begin(), items_.end(), [](const Item& a, const Item& b) {
      return component::path_less(a.entry.path, b.entry.path);
    });
    const auto same = [](const Item& a, const Item& b) { return a.entry.path == b.entry.path; };
    items_.erase(std::unique(items_.begin(), items_.end(), same), items_.end());
    return std::move(items_);
  }

 private:
  Contents items_;
  std::set<std::string> directories_;
};

Result<nlohmann::json> ask_for_files(Bridge& bridge, const nlohmann::json& request, ErrorCode side,
                                     const std::stop_token& stop) {
  auto told = bridge.ask(request, kPatience, stop);
  if (told) return std::move(*told);
  const bool gone = told.error().trouble == Trouble::missing;
  return to_error(told.error(), gone ? ErrorCode::version_missing : side,
                  "read what the snapshot is made of", request.at("name").get<std::string>());
}

// Throws what nlohmann-json throws where the helper answers strangely.
std::vector<HFile> hfiles_in(const nlohmann::json& told) {
  std::vector<HFile> out;
  for (const auto& one : told.at("hfiles")) {
    HFile file;
    file.place = one.at("place").get<std::string>();
    file.size = one.at("size").get<std::uint64_t>();
    file.inode = one.at("inode").get<std::uint64_t>();
    file.block_size = one.at("block_size").get<std::uint64_t>();
    file.paths = one.at("paths").get<std::vector<std::string>>();
    static_cast<void>(one.at("paths").at(0));
    out.push_back(std::move(file));
  }
  return out;
}

void add_snapshot(Gathering& all, const nlohmann::json& told, const std::string& home) {
  Item info;
  info.bytes = from_hex(told.at("info").get_ref<const std::string&>());
  info.entry = make_entry(home + "/info", EntryKind::regular, info.bytes.size());
  all.add(std::move(info));
  for (const auto& one : told.at("manifest")) {
    Item item;
    item.entry = make_entry(home + "/" + one.at("name").get<std::string>(), EntryKind::regular,
                            one.at("size").get<std::uint64_t>());
    item.paths.push_back(one.at("path").get<std::string>());
    all.add(std::move(item));
  }
  for (HFile& file : hfiles_in(told)) {
    Item item;
    item.entry = make_entry(std::move(file.place), EntryKind::regular, file.size);
    item.entry.native.inode = file.inode;
    item.paths = std::move(file.paths);
    all.add(std::move(item));
  }
}

}  // namespace

bool is_hfile(std::string_view path) {
  return path.starts_with("data/") && std::count(path.begin(), path.end(), '/') == 5;
}

std::string table_path(const TableName& table, const std::string& run) {
  return "tables/" + table.space + "/" + table.table + "/" + run;
}

Entry make_entry(std::string path, EntryKind kind, std::uint64_t size) {
  Entry entry;
  entry.path = std::move(path);
  entry.kind = kind;
  entry.mode = kind == EntryKind::directory ? 0755 : 0644;
  entry.size = size;
  return entry;
}

Result<std::vector<HFile>> read_hfiles(Bridge& bridge, const std::string& address,
                                       const std::string& snapshot, ErrorCode side,
                                       const std::stop_token& stop) {
  LOCKSTEP_TRY(
      const auto told,
      ask_for_files(bridge, {{"op", "files"}, {"name", snapshot}, {"root", address}}, side, stop));
  try {
    return hfiles_in(told);
  } catch (const nlohmann::json::exception& error) {
    return make_error(ErrorCode::internal, error.what(), snapshot);
  }
}

Result<std::shared_ptr<const Contents>> read_contents(const Cluster& cluster, const Native& native,
                                                      const std::string& run, ErrorCode side) {
  Gathering all;
  for (const Snapshot& one : native.snapshots) {
    LOCKSTEP_TRY(const auto told,
                 ask_for_files(cluster.bridge, {{"op", "files"}, {"name", one.name}}, side, {}));
    try {
      add_snapshot(all, told, table_path(one.table, run));
    } catch (const nlohmann::json::exception& error) {
      return make_error(ErrorCode::internal, error.what(), one.name);
    }
  }
  return std::make_shared<const Contents>(std::move(all).sorted());
}

}  // namespace lockstep::hbase
