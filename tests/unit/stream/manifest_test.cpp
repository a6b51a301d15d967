#include "common/stream/manifest.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "common/stream/manifest_writer.hpp"
#include "tests/support/scratch.hpp"
#include "tests/unit/stream/peers.hpp"

namespace {

using namespace lockstep;
using namespace lockstep::stream;
using component::EntryKind;

Entry entry(const std::string& path, EntryKind kind, std::uint64_t size = 0) {
  Entry out;
  out.path = path;
  out.kind = kind;
  out.mode = 0644;
  out.uid = 3;
  out.mtime_ns = -5;
  out.size = size;
  return out;
}

Digest128 leaf_of(std::uint64_t n) { return xxh3_128(std::as_bytes(std::span(&n, 1))); }

// Writes from entry `from` on; stops (as a process that dies) before entry `to`, `leaves_in` leaves
// into it.
constexpr std::uint64_t kSummed = 200'000;  // of a file that is known by its store's checksum

struct Sample {
  std::vector<Entry> entries;
  Sample() {
    entries = {
        entry("", EntryKind::directory),      entry("a", EntryKind::directory),
        entry("a/empty", EntryKind::regular), entry("a/large", EntryKind::regular, 65536 * 5 + 1),
        entry("a/z", EntryKind::directory),   entry("a/z/deep", EntryKind::fifo),
        entry("a-b", EntryKind::regular, 10), entry("c", EntryKind::symlink),
        entry("d", EntryKind::hard_link),     entry("e", EntryKind::regular, kSummed)};
    entries[7].link_target = "nowhere";
    entries[8].link_target = "a-b";
    entries[9].sum = "MD5-of-0MD5-of-512CRC32C:00ff";
    for (Entry& one : entries) normalise(one);
    entries[2].xattrs = {{"user.a", std::string("\0x", 2)}, {"user.b", ""}};
    entries[3].holes = {{65536, 65536}};
    entries[3].native = {77, 88, 99};
  }
};

Result<void> write_one(ManifestWriter& writer, const Entry& one, std::uint64_t from_leaf = 0) {
  if (from_leaf == 0) {
    LOCKSTEP_CHECK(writer.leave_until(one.path));
    LOCKSTEP_CHECK(writer.begin(one));
  }
  if (one.kind == EntryKind::directory) return {};
  for (std::uint64_t i = from_leaf; i < stored_leaves(one); ++i)
    LOCKSTEP_CHECK(writer.leaf(leaf_of(i)));
  if (!one.sum.empty()) {
    LOCKSTEP_CHECK(writer.end(content_of_sum(one.size, one.sum)));
    return {};
  }
  ContentDigest content(one.size);
  if (one.size > 0 && one.size <= kLeaf) content.add(leaf_of(0));
  LOCKSTEP_CHECK(writer.end(stored_leaves(one) > 0 ? Digest256{} : content.finish()));
  return {};
}

std::string python(const std::string& path) {
  const std::string command = std::string("/usr/bin/python3 ") + LOCKSTEP_SOURCE_DIR +
                              "/tests/compare/manifest.py " + path + " 2>&1";
  FILE* pipe = ::popen(command.c_str(), "r");
  std::string out;
  char line[256];
  while (pipe != nullptr && ::fgets(line, sizeof line, pipe) != nullptr) out += line;
  if (pipe != nullptr) ::pclose(pipe);
  return out;
}

}  // namespace

TEST_CASE("a manifest comes back as it was written, and another language reads it") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  const Sample sample;
  auto writer = ManifestWriter::create(*disk, path, WithNative::yes);
  REQUIRE(writer.has_value());
  for (const Entry& one : sample.entries) REQUIRE(write_one(*writer, one));
  const auto summary = writer->finish();
  REQUIRE(summary.has_value());
  REQUIRE(writer->flush());
  CHECK(summary->entries == sample.entries.size());
  CHECK(summary->bytes == 65536 * 5 + 1 + 10 + kSummed);

  auto reader = ManifestReader::open(*disk, path);
  REQUIRE(reader.has_value());
  std::size_t at = 0;
  while (*reader->next() != ManifestReader::At::end) {
    if (reader->at() != ManifestReader::At::entry) continue;
    REQUIRE(at < sample.entries.size());
    CHECK(reader->entry().path == sample.entries[at].path);
    CHECK(same_metadata(reader->entry(), sample.entries[at]));
    CHECK(reader->entry().sum == sample.entries[at].sum);
    CHECK(reader->entry().native == sample.entries[at].native);
    ++at;
  }
  CHECK(at == sample.entries.size());
  CHECK(reader->summary().root == summary->root);
  CHECK(read_manifest_summary(*disk, path)->root == summary->root);
  CHECK(check_manifest(*disk, path)->root == summary->root);
  CHECK(python(path) == to_hex(summary->root) + "\n");
}

TEST_CASE("a manifest whose checksum of a file is not its content digest's is damaged") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  auto writer = ManifestWriter::create(*disk, path, WithNative::no);
  REQUIRE(write_one(*writer, entry("", EntryKind::directory)));
  Entry file = entry("a", EntryKind::regular, kSummed);
  file.sum = "one:00";
  REQUIRE(writer->leave_until(file.path));
  REQUIRE(writer->begin(file));
  REQUIRE(writer->end(content_of_sum(kSummed, "other:00")));
  REQUIRE(writer->finish());
  const auto checked = check_manifest(*disk, path);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code == ErrorCode::point_damaged);
  CHECK_THAT(python(path), Catch::Contains("content digest"));
}

TEST_CASE(
    "what may not stand for a file's content as a checksum is refused by who writes and who "
    "reads") {
  Buffer bytes;
  Entry directory = entry("a", EntryKind::directory);
  directory.sum = "x";
  CHECK_FALSE(encode_entry(directory, WithNative::no, bytes));
  Entry file = entry("a", EntryKind::regular, kSummed);
  file.sum = std::string(kMaxSum + 1, 'x');
  CHECK_FALSE(encode_entry(file, WithNative::no, bytes));
  file.sum = "x";
  file.holes = {{0, 65536}};
  CHECK_FALSE(encode_entry(file, WithNative::no, bytes));
  file.holes.clear();
  REQUIRE(encode_entry(file, WithNative::no, bytes));
  bytes.resize(bytes.size() - 5);  // the count of the text, and the text
  ByteWriter(bytes).number(std::uint32_t{0});
  ByteReader in(bytes);
  CHECK(decode_entry(in, WithNative::no).bad != nullptr);
}

TEST_CASE("a manifest goes on wherever its writer died, and ends the same") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  const Sample sample;
  std::optional<Digest256> root;
  std::string whole;
  // The large file (entry 3) is also interrupted between its leaves.
  for (std::size_t stop = 1; stop <= sample.entries.size(); ++stop) {
    for (std::uint64_t leaves = 0; leaves <= (stop == 3 ? 6U : 0U); ++leaves) {
      std::uint64_t offset = 0;
      std::uint64_t from_leaf = 0;
      {
        auto writer = ManifestWriter::create(*disk, path, WithNative::no);
        for (std::size_t i = 0; i < stop; ++i) REQUIRE(write_one(*writer, sample.entries[i]));
        if (leaves > 0) {
          REQUIRE(writer->leave_until(sample.entries[3].path));
          REQUIRE(writer->begin(sample.entries[3]));
          for (; from_leaf < leaves; ++from_leaf) REQUIRE(writer->leaf(leaf_of(from_leaf)));
        }
        offset = writer->offset();
        // What the journal does not know of is in the file, too.
        if (stop < sample.entries.size() && leaves == 0)
          REQUIRE(write_one(*writer, sample.entries[stop]));
        REQUIRE(writer->flush());
      }
      auto writer = ManifestWriter::resume(*disk, path, offset, WithNative::no);
      if (!writer) FAIL(writer.error().text());
      CHECK(writer->entry_open() == (leaves > 0));
      std::size_t next = stop;
      if (leaves > 0) REQUIRE(write_one(*writer, sample.entries[next++], from_leaf));
      for (; next < sample.entries.size(); ++next)
        REQUIRE(write_one(*writer, sample.entries[next]));
      const auto summary = writer->finish();
      REQUIRE(summary.has_value());
      if (!root) {
        root = summary->root;
        whole = test::slurp(path);
      }
      CHECK(summary->root == *root);
      CHECK(test::slurp(path) == whole);
    }
  }
}

TEST_CASE("damage anywhere in a manifest is found") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  {
    const Sample sample;
    auto writer = ManifestWriter::create(*disk, path, WithNative::no);
    for (const Entry& one : sample.entries) REQUIRE(write_one(*writer, one));
    REQUIRE(writer->finish());
  }
  const std::string good = test::slurp(path);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    test::spit(path, bad);
    INFO(i);
    const auto checked = check_manifest(*disk, path);
    CHECK_FALSE(checked.has_value());
    test::spit(path, good.substr(0, i));
    CHECK_FALSE(check_manifest(*disk, path).has_value());
  }
}

namespace {

// All of `from` in another manifest, its top directories as bytes; the reader begins anew at the
// first record that stands at or after `again_at`.
Result<ManifestSummary> copied(os::Disk& disk, const std::string& from, const std::string& to,
                               std::uint64_t again_at) {
  LOCKSTEP_TRY(ManifestWriter writer, ManifestWriter::create(disk, to, WithNative::yes));
  LOCKSTEP_TRY(ManifestReader reader, ManifestReader::open(disk, from));
  bool again = false;
  while (true) {
    LOCKSTEP_CHECK(reader.next());
    if (!again && reader.record_offset() >= again_at) {
      again = true;
      const std::uint64_t offset = reader.record_offset();
      LOCKSTEP_TRY(reader, ManifestReader::go_on_at(disk, from, offset));
      LOCKSTEP_CHECK(reader.next());
    }
    if (reader.at() == ManifestReader::At::end) break;
    if (reader.at() == ManifestReader::At::leave) continue;
    LOCKSTEP_CHECK(writer.leave_until(reader.entry().path));
    // The root is entered: what lies in it is copied one by one.
    LOCKSTEP_CHECK(reader.entry().path.empty() ? writer.copy(reader) : writer.copy_tree(reader));
  }
  LOCKSTEP_TRY(const ManifestSummary summary, writer.finish());
  LOCKSTEP_CHECK(writer.flush());
  return summary;
}

}  // namespace

TEST_CASE("directories that are copied as bytes make the same manifest, wherever it goes on") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  const Sample sample;
  auto writer = ManifestWriter::create(*disk, path, WithNative::yes);
  for (const Entry& one : sample.entries) REQUIRE(write_one(*writer, one));
  const auto summary = writer->finish();
  REQUIRE(writer->flush());
  const std::string whole = test::slurp(path);
  for (std::uint64_t again_at = 0; again_at < whole.size() + 100; again_at += 50) {
    INFO(again_at);
    const auto made = copied(*disk, path, scratch / "copy", again_at);
    if (!made) FAIL(made.error().text());
    CHECK(made->root == summary->root);
    CHECK(made->entries == summary->entries);
    CHECK(made->bytes == summary->bytes);
    CHECK(test::slurp(scratch / "copy") == whole);
  }
}

TEST_CASE("damage in what is copied as bytes is found at the end, even before where it went on") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  {
    const Sample sample;
    auto writer = ManifestWriter::create(*disk, path, WithNative::yes);
    for (const Entry& one : sample.entries) REQUIRE(write_one(*writer, one));
    REQUIRE(writer->finish());
  }
  const std::string good = test::slurp(path);
  for (std::size_t i = 0; i < good.size(); i += 3) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    test::spit(path, bad);
    INFO(i);
    for (const std::uint64_t again_at : {std::uint64_t{1} << 40, std::uint64_t{200}}) {
      const auto made = copied(*disk, path, scratch / "copy", again_at);
      REQUIRE_FALSE(made.has_value());
      CHECK(made.error().code == ErrorCode::point_damaged);
    }
  }
}

TEST_CASE("entries are listed by the page") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "manifest";
  const Sample sample;
  auto writer = ManifestWriter::create(*disk, path, WithNative::no);
  for (const Entry& one : sample.entries) REQUIRE(write_one(*writer, one));
  REQUIRE(writer->finish());
  const auto names = [&](const std::string& of, const std::string& after, std::size_t limit) {
    const auto page = list_manifest(*disk, path, of, after, limit);
    std::string out;
    if (!page) return page.error().text();
    for (const Entry& one : page->entries) out += one.path + " ";
    return out + (page->more ? "more" : "end");
  };
  CHECK(names("", "", 10) == "a a-b c d e end");
  CHECK(names("", "", 2) == "a a-b more");
  CHECK(names("", "a-b", 3) == "c d e end");
  CHECK(names("a", "", 10) == "a/empty a/large a/z end");
  CHECK(names("a/large", "", 10) == "a/large end");
  CHECK_THAT(names("a/none", "", 10), Catch::Contains("not-found"));
}

TEST_CASE("known digests") {
  // Of the independent implementation (tests/compare/point.py); XXH3-128 of nothing is xxHash's
  // own.
  CHECK(to_hex(xxh3_128({})) == "99aa06d3014798d86001c324468d497f");
  const std::string abc = "abc";
  CHECK(to_hex(xxh3_128(std::as_bytes(std::span(abc)))) == "06b05ab6733a618578af5f94892f3950");
  CHECK(zero_leaf_digest(kLeaf) == xxh3_128(std::vector<std::byte>(kLeaf)));
  CHECK(zero_leaf_digest(5) == xxh3_128(std::vector<std::byte>(5)));
  CHECK(digest256_from_hex(to_hex(ContentDigest(0).finish())) == ContentDigest(0).finish());
  CHECK_FALSE(digest256_from_hex("ff").has_value());
}

namespace {

// With a checksum that fits, so that only what the reader itself looks at can refuse it.
void write_with_checksum(const std::string& path, std::string bytes) {
  const auto digest = xxh3_128(std::as_bytes(std::span(bytes)));
  bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  test::spit(path, bytes);
}

}  // namespace

// Found by the properties of tests/fuzz: there is one way to write a manifest, and nothing may hide
// in another.
TEST_CASE(
    "a manifest with bytes behind an entry, with unknown flags or without a root is damaged") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const std::string path = scratch / "m";
  {
    auto writer = ManifestWriter::create(*disk, path, WithNative::no);
    REQUIRE(writer);
    REQUIRE(write_one(*writer, entry("", EntryKind::fifo)));
    REQUIRE(writer->finish());
  }
  std::string plain = test::slurp(path);
  REQUIRE(check_manifest(*disk, path));
  plain.resize(plain.size() - 16);
  write_with_checksum(path, plain);
  REQUIRE(check_manifest(*disk, path));

  std::string behind = plain;
  std::uint32_t length = 0;
  std::memcpy(&length, behind.data() + kManifestHeaderBytes + 1, sizeof length);
  behind.insert(kManifestHeaderBytes + 5 + length, "hidden");
  length += 6;
  std::memcpy(behind.data() + kManifestHeaderBytes + 1, &length, sizeof length);
  write_with_checksum(path, behind);
  CHECK(check_manifest(*disk, path).error().what.find("length") != std::string::npos);

  std::string flags = plain;
  flags[12] = 2;
  write_with_checksum(path, flags);
  CHECK(check_manifest(*disk, path).error().what.find("flags") != std::string::npos);

  std::string empty = plain.substr(0, kManifestHeaderBytes);
  empty += '\xff';
  empty.append(8 + 8 + 32, '\0');
  write_with_checksum(path, empty);
  CHECK(check_manifest(*disk, path).error().what.find("root") != std::string::npos);
}
