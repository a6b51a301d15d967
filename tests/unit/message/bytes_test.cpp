#include "common/message/bytes.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace lockstep::message;

TEST_CASE("UTF-8 is told from what only looks like it") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("plain"));
  CHECK(is_utf8("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
  CHECK(is_utf8(std::string_view("\0", 1)));
  CHECK_FALSE(is_utf8("\xff"));
  CHECK_FALSE(is_utf8("\xc3"));              // cut
  CHECK_FALSE(is_utf8("\xc0\xaf"));          // overlong
  CHECK_FALSE(is_utf8("\xe0\x80\xaf"));      // overlong
  CHECK_FALSE(is_utf8("\xed\xa0\x80"));      // surrogate
  CHECK_FALSE(is_utf8("\xf4\x90\x80\x80"));  // above U+10FFFF
  CHECK_FALSE(is_utf8("\x80"));
}

TEST_CASE("bytes are shown by the documented rule") {
  CHECK(show("invoice-7.pdf") == "invoice-7.pdf");
  CHECK(show("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(show("caf\xe9") == "caf\\xe9");
  CHECK(show("C:\\dir") == "C:\\dir");
  CHECK(show("a\\xffb") == "a\\x5cxffb");
  CHECK(show("a\\xFFb") == "a\\xFFb");
  CHECK(unshow("a\\x5cxffb") == "a\\xffb");
  CHECK(unshow("caf\\xe9") == "caf\xe9");
}

TEST_CASE("showing is reversible for any bytes") {
  std::mt19937 random(7);
  const std::string alphabet = "\\\\\\xx4c5f0a\xff\xc3\xa9z";
  for (int round = 0; round < 20000; ++round) {
    std::string bytes;
    const auto length = random() % 12;
    for (unsigned i = 0; i < length; ++i) bytes += alphabet[random() % alphabet.size()];
    const std::string shown = show(bytes);
    REQUIRE(is_utf8(shown));
    REQUIRE(unshow(shown) == bytes);
  }
}

TEST_CASE("a whole body can be printed as JSON") {
  const Body body{{"path", text_or_bytes("bad\xff")}, {"list", {text_or_bytes("ok"), 1, nullptr}}};
  REQUIRE(body["path"].is_binary());
  CHECK(showable(body).dump() == R"({"list":["ok",1,null],"path":"bad\\xff"})");
  CHECK(bytes_of(body["path"]) == "bad\xff");
  CHECK(bytes_of(body["list"][0]) == "ok");
  CHECK_THROWS(bytes_of(body["list"][1]));
}
