#include "common/config/reader.hpp"

#include <catch2/catch.hpp>

namespace lockstep::config {
namespace {

TEST_CASE("plain scalars that YAML readers take for something else are known") {
  for (const char* text : {"yes",
                           "No",
                           "ON",
                           "off",
                           "y",
                           "true",
                           "False",
                           "~",
                           "null",
                           "010",
                           "0o17",
                           "0x1f",
                           "0b11",
                           "1_000",
                           "12",
                           "-3",
                           "+1",
                           "1.5",
                           ".5",
                           "1e3",
                           "1.e3",
                           ".inf",
                           "-.INF",
                           ".nan",
                           "1:30",
                           "190:20:30",
                           "2026-11-21",
                           "2026-11-21T02:00:00Z",
                           "2026-1-2 3:04:05"}) {
    INFO(text);
    CHECK(plain_scalar_trap(text));
  }
  for (const char* text : {"orders", "north-2", "1s", "26h", "0 2 * * *", "Europe/Paris", "/srv/12",
                           "v1.2", "a:b", "1.2.3", "none", "yes-man", "12-north", ""}) {
    INFO(text);
    CHECK_FALSE(plain_scalar_trap(text));
  }
}

TEST_CASE("near misses") {
  const std::vector<std::string> known{"schedule", "data_sets", "retention", "rpo", "mode"};
  CHECK(nearest("shedule", known) == "schedule");
  CHECK(nearest("data-sets", known) == "data_sets");
  CHECK(nearest("Retention", known) == "retention");
  CHECK(nearest("rop", known) == "rpo");
  CHECK_FALSE(nearest("colour", known));
  CHECK_FALSE(nearest(std::string(1000, 'x'), known));
}

// What reading one key by `read` finds: "LINE:COLUMN code", or "" where it is fine.
template <class Read>
std::string finding(const std::string& yaml, Read read) {
  Report report{"f"};
  const auto document = read_document(yaml, report);
  if (!document) return document.error().where + " " + error_info(document.error().code).name;
  auto map = document->map();
  REQUIRE(map);
  const auto value = map->find("k");
  REQUIRE(value);
  const auto got = read(*value);
  map->finish();
  CHECK(got.has_value() == report.clean());
  return report.clean() ? "" : report.error().where + " " + error_info(report.error().code).name;
}

TEST_CASE("whole numbers are plain decimal digits") {
  const auto read = [](const Value& value) { return value.integer(0, 100); };
  CHECK(finding("k: 7", read).empty());
  CHECK(finding("k: 0", read).empty());
  CHECK(finding("k: 101", read) == "f:1:4 config-bad-value");
  CHECK(finding("k: -1", read) == "f:1:4 config-bad-value");
  CHECK(finding("k: 99999999999999999999", read) == "f:1:4 config-wrong-type");
  for (const char* bad :
       {"007", "0x10", "1_0", "1.0", "1e1", "\"7\"", "7s", "", "[7]", "yes", "1:30"}) {
    INFO(bad);
    CHECK(finding(std::string{"k: "} + bad, read).ends_with(" config-wrong-type"));
  }
}

TEST_CASE("true and false have one spelling") {
  const auto read = [](const Value& value) { return value.boolean(); };
  CHECK(finding("k: true", read).empty());
  CHECK(finding("k: false", read).empty());
  for (const char* bad : {"yes", "on", "True", "1", "\"true\"", "~"}) {
    CHECK(finding(std::string{"k: "} + bad, read) == "f:1:4 config-wrong-type");
  }
}

TEST_CASE("text that needs quotes must have them") {
  const auto read = [](const Value& value) { return value.text(); };
  CHECK(finding("k: \"no\"", read).empty());
  CHECK(finding("k: 'no'", read).empty());
  CHECK(finding("k: !!str no", read).empty());
  CHECK(finding("k: no", read) == "f:1:4 config-wrong-type");
  CHECK(finding("k: 010", read) == "f:1:4 config-wrong-type");
  CHECK(finding("k: \"\"", read) == "f:1:4 config-bad-value");
  CHECK(finding("k: \"a\\0b\"", read) == "f:1:4 config-bad-value");
  CHECK(finding("k: !!int 3", read).ends_with(" config-syntax"));
}

TEST_CASE("sizes have a unit") {
  const auto read = [](const Value& value) { return value.bytes(); };
  CHECK(finding("k: 20MB", read).empty());
  CHECK(finding("k: 512KiB", read).empty());
  for (const char* bad : {"20", "20mb", "MB", "-1MB", "99999999999TiB", "1.5GB"}) {
    CHECK(finding(std::string{"k: "} + bad, read) == "f:1:4 config-bad-value");
  }
}

TEST_CASE("an alias shares its anchor's node, and none may hold itself") {
  const auto read = [](const Value& value) { return value.texts(); };
  CHECK(finding("k: [&a one, *a]", read).empty());
  CHECK(finding("k: &a [*a]", read).ends_with(" config-syntax"));
  CHECK(finding("k: [*nobody]", read).ends_with(" config-syntax"));
}

TEST_CASE("aliases in aliases do not make a document grow") {
  std::string yaml = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) {
    const auto n = std::to_string(i);
    const auto before = std::to_string(i - 1);
    yaml += "a" + n + ": &a" + n + " [*a" + before + ", *a" + before + "]\n";
  }
  Report report{"f"};
  const auto document = read_document(yaml, report);
  REQUIRE(document);
  auto map = document->map();
  REQUIRE(map);
  CHECK(map->find("a59")->list()->size() == 2);
}

TEST_CASE("nesting without end is refused, not followed") {
  Report report{"f"};
  const auto document = read_document(std::string(100000, '['), report);
  REQUIRE_FALSE(document);
  CHECK(document.error().code == ErrorCode::config_syntax);
}

TEST_CASE("a cron line without quotes is explained") {
  Report report{"f"};
  const auto document = read_document("cron: * * * * *\n", report);
  REQUIRE_FALSE(document);
  CHECK(document.error().code == ErrorCode::config_syntax);
  CHECK(document.error().where == "f:1:8");
  CHECK(document.error().hint.find("quotes") != std::string::npos);
}

TEST_CASE("a second document is refused") {
  Report report{"f"};
  const auto document = read_document("a: 1\n---\nb: 2\n", report);
  REQUIRE_FALSE(document);
  CHECK(document.error().where == "f:3:1");
}

TEST_CASE("names that the user chose are checked as names") {
  Report report{"f"};
  const auto document = read_document("north: 1\nNorth: 2\nno: 3\nnorth: 4\n-x: 5\n", report);
  REQUIRE(document);
  auto map = document->map();
  REQUIRE(map);
  const auto entries = map->entries();
  CHECK(entries.size() == 1);
  std::string all;
  for (const auto& error : report.findings())
    all += error.where + " " + error_info(error.code).name + "; ";
  CHECK(all ==
        "f:2:1 config-bad-value; f:3:1 config-wrong-type; f:4:1 config-duplicate-key; "
        "f:5:1 config-bad-value; ");
}

}  // namespace
}  // namespace lockstep::config
