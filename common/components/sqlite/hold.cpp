#include "common/components/sqlite/hold.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::sqlite {

using component::SetId;
using component::Version;
using nlohmann::json;

Owner owner_of(const struct ::stat& seen) {
  return {static_cast<std::uint32_t>(seen.st_mode) & 07777U, seen.st_uid, seen.st_gid};
}

std::string to_text(const Native& native) {
  json out = {{"file", native.file}, {"hold", native.hold}, {"page_size", native.page_size}};
  if (native.owner) {
    out["mode"] = native.owner->mode;
    out["uid"] = native.owner->uid;
    out["gid"] = native.owner->gid;
  }
  return out.dump(-1, ' ', false, json::error_handler_t::strict);
}

Result<Native> native_of(const Version& version) {
  const auto wrong = [&] {
    return make_error(ErrorCode::version_missing, "not a version of an SQLite database",
                      version.native);
  };
  const json parsed = json::parse(version.native, nullptr, false);
  if (version.component != kKind || !parsed.is_object()) return wrong();
  const auto text = [&](const char* key) {
    const auto at = parsed.find(key);
    return at != parsed.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  const auto number = [&](const char* key) -> std::optional<std::uint32_t> {
    const auto at = parsed.find(key);
    if (at == parsed.end() || !at->is_number_unsigned()) return std::nullopt;
    return at->get<std::uint32_t>();
  };
  Native out;
  out.file = text("file");
  out.hold = text("hold");
  if (!out.file.starts_with('/') || !component::path_inside(out.file, out.hold)) return wrong();
  out.page_size = number("page_size").value_or(0);
  const auto mode = number("mode");
  const auto uid = number("uid");
  const auto gid = number("gid");
  if (mode && uid && gid) out.owner = Owner{*mode, *uid, *gid};
  return out;
}

namespace {

// "<run>.<attempt>" is named for its run.
std::string without_attempt(const std::string& name) { return name.substr(0, name.rfind('.')); }

}  // namespace

Result<void> check_hold(const Native& native, const Version& version) {
  if (!version.name.empty() && version.name.find('/') == std::string::npos &&
      component::path_is_clean(native.hold.substr(1))) {
    const std::string store = "/" + std::string(files::kStoreName);
    for (const files::Area area : {files::Area::pins, files::Area::versions}) {
      if (native.hold.ends_with(hold_path(store, area, version.id, version.name))) return {};
    }
    const std::string staging = hold_path(store, files::Area::staging, version.id, version.name);
    if (without_attempt(native.hold).ends_with(staging)) return {};
  }
  return make_error(ErrorCode::version_missing, "this is not the place of the version named",
                    native.hold);
}

std::string hold_path(const std::string& store, files::Area area, const SetId& id,
                      const std::string& name) {
  return files::set_directory(store, area, id) + "/" + name;
}

Result<void> check_location(const std::string& location) {
  if (!location.starts_with('/')) {
    return make_error(ErrorCode::set_missing, "the place is not an absolute path", location);
  }
  if (location.find("/" + std::string(files::kStoreName) + "/") != std::string::npos) {
    return make_error(ErrorCode::target_overlaps, "the place lies in a store of Lockstep",
                      location);
  }
  try {
    static_cast<void>(json(location).dump());
  } catch (const json::exception&) {
    return make_error(ErrorCode::not_supported, "the path of the database is not UTF-8", location,
                      "give the database a path in UTF-8");
  }
  return {};
}

Version version_in(os::Disk& disk, const std::string& hold, const SetId& id,
                   const std::string& name) {
  Native native;
  native.file = hold + "/" + kDatabase;
  native.hold = hold;
  native.page_size = page_size_of(disk, native.file);
  return Version{id, kKind, name, to_text(native)};
}

Result<std::vector<Version>> holds_of(os::Disk& disk, const component::DataSet& set,
                                      files::Area area) {
  std::vector<Version> out;
  for (const auto& store : files::existing_stores(disk, set.place.location)) {
    const std::string directory = files::set_directory(store, area, set.id);
    auto opened = disk.open(os::kCwd, directory, O_RDONLY | O_DIRECTORY);
    if (!opened && opened.error().number == ENOENT) continue;
    if (!opened) return from_errno(ErrorCode::io, opened.error().number, "open", directory);
    auto stream = disk.read_directory(opened->get());
    if (!stream) return from_errno(ErrorCode::io, stream.error().number, "list", directory);
    for (;;) {
      auto entry = (*stream)->next();
      if (!entry) return from_errno(ErrorCode::io, entry.error().number, "list", directory);
      if (!entry->has_value()) break;
      const std::string& name = (*entry)->name;
      out.push_back(version_in(disk, directory + "/" + name, set.id,
                               area == files::Area::staging ? without_attempt(name) : name));
    }
  }
  return out;
}

namespace {

Error removal_error(int number, const std::string& path) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  return from_errno(denied ? ErrorCode::permission : ErrorCode::io, number, "remove", path);
}

}  // namespace

Result<void> remove_hold(os::Disk& disk, const std::string& hold) {
  auto opened = disk.open(os::kCwd, hold, O_RDONLY | O_DIRECTORY);
  if (!opened && opened.error().number == ENOENT) return {};
  if (!opened) return removal_error(opened.error().number, hold);
  auto stream = disk.read_directory(opened->get());
  if (!stream) return removal_error(stream.error().number, hold);
  std::vector<std::string> names;  // a handful: what hold.hpp lists
  for (;;) {
    auto entry = (*stream)->next();
    if (!entry) return removal_error(entry.error().number, hold);
    if (!entry->has_value()) break;
    names.push_back((*entry)->name);
  }
  for (const auto& name : names) {
    auto removed = disk.unlink(opened->get(), name);
    if (!removed && removed.error().number != ENOENT) {
      return removal_error(removed.error().number, hold + "/" + name);
    }
  }
  os::failpoint("sqlite.hold.emptied");
  auto removed = disk.remove_directory(os::kCwd, hold);
  if (!removed && removed.error().number != ENOENT) {
    return removal_error(removed.error().number, hold);
  }
  return {};
}

Result<void> hand_over(os::Disk& disk, const std::string& path, const Owner& owner,
                       bool owner_if_allowed) {
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (!file) return os::write_error(file.error(), "open", path);
  auto seen = disk.stat(file->get());
  if (!seen) return os::write_error(seen.error(), "look at", path);
  if (seen->st_uid != owner.uid || seen->st_gid != owner.gid) {
    auto done = disk.change_owner(file->get(), owner.uid, owner.gid);
    if (!done && !(owner_if_allowed && done.error().number == EPERM)) {
      return os::write_error(done.error(), "give to its owner", path);
    }
  }
  if (auto done = disk.change_mode(file->get(), owner.mode); !done) {
    return os::write_error(done.error(), "set the mode of", path);
  }
  if (auto done = disk.fsync(file->get()); !done) {
    return os::write_error(done.error(), "sync", path);
  }
  return {};
}

std::uint32_t page_size_of(os::Disk& disk, const std::string& path) {
  // https://www.sqlite.org/fileformat2.html, 1.3: bytes 16 and 17, big-endian; 1 stands for 65536.
  std::array<std::byte, 18> header{};
  auto file = disk.open(os::kCwd, path, O_RDONLY);
  if (!file) return 0;
  auto got = disk.read_at(file->get(), 0, header);
  if (!got || *got < header.size()) return 0;
  std::uint32_t size =
      static_cast<std::uint32_t>(header[16]) << 8U | static_cast<std::uint32_t>(header[17]);
  if (size == 1) size = 65536;
  const bool possible = size >= 512 && (size & (size - 1)) == 0;
  return possible ? size : 0;
}

}  // namespace lockstep::sqlite
