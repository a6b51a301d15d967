#include <catch2/catch.hpp>
#include <random>

#include "common/message/bytes.hpp"
#include "common/message/envelope.hpp"

using namespace lockstep;
using namespace lockstep::message;
using namespace std::string_literals;

namespace {
ErrorCode refused(std::string_view bytes, const Limits& limits = {}) {
  auto result = unpack_body(bytes, limits);
  REQUIRE_FALSE(result.has_value());
  return result.error().code;
}
std::string repeated(std::string_view piece, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += piece;
  return out;
}
}  // namespace

TEST_CASE("a body comes back as it was packed") {
  const Body body{{"text", "caf\xc3\xa9"},
                  {"bytes", text_or_bytes("\xff\x00z"s)},
                  {"big", 18446744073709551615ULL},
                  {"negative", -9223372036854775807LL - 1},
                  {"half", 0.5},
                  {"yes", true},
                  {"nothing", nullptr},
                  {"empty", Body::array()},
                  {"nested", {{"a", {1, 2, {{"b", Body::object()}}}}}}};
  auto back = unpack_body(pack_body(body));
  REQUIRE(back.has_value());
  CHECK(*back == body);
}

TEST_CASE("the same body always packs to the same bytes") {
  CHECK(pack_body(Body{{"b", 1}, {"a", "x"}}) == "\x82\xa1"s + "a\xa1x\xa1"s + "b\x01"s);
}

TEST_CASE("text that is not UTF-8 leaves as bin, never as str") {
  const std::string packed = pack_body(Body{{"p", "\xff"}});
  CHECK(packed == "\x81\xa1p\xc4\x01\xff"s);
  CHECK((*unpack_body(packed))["p"].is_binary());
}

TEST_CASE("headers that promise too much are refused before anything is built") {
  CHECK(refused("\xdd\xff\xff\xff\xff"s) == ErrorCode::message_too_large);  // array of 4 Gi items
  CHECK(refused("\xdf\xff\xff\xff\xff"s) == ErrorCode::message_too_large);  // map
  CHECK(refused("\xdb\xff\xff\xff\xff"s) == ErrorCode::message_malformed);  // str
  CHECK(refused("\xc6\xff\xff\xff\xff"s) == ErrorCode::message_malformed);  // bin
  CHECK(refused("\xc9\xff\xff\xff\xff"s) == ErrorCode::message_malformed);  // ext
}

TEST_CASE("items are counted over the whole message") {
  Limits limits;
  limits.items = 10;
  CHECK(unpack_body("\x92\x94\x01\x02\x03\x04\x94\x01\x02\x03\x04"s, limits).has_value());
  CHECK(refused("\x92\x95\x01\x02\x03\x04\x05\x94\x01\x02\x03\x04"s, limits) ==
        ErrorCode::message_too_large);
}

TEST_CASE("depth is limited exactly, and a million levels cost no stack") {
  CHECK(unpack_body(repeated("\x91", 15) + "\x90"s).has_value());
  CHECK(refused(repeated("\x91", 16) + "\x90"s) == ErrorCode::message_too_large);
  CHECK(refused(std::string(1000000, '\x91')) == ErrorCode::message_too_large);
  CHECK(refused(repeated("\x81\xa1k", 300000)) == ErrorCode::message_too_large);
}

TEST_CASE("size is limited") {
  CHECK(refused(std::string(1024 * 1024 + 1, '\x01')) == ErrorCode::message_too_large);
}

TEST_CASE("what MessagePack readers let pass in silence is refused") {
  CHECK(refused("") == ErrorCode::message_malformed);
  CHECK(refused("\x81"s) == ErrorCode::message_malformed);
  CHECK(refused("\x92\x01"s) == ErrorCode::message_malformed);  // cut
  CHECK(refused("\x80\x80"s) == ErrorCode::message_malformed);  // bytes follow
  CHECK(refused("\x82\xa1"s + "a\x01\xa1"s + "a\x02"s) ==
        ErrorCode::message_malformed);                                         // key twice
  CHECK(refused("\x81\x01\x02"s) == ErrorCode::message_malformed);             // key an int
  CHECK(refused("\x81\xc4\x01"s + "a\x02"s) == ErrorCode::message_malformed);  // key a bin
  CHECK(refused("\x81\x90\x02"s) == ErrorCode::message_malformed);             // key an array
  CHECK(refused("\x81\xc0\x02"s) == ErrorCode::message_malformed);             // key nil
  CHECK(refused("\xa1\xff"s) == ErrorCode::message_malformed);                 // str not UTF-8
  CHECK(refused("\x81\xa1\xff\x01"s) == ErrorCode::message_malformed);         // key not UTF-8
  CHECK(refused("\xd4\x01\x00"s) == ErrorCode::message_malformed);             // ext
  CHECK(refused("\xc1"s) == ErrorCode::message_malformed);                     // never used
  CHECK(refused("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"s) == ErrorCode::message_malformed);  // NaN
  CHECK(refused("\xca\x7f\x80\x00\x00"s) == ErrorCode::message_malformed);  // infinity
}

TEST_CASE("random, cut and changed bytes end in a value or an error") {
  std::mt19937 random(11);
  const std::string good = pack_body(
      Body{{"list", {1, "two", 3.5, nullptr, {{"k", "v"}}}}, {"bytes", text_or_bytes("\xfe\xff")}});
  int read = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string bytes = good;
    if (round % 3 == 0) {
      bytes.assign(random() % 64, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
    } else if (round % 3 == 1) {
      bytes.resize(random() % bytes.size());
    } else {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    auto result = unpack_body(bytes);
    if (!result) continue;
    ++read;
    // Whatever was read can be written and read again with the same meaning.
    auto again = unpack_body(pack_body(*result));
    REQUIRE(again.has_value());
    REQUIRE(*again == *result);
  }
  CHECK(read > 0);
}
