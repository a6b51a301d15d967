#include "common/clock/chrony.hpp"

#include <catch2/catch.hpp>

using namespace lockstep;

namespace {

std::vector<std::uint8_t> bytes_of(const std::string& hex) {
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

// Answers of chronyd 4.3 that `chronyc -c -n tracking` showed as
// C0000201,192.0.2.1,9,...,-0.000002487,...,0.000007602,0.000001471,1.0,Normal and as 7F7F0101,,8.
const char* const kFollows =
    "06020000002100050000000000000000010203040000000000000000c0000201c000020100000000000000000000"
    "00000001000000090000000000006b02032603e0da0fdf5906e4d1111d3fd8880044f912c638f1411710febc28fd"
    "e0ff14afdcc1a24804816283";
const char* const kLocal =
    "060200000021000500000000000000000102030400000000000000007f7f0101000000000000000000000000000000"
    "000000000000080000000000006b02031d0e718600000000000000000000000000000000000000000000000000000"
    "000000000000000000000";
constexpr std::uint32_t kSequence = 0x01020304;

}  // namespace

TEST_CASE("what chronyd answers is read as chronyc shows it") {
  const auto found = read_tracking(bytes_of(kFollows), kSequence);
  REQUIRE(found);
  CHECK(found->source == "192.0.2.1");
  CHECK(found->synchronised);
  CHECK(found->error.count == Approx(3801 + 1471 + 2487).margin(100));
  const auto local = read_tracking(bytes_of(kLocal), kSequence);
  REQUIRE(local);
  CHECK(local->source == "7F7F0101");
  CHECK(local->synchronised);
  CHECK(local->error.count == 0);
}

TEST_CASE("a reference clock shows its name, and no source is not synchronised") {
  auto datagram = bytes_of(kLocal);
  const std::string name = "GPS";
  for (std::size_t i = 0; i < 4; ++i) {
    datagram[28 + i] = i < name.size() ? static_cast<std::uint8_t>(name[i]) : 0;
  }
  CHECK(read_tracking(datagram, kSequence)->source == "GPS");
  datagram[55] = 3;  // the leap status
  CHECK_FALSE(read_tracking(datagram, kSequence)->synchronised);
}

TEST_CASE("what is no answer to the question is none, however it is broken") {
  const auto good = bytes_of(kFollows);
  CHECK_FALSE(read_tracking(good, kSequence + 1));
  for (std::size_t length = 0; length < 104; ++length) {
    CHECK_FALSE(read_tracking(std::span{good}.first(length), kSequence));
  }
  for (const std::size_t at : {0U, 1U, 5U, 7U, 9U, 16U}) {
    auto broken = good;
    broken[at] ^= 0x40;
    CHECK_FALSE(read_tracking(broken, kSequence));
  }
  // Any content is bounded: a name that fits the schema, an error that is a number.
  for (std::size_t at = 20; at < good.size(); ++at) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      auto broken = good;
      broken[at] = static_cast<std::uint8_t>(value);
      const auto found = read_tracking(broken, kSequence);
      REQUIRE(found);
      CHECK(found->error.count >= 0);
      CHECK((found->source.size() > 0 && found->source.size() <= 45));
    }
  }
}

TEST_CASE("a request is as long as its answer, and carries its number") {
  const auto request = tracking_request(kSequence);
  CHECK(request.size() == 104);
  CHECK(std::vector<std::uint8_t>(request.begin() + 8, request.begin() + 12) ==
        std::vector<std::uint8_t>{1, 2, 3, 4});
}
