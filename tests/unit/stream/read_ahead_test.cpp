// What is listed and read ahead by several threads comes out in order, each content and each error
// with the entry it belongs to.
#include "common/stream/read_ahead.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <set>
#include <thread>

#include "common/stream/digest.hpp"
#include "tests/unit/stream/repeated.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using component::Change;
using component::Entry;
using component::EntryKind;

namespace {

// Files named by numbers; their content is their name again and again.
class Numbered final : public component::Source {
 public:
  Result<std::unique_ptr<component::EntryCursor>> entries() override {
    return make_error(ErrorCode::internal, "nobody asks this one");
  }
  Result<std::unique_ptr<component::EntryReader>> open(const Entry& entry) override {
    ++opened;
    if (unreadable.contains(entry.path))
      return make_error(ErrorCode::source_read, "it cannot be read", entry.path);
    const std::uint64_t size = shorter.contains(entry.path) ? entry.size - 1 : entry.size;
    return std::unique_ptr<component::EntryReader>(
        std::make_unique<test::Repeated>(entry.path, size));
  }
  bool unchanged(const Entry&, const Entry&) const override { return false; }
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const Entry&, const component::Version&) override {
    return std::optional<std::vector<component::Extent>>();
  }

  std::set<std::string> unreadable, shorter;
  std::atomic<int> opened = 0;
};

constexpr int kFiles = 3000;

// Every seventh is a directory, every eleventh larger than what is read ahead, every thirteenth
// empty.
Change numbered(int i) {
  Entry entry;
  entry.path = "f" + std::to_string(1'000'000 + i);
  entry.kind = i % 7 == 0 ? EntryKind::directory : EntryKind::regular;
  if (entry.kind == EntryKind::regular)
    entry.size = i % 11 == 0 ? kLeaf + 1 : i % 13 == 0 ? 0 : static_cast<std::uint64_t>(i * 20);
  std::string path = entry.path;
  return {std::move(path), std::move(entry)};
}

bool is_read(const Entry& entry) {
  return entry.kind == EntryKind::regular && entry.size > 0 && entry.size <= kLeaf;
}

ReadAhead::List first(int count, std::optional<Error> then = {}) {
  return [count, then, i = 0]() mutable -> Result<std::optional<Change>> {
    if (i < count) return std::optional(numbered(i++));
    if (then) return *then;
    return std::optional<Change>();
  };
}

}  // namespace

TEST_CASE("what is read ahead comes in the order of the listing, each with its own content") {
  Numbered source;
  ReadAhead ahead(source, first(kFiles), ReadAhead::Content::of_small_files, {});
  int read = 0;
  for (int i = 0; i < kFiles; ++i) {
    auto item = ahead.next();
    REQUIRE(item);
    REQUIRE(item->has_value());
    const Change& change = (*item)->change;
    REQUIRE(change.path == numbered(i).path);
    REQUIRE((*item)->content.has_value() == is_read(*change.now));
    if (!(*item)->content) continue;
    ++read;
    REQUIRE((*item)->content->has_value());
    const auto bytes = **(*item)->content;
    REQUIRE(bytes.size() == change.now->size);
    bool same = true;
    for (std::size_t at = 0; at < bytes.size(); ++at)
      same = same && bytes[at] == static_cast<std::byte>(change.path[at % change.path.size()]);
    REQUIRE(same);
  }
  REQUIRE_FALSE(ahead.next()->has_value());
  REQUIRE_FALSE(ahead.next()->has_value());
  CHECK(source.opened == read);
}

TEST_CASE("without contents nothing is read ahead") {
  Numbered source;
  ReadAhead ahead(source, first(kFiles), ReadAhead::Content::of_none, {});
  int count = 0;
  while (true) {
    auto item = ahead.next();
    REQUIRE(item);
    if (!*item) break;
    CHECK_FALSE((*item)->content.has_value());
    ++count;
  }
  CHECK(count == kFiles);
  CHECK(source.opened == 0);
}

TEST_CASE(
    "a file that cannot be read ahead, or is too short, fails where it stands and no earlier") {
  Numbered source;
  source.unreadable = {numbered(1501).path};
  source.shorter = {numbered(2001).path};
  ReadAhead ahead(source, first(kFiles), ReadAhead::Content::of_small_files, {});
  int failed = 0;
  for (int i = 0; i < kFiles; ++i) {
    auto item = ahead.next();
    REQUIRE(item);
    const auto& content = (*item)->content;
    if (!content || content->has_value()) continue;
    ++failed;
    CHECK((i == 1501 || i == 2001));
    CHECK(content->error().code == ErrorCode::source_read);
    CHECK(content->error().where == numbered(i).path);
  }
  CHECK(failed == 2);
}

TEST_CASE("an error of the listing comes after what was listed before it, and stays") {
  Numbered source;
  const Error broken = make_error(ErrorCode::source_read, "the directory cannot be read", "d");
  for (const int before : {0, 1, 63, 64, 65, 1000}) {
    INFO(before);
    ReadAhead ahead(source, first(before, broken), ReadAhead::Content::of_small_files, {});
    for (int i = 0; i < before; ++i) REQUIRE(ahead.next()->has_value());
    for (int again = 0; again < 2; ++again) {
      const auto end = ahead.next();
      REQUIRE_FALSE(end.has_value());
      CHECK(end.error().where == "d");
    }
  }
}

TEST_CASE("who waits for a listing that gets nowhere is freed by a stop") {
  Numbered source;
  std::stop_source stop;
  std::atomic<bool> waits = true;
  {
    const auto list = [&waits]() -> Result<std::optional<Change>> {
      while (waits) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      return std::optional<Change>();
    };
    ReadAhead ahead(source, list, ReadAhead::Content::of_small_files, stop.get_token());
    std::jthread stopper([&] { stop.request_stop(); });
    const auto item = ahead.next();
    REQUIRE_FALSE(item.has_value());
    CHECK(item.error().code == ErrorCode::cancelled);
    waits = false;
  }
}

TEST_CASE("each entry listed and each file read is told as a movement") {
  Numbered source;
  std::atomic<int> moved = 0;
  ReadAhead ahead(source, first(kFiles), ReadAhead::Content::of_small_files, {},
                  [&moved] { ++moved; });
  while (ahead.next()->has_value()) continue;
  CHECK(moved == kFiles + source.opened);
}

TEST_CASE("entries with much metadata are not listed far ahead") {
  Numbered source;
  std::atomic<int> listed = 0;
  const auto list = [&listed]() -> Result<std::optional<Change>> {
    Change change = numbered(++listed);
    change.now->xattrs = {{"user.large", std::string(60'000, 'x')}};
    return std::optional(std::move(change));
  };
  ReadAhead ahead(source, list, ReadAhead::Content::of_none, {});
  for (int i = 0; i < 100; ++i) REQUIRE(ahead.next()->has_value());
  CHECK(listed < 100 + 80);
}

TEST_CASE("one that is not taken to its end lets go of its threads") {
  Numbered source;
  ReadAhead ahead(source, first(1'000'000), ReadAhead::Content::of_small_files, {});
  REQUIRE(ahead.next()->has_value());
}
