#include "services/transfer-agent/points.hpp"

#include <spdlog/spdlog.h>

#include "common/component/source.hpp"
#include "common/component/user_capture.hpp"
#include "common/message/bytes.hpp"
#include "common/stream/manifest.hpp"
#include "services/transfer-agent/record.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

constexpr const char* kKinds[] = {"",     "directory", "regular",     "symlink",     "hard_link",
                                  "fifo", "socket",    "char_device", "block_device"};

Body body_of_entry(const component::Entry& entry) {
  Body row{{"path", message::text_or_bytes(entry.path)},
           {"kind", kKinds[static_cast<std::size_t>(entry.kind)]},
           {"mode", entry.mode},
           {"uid", entry.uid},
           {"gid", entry.gid},
           {"size", entry.size},
           {"mtime", to_rfc3339({entry.mtime_ns})}};
  if (!entry.link_target.empty()) row["link_target"] = message::text_or_bytes(entry.link_target);
  return row;
}

Result<Body> set_of(const Body& record, const std::string& name) {
  if (const Body* set = find_set(record.at("sets"), name)) return *set;
  return make_error(ErrorCode::not_found, "the point has no such data set", name);
}

}  // namespace

Result<Body> list_points(Book& book, const RecordStore& records, const Body& request) {
  std::vector<Error> unreadable;
  LOCKSTEP_TRY(const auto found, records.all(request.value("service", ""), &unreadable));
  for (const auto& error : unreadable) spdlog::error("a record is left out: {}", error.text());
  Body points = Body::array();
  for (const auto& record : found) {
    Body point = point_of(record);
    LOCKSTEP_TRY(const auto verified, book.find_verified(point.at("id").get<std::string>()));
    if (verified) {
      point["verified_at"] = to_rfc3339(verified->at);
      point["verified_ok"] = verified->ok;
    }
    points.push_back(std::move(point));
  }
  return Body{{"points", std::move(points)}};
}

Result<Body> read_point(const RecordStore& records, const Body& request) {
  LOCKSTEP_TRY(Body record, records.find(request.at("id").get<std::string>()));
  return Body{{"record", std::move(record)}};
}

Result<Body> read_user_data(const Agent& agent, const RecordStore& records, const Body& request) {
  constexpr std::size_t kChunk = 512 * 1024;
  LOCKSTEP_TRY(const Body record, records.find(request.at("id").get<std::string>()));
  const std::string id = record.at("id").get<std::string>();
  if (const auto problems = record_problems(record); !problems.empty()) {
    return make_error(ErrorCode::point_damaged, problems.front(), id);
  }
  const Body* set = nullptr;
  for (const auto& one : record.at("sets")) {
    if (one.at("component") == component::kUserData) set = &one;
  }
  if (set == nullptr) {
    return make_error(ErrorCode::not_found, "the point holds no user data", id,
                      "points of policies with `user_data: true` do");
  }
  const Body& certificate = record.at("certificate");
  const Body* certified = find_set(certificate.at("sets"), set->at("name").get<std::string>());
  const auto version = version_in(record, *set);
  auto* component = agent.components.find(version.component);
  LOCKSTEP_TRY(const auto source, component->sources()->open(version));
  LOCKSTEP_TRY(const auto cursor, source->entries());
  LOCKSTEP_TRY(const auto entry, cursor->next());
  LOCKSTEP_TRY(const auto reader, source->open(*entry));
  std::vector<std::uint8_t> part(kChunk);
  LOCKSTEP_TRY(const std::size_t got, reader->read(request.at("offset").get<std::uint64_t>(),
                                                   std::as_writable_bytes(std::span(part))));
  part.resize(got);
  return Body{{"total", entry->size},
              {"digest", certified->at("users").at("digest")},
              {"from", certificate.at("primary")},
              {"bytes", Body::binary(std::move(part))}};
}

Result<Body> list_entries(const Agent& agent, const RecordStore& records, const Body& request) {
  LOCKSTEP_TRY(const Body record, records.find(request.at("id").get<std::string>()));
  LOCKSTEP_TRY(const Body set, set_of(record, request.at("set").get<std::string>()));
  const std::string after =
      request.contains("after") ? message::bytes_of(request.at("after")) : std::string{};
  LOCKSTEP_TRY(const auto page, stream::list_manifest(agent.disk, manifest_in(set),
                                                      message::bytes_of(request.at("path")), after,
                                                      request.at("limit").get<std::size_t>()));
  Body entries = Body::array();
  for (const auto& entry : page.entries) entries.push_back(body_of_entry(entry));
  return Body{{"entries", std::move(entries)}, {"more", page.more}};
}

}  // namespace lockstep::transfer
