#include "common/stream/carrying.hpp"

#include <catch2/catch.hpp>

#include "common/stream/resume_state.hpp"

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

class Summed final : public component::Source {
 public:
  Result<std::unique_ptr<component::EntryCursor>> entries() override {
    return make_error(ErrorCode::internal, "nobody lists");
  }
  Result<std::unique_ptr<component::EntryReader>> open(const Entry&) override {
    return make_error(ErrorCode::internal, "nobody reads");
  }
  bool unchanged(const Entry&, const Entry&) const override { return false; }
  Result<std::optional<std::vector<component::Extent>>> changed_extents(
      const Entry&, const component::Version&) override {
    return std::optional<std::vector<component::Extent>>();
  }
  Result<std::string> kept_sum(const Entry& entry) override { return "sum of " + entry.path; }
};

}  // namespace

TEST_CASE("the checksum of a file that was brought is its store's; of an exception there is none") {
  Summed source;
  CHECK_FALSE(sums_of(source, Carried{}));
  const auto sums = sums_of(source, Carried{true, "how", {"a", "c"}});
  REQUIRE(sums);
  Entry entry;
  entry.path = "b";
  CHECK(sums(entry).value() == "sum of b");
  entry.path = "c";
  CHECK(sums(entry).value().empty());
}
