#include "common/components/sqlite/hold.hpp"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "common/os/durable.hpp"

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

Result<void> check_hold(const Native& native, const Version& version) {
  if (one_file::is_place_of(native.hold, version)) return {};
  return make_error(ErrorCode::version_missing, "this is not the place of the version named",
                    native.hold);
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
    LOCKSTEP_TRY(const auto holds, one_file::holds_in(disk, store, area, set.id));
    for (const auto& hold : holds) out.push_back(version_in(disk, hold.path, set.id, hold.run));
  }
  return out;
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
