// An entry as bytes, the same in packs and in manifests (docs/point-format.md, "The manifest").
//
// Thread rule: functions share nothing.
#pragma once

#include "common/error/error.hpp"
#include "common/stream/bytes.hpp"
#include "common/stream/digest.hpp"

namespace lockstep::stream {

// An encoded entry is at most this long: path and link text are limited by the kernel, xattrs are
// not, and holes are thinned by who sends (thin_holes).
inline constexpr std::size_t kMaxEntryBytes = 1024 * 1024;
inline constexpr std::size_t kMaxHoles = 16384;

inline constexpr std::size_t kMaxSum = 256;

// The kind under which a regular file stands whose content is known by its store's checksum.
inline constexpr std::uint8_t kSummedFile = 9;

enum class WithNative : bool { no, yes };

// Error: source-special where the entry is longer than kMaxEntryBytes (its xattrs are).
Result<void> encode_entry(const Entry& entry, WithNative native, Buffer& out);

// Nothing that an honest side would not have written passes: kinds, a clean path, fields that do
// not belong to the kind, unsorted xattrs, holes outside the file. `bad` names what was wrong.
struct DecodedEntry {
  Entry entry;
  const char* bad = nullptr;
};
DecodedEntry decode_entry(ByteReader& in, WithNative native);

// Keeps at most kMaxHoles holes by letting the shortest count as data, always in the same way.
void thin_holes(std::vector<component::Extent>& holes);

// Clears what does not belong to the entry's kind, so that both sides see the same.
void normalise(Entry& entry);

}  // namespace lockstep::stream
