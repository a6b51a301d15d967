// The record of a recovery point, as the registrar and `lockstep` read it.
#include "services/transfer-agent/record.hpp"
#include "services/transfer-agent/record_store.hpp"
#include "tests/fuzz/target.hpp"

namespace lockstep::fuzz {

using message::Body;
using namespace transfer;
using signing::signature_holds;
using signing::SigningKey;

void record(std::string_view input) {
  const Body read = Body::parse(input, nullptr, false);
  if (read.is_discarded()) return;
  const auto problems = record_problems(read);
  for (const auto& problem : problems) {
    must(!problem.empty() && problem.size() < 16384, "a problem is told, and shortly");
  }
  if (!message::check_schema("point-record", read)) {
    return must(!problems.empty(), "a malformed record has a problem");
  }
  must(point_of(read).contains("id"), "a record can be summed up");
  for (const auto& set : read.at("sets")) {
    version_in(read, set);
    manifest_in(set);
  }
  // Signed as a registrar would, so that what lies behind the signature is reached.
  static const SigningKey key = SigningKey::make().value();
  Body signed_record = read;
  signed_record.erase("signature");
  const std::string text = canonical(signed_record);
  const auto value = key.sign(text);
  must(value.has_value(), "a record can be signed");
  signed_record["signature"] = {
      {"algorithm", "ed25519"}, {"key", key.public_hex()}, {"value", *value}};
  for (const auto& problem : record_problems(signed_record)) {
    must(problem.find("signature") == std::string::npos, "a signature holds: " + problem);
  }
  const Body again = Body::parse(canonical(signed_record), nullptr, false);
  must(again == signed_record && canonical(again) == canonical(signed_record),
       "a record survives its file");
  // One bit of what was signed.
  std::string other = text;
  other.back() = static_cast<char>(other.back() ^ 1);
  must(!signature_holds(other, key.public_hex(), *value), "a signature is of one text");
}

}  // namespace lockstep::fuzz
