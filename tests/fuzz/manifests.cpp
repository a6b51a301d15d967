// Manifests: as they are, with the checksum made to fit so that what lies behind it is reached, and
// made of entries.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/stream/manifest_writer.hpp"
#include "tests/fuzz/target.hpp"
#include "tests/support/scratch.hpp"

namespace lockstep::fuzz {

using namespace stream;
using component::EntryKind;

namespace {

// Where the reader finds its file; in memory where the machine has that.
struct Place {
  test::Scratch scratch{::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"};
  std::unique_ptr<os::Disk> disk = os::make_kernel_disk();
  std::string path = scratch / "manifest";
  std::string copy = scratch / "copy";
};
Place& place() {
  static Place one;
  return one;
}

void put(std::string_view bytes) {
  std::ofstream(place().path, std::ios::binary | std::ios::trunc) << bytes;
}
std::string get(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

WithNative native_of(const ManifestReader& reader) {
  return reader.has_native() ? WithNative::yes : WithNative::no;
}

// A manifest that is whole can be copied, and there is one way to write it.
void must_copy(std::string_view bytes, const ManifestSummary& summary) {
  auto& at = place();
  auto reader = ManifestReader::open(*at.disk, at.path);
  must(reader.has_value(), "a whole manifest can be opened");
  auto writer = ManifestWriter::create(*at.disk, at.copy, native_of(*reader));
  must(writer.has_value(), "a manifest can be made");
  while (true) {
    const auto next = reader->next();
    must(next.has_value(), "a whole manifest can be read");
    if (*next == ManifestReader::At::end) break;
    if (*next == ManifestReader::At::leave) continue;
    const auto fits = writer->leave_until(reader->entry().path);
    must(fits && *fits, "a whole manifest is a tree");
    must(writer->copy(*reader).has_value(), "an entry that was read can be written");
  }
  const auto made = writer->finish();
  must(made && made->root == summary.root && made->entries == summary.entries &&
           made->bytes == summary.bytes,
       "a copy has the same root");
  must(writer->flush().has_value() && get(at.copy) == bytes,
       "a manifest is written as it was read");
}

void look_at(std::string_view bytes) {
  auto& at = place();
  put(bytes);
  const auto told = read_manifest_summary(*at.disk, at.path);
  if (!told) must_tell(told.error());
  const auto page = list_manifest(*at.disk, at.path, "", "", 10);
  if (!page) must_tell(page.error());
  if (page) must(page->entries.size() <= 10, "a page has its limit");
  if (auto partial = ManifestReader::open_partial(*at.disk, at.path, bytes.size())) {
    while (true) {
      const auto next = partial->next();
      if (!next || *next == ManifestReader::At::end) break;
    }
  }
  const auto whole = check_manifest(*at.disk, at.path);
  if (!whole) return must_tell(whole.error());
  must(told && told->root == whole->root, "the end tells the root of the whole");
  must_copy(bytes, *whole);
}

// The input as entries, one after another: a manifest of those that ascend is whole.
void make_of(std::string_view input) {
  auto& at = place();
  ByteReader in(std::as_bytes(std::span(input)));
  auto writer = ManifestWriter::create(*at.disk, at.path, WithNative::yes);
  must(writer.has_value(), "a manifest can be made");
  std::vector<Entry> put_in;
  while (in.left() > 0) {
    const DecodedEntry decoded = decode_entry(in, WithNative::yes);
    if (decoded.bad != nullptr) break;
    const Entry& entry = decoded.entry;
    if (entry.size > 64 * kLeaf) continue;
    if (put_in.empty() != entry.path.empty()) continue;
    if (!put_in.empty() && !component::path_less(put_in.back().path, entry.path)) continue;
    const auto fits = writer->leave_until(entry.path);
    must(fits.has_value(), "a directory can be left");
    if (!*fits) break;
    must(writer->begin(entry).has_value(), "an entry that was read can be written");
    if (entry.kind != EntryKind::directory) {
      for (std::uint64_t i = 0; i < stored_leaves(entry); ++i) {
        must(writer->leaf(zero_leaf_digest(leaf_length(entry.size, i))).has_value(),
             "a leaf can be written");
      }
      must(writer->end().has_value(), "an entry can be ended");
    }
    put_in.push_back(entry);
    if (put_in.size() == 1 && entry.kind != EntryKind::directory) break;
  }
  if (put_in.empty()) return;
  const auto made = writer->finish();
  must(made && made->entries == put_in.size() && writer->flush(), "a manifest can be ended");
  const auto whole = check_manifest(*at.disk, at.path);
  must(whole && whole->root == made->root, "a manifest that was made is whole");
  auto reader = ManifestReader::open(*at.disk, at.path);
  must(reader.has_value(), "a manifest that was made can be opened");
  for (const Entry& entry : put_in) {
    auto next = reader->next();
    while (next && *next == ManifestReader::At::leave) next = reader->next();
    must(next && *next == ManifestReader::At::entry && reader->entry().path == entry.path &&
             same_metadata(reader->entry(), entry) && reader->entry().native == entry.native,
         "an entry survives the manifest");
  }
}

}  // namespace

void manifest(std::string_view input) {
  look_at(input);
  if (input.size() > 16) {
    std::string fitting(input);
    const auto digest = xxh3_128(std::as_bytes(std::span(fitting)).first(fitting.size() - 16));
    for (std::size_t i = 0; i < 16; ++i) {
      fitting[fitting.size() - 16 + i] = static_cast<char>(digest[i]);
    }
    if (fitting != input) look_at(fitting);
  }
  make_of(input);
}

}  // namespace lockstep::fuzz
