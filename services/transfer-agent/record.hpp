// The record of a recovery point as data: made, signed, checked, summed up (docs/point-format.md).
//
// Thread rule: pure functions.
#pragma once

#include <string>
#include <vector>

#include "common/component/data_set.hpp"
#include "common/message/envelope.hpp"
#include "common/signing/signing_key.hpp"

namespace lockstep::transfer {

// A set as it lies sealed on this side.
struct KeptSet {
  component::Version version;
  std::string path;  // Target::path_of
  std::string root;  // hexadecimal
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::string manifest;  // absolute path
};

// `seal`: the body of point.seal. Requires: every set of it is in `sets`, by name. The record is
// signed; text in it that is not UTF-8 is shown by the rule of docs/protocol.md.
Result<message::Body> make_record(const std::string& run, const message::Body& seal,
                                  const std::vector<KeptSet>& sets, UtcNanos sealed_at,
                                  const signing::SigningKey& key);

// Keys sorted bytewise, no white space, UTF-8: what is signed, and what lies on disk.
std::string canonical(const message::Body& record);

// SHA-256("lockstep.point.1" 0x00, then for each set sorted by name its name and root).
Result<std::string> point_digest(const message::Body& record_sets);

// What is wrong with the record itself: its format, signature, digest, and what it repeats of its
// certificate. Sentences; none: nothing.
std::vector<std::string> record_problems(const message::Body& record);

// `point` of docs/protocol.md, without verified_*.
message::Body point_of(const message::Body& record);

}  // namespace lockstep::transfer
