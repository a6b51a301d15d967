#include "common/message/uuid.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

using lockstep::UtcNanos;
using namespace lockstep::message;

TEST_CASE("a UUIDv7 carries its millisecond, version and variant") {
  // 2026-11-21T02:00:00.123Z is 1795226400123 = 0x1a1fc8dc57b milliseconds.
  const std::string id = make_uuid7(UtcNanos{1795226400123'456'789});
  CHECK(is_uuid(id));
  CHECK(id[14] == '7');
  CHECK(std::string("89ab").find(id[19]) != std::string::npos);
  std::string hex = id.substr(0, 8) + id.substr(9, 4);
  CHECK(std::stoll(hex, nullptr, 16) == 1795226400123);
}

TEST_CASE("ids of one millisecond ascend") {
  std::string last;
  for (int i = 0; i < 10000; ++i) {
    std::string id = make_uuid7(UtcNanos{1'700'000'000'000'000'000});
    REQUIRE(id > last);
    last = id;
  }
}

TEST_CASE("ids made by many threads differ") {
  std::vector<std::vector<std::string>> made(4);
  std::vector<std::thread> threads;
  for (auto& mine : made) {
    threads.emplace_back([&mine] {
      for (int i = 0; i < 2000; ++i) mine.push_back(make_uuid7(UtcNanos{5'000'000}));
    });
  }
  for (auto& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 8000);
}

TEST_CASE("what is no UUID is told") {
  CHECK(is_uuid("0193a5f0-1234-7abc-8def-0123456789ab"));
  CHECK_FALSE(is_uuid(""));
  CHECK_FALSE(is_uuid("0193A5F0-1234-7abc-8def-0123456789ab"));
  CHECK_FALSE(is_uuid("0193a5f0-1234-7abc-8def-0123456789a"));
  CHECK_FALSE(is_uuid("0193a5f001234-7abc-8def-0123456789ab"));
  CHECK_FALSE(is_uuid("0193a5f0-1234-7abc-8def-0123456789a/"));
}
