// Records on disk: written whole or not at all, whatever fails; read back with care.
#include "services/transfer-agent/record.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/os/durable.hpp"
#include "services/transfer-agent/record_store.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using namespace lockstep::transfer;
using message::Body;

TEST_CASE("the point digest is what docs/point-format.md says, in any order of the sets") {
  const Body a{{"name", "a"}, {"root", std::string(64, '1')}};
  const Body b{{"name", "b"}, {"root", std::string(64, '2')}};
  // From a computation apart: sha256(b"lockstep.point.1\0" + b"\1\0\0\0a" + b"\x11"*32 + ...).
  const char* expected = "80b82e4af3ad05367cd88516debed7f4b448ca5ad89d90f0e51fab824a08b78c";
  CHECK(*point_digest(Body::array({a, b})) == expected);
  CHECK(*point_digest(Body::array({b, a})) == expected);
  CHECK_FALSE(point_digest(Body::array({{{"name", "a"}, {"root", "12"}}})));
}

TEST_CASE("records that cannot be read are told apart from those that are not there") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  const auto clock = make_system_clock();
  journal::OpenOptions options;
  options.path = scratch / "j.db";
  auto journal = journal::open(options, *clock);
  REQUIRE(journal);
  const component::Components components;
  const Agent agent{"south-transfer", "south",   scratch / "root", {0}, true, *disk,
                    *clock,           **journal, components};
  const RecordStore store(agent);
  CHECK(store.names("")->empty());
  CHECK(store.read({"orders", "x"}).error().code == ErrorCode::point_missing);
  CHECK_FALSE(*store.exists({"orders", "x"}));
  std::filesystem::create_directories(agent.record_directory("orders"));
  std::ofstream(agent.record_path("orders", "x")) << "{ not JSON";
  std::ofstream(agent.record_path("orders", "y")) << "{}";
  CHECK(store.read({"orders", "x"}).error().code == ErrorCode::point_damaged);
  CHECK(store.read({"orders", "y"}).error().code == ErrorCode::point_damaged);
  std::vector<Error> unreadable;
  CHECK(store.all("", &unreadable)->empty());
  CHECK(unreadable.size() == 2);
}

// Found by the properties of tests/fuzz: these were uncaught exceptions.
TEST_CASE("a record that is no object, or whose format is no text, has a problem") {
  for (const char* text :
       {"[]", "3", "null", "\"format\"", R"({"format":1})", R"({"format":null})"}) {
    INFO(text);
    CHECK(record_problems(Body::parse(text)).size() == 1);
  }
}
