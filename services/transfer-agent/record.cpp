#include "services/transfer-agent/record.hpp"

#include <map>

#include "common/message/bytes.hpp"
#include "common/stream/digest.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

constexpr const char* kFormat = "lockstep-point/1";

// The run whose point the changes were sent against. All sets of a run have the same, but for those
// that were sent whole.
Body lineage_base(const Body& certificate) {
  for (const auto& set : certificate.at("sets")) {
    if (!set.at("base").is_null()) return set.at("base");
  }
  return nullptr;
}

}  // namespace

std::string canonical(const Body& record) {
  // nlohmann's objects are std::map: their keys are sorted bytewise.
  return record.dump();
}

Result<std::string> point_digest(const Body& record_sets) {
  std::map<std::string, std::string> roots;
  for (const auto& set : record_sets) {
    roots[set.at("name").get<std::string>()] = set.at("root").get<std::string>();
  }
  stream::Sha256 hash;
  hash.update(std::string_view("lockstep.point.1\0", 17));
  for (const auto& [name, hex] : roots) {
    const auto root = stream::digest256_from_hex(hex);
    if (!root) return make_error(ErrorCode::message_schema, "a root is not a digest", name);
    hash.update_u32(static_cast<std::uint32_t>(name.size()));
    hash.update(name);
    hash.update(std::as_bytes(std::span(*root)));
  }
  return stream::to_hex(hash.finish());
}

Result<Body> make_record(const std::string& run, const Body& seal, const std::vector<KeptSet>& sets,
                         UtcNanos sealed_at, const signing::SigningKey& key) {
  Body kept = Body::array();
  for (const auto& set : sets) {
    kept.push_back({{"name", set.version.id.set},
                    {"component", set.version.component},
                    {"path", set.path},
                    {"version", body_of(set.version)},
                    {"root", set.root},
                    {"entries", set.entries},
                    {"bytes", set.bytes},
                    {"manifest", set.manifest}});
  }
  LOCKSTEP_TRY(const std::string digest, point_digest(kept));
  const Body plain{{"format", kFormat},
                   {"id", run},
                   {"service", seal.at("service")},
                   {"moment", seal.at("moment")},
                   {"sealed_at", to_rfc3339(sealed_at)},
                   {"mode", seal.at("mode")},
                   {"digest", digest},
                   {"sets", std::move(kept)},
                   {"lineage", {{"base", lineage_base(seal.at("certificate"))}}},
                   {"policy", seal.at("policy")},
                   {"policy_version", seal.at("policy_version")},
                   {"certificate", seal.at("certificate")}};
  Body record = message::showable(plain);
  LOCKSTEP_TRY(std::string value, key.sign(canonical(record)));
  record["signature"] = {{"algorithm", "ed25519"}, {"key", key.public_hex()}, {"value", value}};
  return record;
}

std::vector<std::string> record_problems(const Body& record) {
  std::vector<std::string> problems;
  const auto format = record.find("format");  // of anything but an object: the end
  if (format == record.end() || *format != kFormat) return {"the record is not of a known format"};
  if (auto fits = message::check_schema("point-record", record); !fits) {
    return {"the record is malformed: " + fits.error().what + " at " + fits.error().where};
  }
  const Body& signature = record.at("signature");
  Body signed_part = record;
  signed_part.erase("signature");
  if (!signing::signature_holds(canonical(signed_part), signature.at("key").get<std::string>(),
                                signature.at("value").get<std::string>())) {
    problems.push_back("the signature does not fit the record");
  }
  const auto digest = point_digest(record.at("sets"));
  if (!digest || *digest != record.at("digest").get<std::string>()) {
    problems.push_back("the digest does not fit the sets' roots");
  }
  const Body& certificate = record.at("certificate");
  if (certificate.at("run") != record.at("id") ||
      certificate.at("service") != record.at("service") ||
      certificate.at("moment") != record.at("moment")) {
    problems.push_back("the certificate is another run's");
  }
  std::map<std::string, Body> certified;
  for (const auto& set : certificate.at("sets")) certified[set.at("name")] = set.at("root");
  for (const auto& set : record.at("sets")) {
    const auto found = certified.find(set.at("name").get<std::string>());
    if (found == certified.end() || found->second != set.at("root")) {
      problems.push_back("the certificate has another root for " +
                         set.at("name").get<std::string>());
    }
  }
  return problems;
}

Body point_of(const Body& record) {
  const Body& certificate = record.at("certificate");
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  Body names = Body::array();
  for (const auto& set : record.at("sets")) {
    entries += set.at("entries").get<std::uint64_t>();
    bytes += set.at("bytes").get<std::uint64_t>();
    names.push_back(set.at("name"));
  }
  return {{"id", record.at("id")},
          {"service", record.at("service")},
          {"moment", record.at("moment")},
          {"sealed_at", record.at("sealed_at")},
          {"mode", record.at("mode")},
          {"consistency", certificate.at("consistency")},
          {"skew_ns", certificate.at("skew_ns")},
          {"lateness_ns", certificate.at("lateness_ns")},
          {"digest", record.at("digest")},
          {"entries", entries},
          {"bytes", bytes},
          {"sets", std::move(names)}};
}

}  // namespace lockstep::transfer
