#include "services/transfer-agent/record_store.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "common/os/whole_file.hpp"
#include "services/transfer-agent/record.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {
constexpr std::string_view kEnd = ".json";
constexpr std::uint64_t kMostBytes = 16 << 20;
}  // namespace

Result<std::vector<std::string>> RecordStore::services() const {
  return names_in(agent_.disk, agent_.root + "/.lockstep/points");
}

Result<std::vector<RecordStore::Name>> RecordStore::names(const std::string& service) const {
  std::vector<std::string> wanted{service};
  if (service.empty()) {
    LOCKSTEP_TRY(wanted, services());
  }
  std::vector<Name> out;
  for (const auto& one : wanted) {
    LOCKSTEP_TRY(const auto files, names_in(agent_.disk, agent_.record_directory(one)));
    for (const auto& file : files) {
      if (file.ends_with(kEnd)) out.push_back({one, file.substr(0, file.size() - kEnd.size())});
    }
  }
  return out;
}

Result<Body> RecordStore::read(const Name& name) const {
  const std::string path = agent_.record_path(name.service, name.id);
  auto text = read_file(agent_.disk, path, kMostBytes);
  if (!text && text.error().code == ErrorCode::not_found) {
    return make_error(ErrorCode::point_missing, "there is no such point", name.id);
  }
  if (!text) return text.error();
  Body record = Body::parse(*text, nullptr, false);
  if (!record.is_object()) {
    return make_error(ErrorCode::point_damaged, "the record is not JSON", path);
  }
  if (auto fits = message::check_schema("point-record", record); !fits) {
    return make_error(ErrorCode::point_damaged,
                      "the record is malformed at " + fits.error().where + ": " + fits.error().what,
                      path);
  }
  return record;
}

Result<RecordStore::Name> RecordStore::locate(const std::string& id) const {
  LOCKSTEP_TRY(const auto all_names, names(""));
  for (const auto& name : all_names) {
    if (name.id == id) return name;
  }
  return make_error(ErrorCode::point_missing, "there is no such point", id);
}

Result<Body> RecordStore::find(const std::string& id) const {
  LOCKSTEP_TRY(const Name name, locate(id));
  return read(name);
}

Result<bool> RecordStore::exists(const Name& name) const {
  const std::string path = agent_.record_path(name.service, name.id);
  auto there = agent_.disk.stat_at(os::kCwd, path);
  if (there) return true;
  if (there.error().number == ENOENT) return false;
  return from_errno(ErrorCode::source_read, there.error().number, "look at the record", path);
}

Result<std::vector<Body>> RecordStore::all(const std::string& service,
                                           std::vector<Error>* unreadable) const {
  LOCKSTEP_TRY(const auto all_names, names(service));
  std::vector<Body> records;
  for (const auto& name : all_names) {
    auto record = read(name);
    if (record) {
      records.push_back(std::move(*record));
    } else if (unreadable != nullptr) {
      unreadable->push_back(record.error());
    }
  }
  std::stable_sort(records.begin(), records.end(), [](const Body& a, const Body& b) {
    const auto when = [](const Body& record) {
      return parse_rfc3339(record.at("moment").get<std::string>()).value_or(UtcNanos{});
    };
    return when(b) < when(a);
  });
  return records;
}

Result<void> RecordStore::write(const Body& record) const {
  const std::string service = record.at("service").get<std::string>();
  LOCKSTEP_CHECK(os::make_directories(agent_.disk, agent_.record_directory(service)));
  const std::string path = agent_.record_path(service, record.at("id").get<std::string>());
  return os::write_durably(agent_.disk, path, canonical(record),
                           {.last_check = []() -> Result<void> {
                             os::failpoint("seal.part_written");
                             return {};
                           }});
}

Result<void> RecordStore::remove(const Name& name) const {
  return os::remove_durably(agent_.disk, agent_.record_path(name.service, name.id));
}

Result<void> RecordStore::remove_part(const Name& name) const {
  return os::remove_durably(agent_.disk, agent_.record_path(name.service, name.id) + ".part");
}

component::Version version_in(const Body& record, const Body& set) {
  const Body& version = set.at("version");
  return {{record.at("service").get<std::string>(), set.at("name").get<std::string>()},
          version.at("component").get<std::string>(),
          version.at("name").get<std::string>(),
          message::unshow(version.at("native").get<std::string>())};
}

std::string manifest_in(const Body& set) {
  return message::unshow(set.at("manifest").get<std::string>());
}

}  // namespace lockstep::transfer
