#include "common/transport/inbox.hpp"

#include <catch2/catch.hpp>

using namespace lockstep::transport;

namespace {

Parts from(const std::string& user, const std::string& text) {
  return {{"route", text}, user, false};
}

std::string text_of(const std::optional<Parts>& message) {
  return message ? message->frames.at(1) : "none";
}

}  // namespace

TEST_CASE("who sends much is looked at in turn with the others, each in his own order") {
  Inbox inbox{{}};
  for (int i = 0; i < 500; ++i) REQUIRE(inbox.put(from("loud", "loud-" + std::to_string(i))));
  REQUIRE(inbox.put(from("quiet", "quiet-0")));
  REQUIRE(inbox.put(from("quiet", "quiet-1")));
  CHECK(text_of(inbox.next()) == "loud-0");
  CHECK(text_of(inbox.next()) == "quiet-0");
  CHECK(text_of(inbox.next()) == "loud-1");
  CHECK(text_of(inbox.next()) == "quiet-1");
  for (int i = 2; i < 500; ++i) CHECK(text_of(inbox.next()) == "loud-" + std::to_string(i));
  CHECK(text_of(inbox.next()) == "none");
  CHECK(inbox.empty());
}

TEST_CASE(
    "what one sender has waiting is bounded, in messages and bytes, and takes nothing from "
    "others") {
  Inbox inbox{{.messages_each = 3, .bytes_each = 3000, .bytes_all = 5000}};
  for (int i = 0; i < 3; ++i) CHECK(inbox.put(from("loud", "x")));
  CHECK_FALSE(inbox.put(from("loud", "x")));
  CHECK(inbox.put(from("quiet", "y")));
  CHECK_FALSE(inbox.put(from("large", std::string(6000, 'x'))));
  CHECK(inbox.put(from("large", std::string(2000, 'x'))));
  CHECK_FALSE(inbox.put(from("large", std::string(1000, 'x'))));
  // Together they are bounded, too; what was taken makes room.
  CHECK_FALSE(inbox.put(from("other", std::string(2900, 'x'))));
  while (inbox.next()) {
  }
  CHECK(inbox.put(from("other", std::string(2500, 'x'))));
}

TEST_CASE("on plain text a sender is known by its routing id") {
  Inbox inbox{{.messages_each = 1}};
  CHECK(inbox.put({{"a", "1"}, "", false}));
  CHECK_FALSE(inbox.put({{"a", "2"}, "", false}));
  CHECK(inbox.put({{"b", "3"}, "", false}));
  CHECK(inbox.put({{}, "", true}));
}
