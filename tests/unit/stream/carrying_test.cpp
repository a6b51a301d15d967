#include "common/stream/carrying.hpp"

#include <catch2/catch.hpp>
#include <mutex>
#include <utility>

#include "common/os/disk.hpp"
#include "common/stream/planner.hpp"
#include "common/stream/resume_state.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using component::Carried;

TEST_CASE("what an engine brought is heard as it was told, and outlives the process") {
  for (const Carried& carried :
       {Carried{}, Carried{true, "how", {}}, Carried{true, "how", {"a", "a b/\xff", "c"}}}) {
    Control told("carried");
    tell_carried(told, carried);
    const auto wire = told.encode();
    const auto control = Control::decode(wire.text());
    REQUIRE(control);
    const Carried heard = heard_carried(*control);
    CHECK(heard.any == carried.any);
    CHECK(heard.how == carried.how);
    CHECK(heard.except == carried.except);

    ResumeState state;
    state.carried = carried;
    const auto kept = decode_state(encode_state(state));
    REQUIRE(kept);
    REQUIRE(kept->carried);
    CHECK(kept->carried->any == carried.any);
    CHECK(kept->carried->how == carried.how);
    CHECK(kept->carried->except == carried.except);
  }
  CHECK_FALSE(decode_state(encode_state(ResumeState{}))->carried);
}

TEST_CASE("as many exceptions as may be told fit into a frame and the journal, and no more") {
  Carried carried{true, "how", {}};
  for (std::size_t bytes = 0; bytes + 9 <= component::kMostExcepted; bytes += 9) {
    carried.except.push_back("12345678");
  }
  CHECK(check_carried(carried));
  Control told("carried");
  tell_carried(told, carried);
  const auto wire = told.encode();
  REQUIRE(Control::decode(wire.text()));
  CHECK(heard_carried(*Control::decode(wire.text())).except.size() == carried.except.size());
  carried.except.insert(carried.except.end(), 2, "12345678");
  CHECK_FALSE(check_carried(carried));
}

namespace {

class Listed final : public component::EntryCursor {
 public:
  explicit Listed(const std::vector<Entry>& entries) : entries_(entries) {}
  Result<std::optional<Entry>> next() override {
    if (at_ == entries_.size()) return std::optional<Entry>();
    return std::optional(entries_[at_++]);
  }

 private:
  const std::vector<Entry>& entries_;
  std::size_t at_ = 0;
};

// What a store knows by its checksums, and nobody is to read.
class Summed final : public component::Source {
 public:
  Summed() { add("", component::EntryKind::directory); }
  void add(const std::string& path, component::EntryKind kind = component::EntryKind::regular) {
    Entry entry;
    entry.path = path;
    entry.kind = kind;
    entry.mode = 0644;
    entry.size = kind == component::EntryKind::regular ? 5000 : 0;
    entry.native.inode = entries_.size() + 1;
    entries_.push_back(entry);
  }
  std::vector<std::string> asked() { return std::exchange(asked_, {}); }

  Result<std::unique_ptr<component::EntryCursor>> entries() override {
    return std::unique_ptr<component::EntryCursor>(std::make_unique<Listed>(entries_));
  }
  Result<std::unique_ptr<component::EntryReader>> open(const Entry&) override {
    return make_error(ErrorCode::internal, "nobody reads");
  }
  bool unchanged(const Entry& before, const Entry& now) const override {
    return before.native == now.native;
  }
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const Entry&, const component::Version&) override {
    return std::optional<std::vector<component::Extent>>();
  }
  Result<std::string> kept_sum(const Entry& entry) override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(entry.path);
    return "MD5-of-0MD5-of-512CRC32C:" + entry.path;
  }

 private:
  std::vector<Entry> entries_;
  std::mutex mutex_;
  std::vector<std::string> asked_;
};

}  // namespace

TEST_CASE("the checksum of a file that was brought is its store's; of an exception there is none") {
  Summed source;
  CHECK_FALSE(sums_of(source, Carried{}));
  const auto sums = sums_of(source, Carried{true, "how", {"a", "c"}});
  REQUIRE(sums);
  Entry entry;
  entry.path = "b";
  CHECK(sums(entry).value() == "MD5-of-0MD5-of-512CRC32C:b");
  entry.path = "c";
  CHECK(sums(entry).value().empty());
}

TEST_CASE("with a base only what is new is asked for and adopted, and the tree comes to the same") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const auto plan_to = [&](Summed& source, const std::string& name, const std::string& base) {
    PlanJob job;
    job.source = &source;
    job.manifest_part = scratch / name;
    if (!base.empty()) job.base_manifest = scratch / base;
    job.sum_of_carried = sums_of(source, Carried{true, "how", {}});
    std::size_t packed = 0;
    PackBuilder builder("transfer", 1, [&](const RawPack& pack) -> Result<void> {
      packed += pack.body->size();
      return {};
    });
    const auto summary = plan(*disk, job, builder);
    if (!summary) FAIL(summary.error().text());
    return std::pair(summary->root, packed);
  };
  Summed source;
  for (int i = 100; i < 200; ++i) source.add(std::to_string(i));
  plan_to(source, "base", "");
  CHECK(source.asked().size() == 100);
  source.add("200");
  const auto [root, packed] = plan_to(source, "next", "base");
  CHECK(source.asked() == std::vector<std::string>{"200"});
  const auto [anew, all] = plan_to(source, "anew", "");
  CHECK(source.asked().size() == 101);
  CHECK(root == anew);
  CHECK(packed < all / 10);
}
