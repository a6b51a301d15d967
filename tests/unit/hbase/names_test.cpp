#include <catch2/catch.hpp>

#include "common/components/hbase/hex.hpp"
#include "common/components/hbase/native.hpp"
#include "common/components/hbase/place.hpp"
#include "common/components/hbase/snapshot_names.hpp"

using namespace lockstep;
using namespace lockstep::hbase;

TEST_CASE("tables of HBase as paths") {
  CHECK(pattern_of("/default/lines").value() == "default:(?:lines)");
  CHECK(pattern_of("/orders/*").value() == "orders:(?:[^:]*)");
  CHECK(pattern_of("/o?/a.b,c-*").value() == "o[^:]:(?:a\\.b|c-[^:]*)");
  for (const char* bad : {"", "/", "/orders", "/orders/", "orders/x", "/a/b/c", "/a/b,", "/a/b,,c",
                          "/a/b)", "/a/(b", "/a/b:c", "/a.b/c", "/a/b|c", "/a/b\\", "/a/b\n"}) {
    INFO(bad);
    CHECK(pattern_of(bad).error().code == ErrorCode::not_supported);
  }
}

TEST_CASE("tables that are given back") {
  const TableName lines{"orders", "lines"};
  CHECK(restored_name("/drill/set", lines).value() == TableName{"drill", "set.orders.lines"});
  for (const char* bad : {"/drill", "drill/set", "/a/b/set", "/a-b/set", "/a/*", "//set"}) {
    INFO(bad);
    CHECK(restored_name(bad, lines).error().code == ErrorCode::usage);
  }
}

TEST_CASE("names that HBase may have") {
  CHECK(can_be_named({"default", "a.b-c_1"}));
  for (const TableName& bad : {TableName{"", "a"}, TableName{"a", ""}, TableName{"a", ".a"},
                               TableName{"a", "-a"}, TableName{"a", "a/b"}, TableName{"a", "a:b"},
                               TableName{"a.b", "c"}, TableName{"..", "c"}, TableName{"a", ".."}}) {
    CHECK_FALSE(can_be_named(bad));
  }
}

TEST_CASE("a version names its snapshots") {
  const component::SetId id{"orders", "lines"};
  CHECK(prefix_of(Use::pin, id) == "lockstep-pin.orders.lines.");
  CHECK(snapshot_name(Use::point, id, "run", {"n", "t.u"}) ==
        "lockstep-point.orders.lines.run.n.t.u");
  Native native;
  native.snapshots = {{"s", {"n", "t"}, 17}, {"r", {"n", "u"}, 18}};
  const auto again = native_from_text(to_text(native));
  REQUIRE(again);
  CHECK(again->snapshots == native.snapshots);
  native.staging = "/hbase/.lockstep/x";
  CHECK(native_from_text(to_text(native))->staging == native.staging);
  for (const char* bad : {"", "{}", "[]", "null", R"({"snapshots":[]})", R"({"snapshots":[{}]})",
                          R"({"snapshots":7})", R"({"staging":7})"}) {
    INFO(bad);
    CHECK(native_from_text(bad).error().code == ErrorCode::version_missing);
  }
}

TEST_CASE("bytes as digits") {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(from_hex(to_hex(all)) == all);
  CHECK(to_hex(std::string("\x00\xff", 2)) == "00ff");
  CHECK(from_hex("0").empty());
}
