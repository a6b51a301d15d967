#include <catch2/catch.hpp>
#include <thread>
#include <vector>

#include "common/message/bytes.hpp"
#include "common/message/embedded_schemas.hpp"
#include "common/message/envelope.hpp"

using namespace lockstep;
using namespace lockstep::message;

TEST_CASE("every embedded schema can be used") {
  REQUIRE(kEmbeddedSchemaCount > 3);
  for (std::size_t i = 0; i < kEmbeddedSchemaCount; ++i) {
    INFO(kEmbeddedSchemas[i].name);
    REQUIRE(schema_exists(kEmbeddedSchemas[i].name));
    // Every schema describes a map: a bare number fits none of them.
    const auto result = check_schema(kEmbeddedSchemas[i].name, Body(17));
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code == ErrorCode::message_schema);
  }
}

TEST_CASE("a reply without a schema of its own has an empty body") {
  CHECK(schema_exists("ping.accepted"));
  CHECK(check_schema("ping.accepted", Body::object()).has_value());
  CHECK(check_schema("ping.accepted", Body{{"x", 1}}).error().where == "/x");
  CHECK_FALSE(schema_exists("ping.progress"));
  CHECK_FALSE(schema_exists("nothing.done"));
  CHECK_FALSE(schema_exists(".done"));
  CHECK(check_schema("nothing", Body::object()).error().code == ErrorCode::message_unknown_type);
}

TEST_CASE("bin stands only where any bytes may stand, and cannot be forged") {
  Body error = error_body(make_error(ErrorCode::io, "a", "b"));
  CHECK(check_schema("failed", {{"error", error}}).has_value());
  error["where"] = Body::binary({0xff});
  CHECK(check_schema("failed", {{"error", error}}).has_value());
  error["code"] = Body::binary({'i', 'o'});
  CHECK(check_schema("failed", {{"error", error}}).error().where == "/error/code");
  error["code"] = "io";
  error["where"] = Body{{"$bin", 1}};
  CHECK(check_schema("failed", {{"error", error}}).error().code == ErrorCode::message_schema);
}

TEST_CASE("a text of a megabyte in a field with a pattern is refused, not a crash") {
  Body done{{"name", std::string(1000000, 'a')},
            {"role", "user"},
            {"version", "1"},
            {"pid", 1},
            {"started_at", "2026-11-21T02:00:00Z"},
            {"epoch", {{"number", 1}, {"promotion", ""}}}};
  CHECK(check_schema("ping.done", done).error().where == "/name");
  done["name"] = "policy";
  CHECK(check_schema("ping.done", done).has_value());
  done["version"] = std::string(101, 'v');
  CHECK(check_schema("ping.done", done).error().where == "/version");
  done["version"] = std::string(900000, 'v');
  CHECK(check_schema("ping.done", done).error().where == "/version");
}

TEST_CASE("schemas are checked from several threads") {
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (auto& count : good) {
    threads.emplace_back([&count] {
      for (int i = 0; i < 200; ++i) {
        if (check_schema("empty", Body::object()).has_value()) ++count;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 200));
}

TEST_CASE("an error about a key of a megabyte is short") {
  const auto result = check_schema("empty", {{std::string(1000000, 'k'), 1}});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().what.size() < 1000);
  CHECK(result.error().where.size() < 1000);
}
