#include <catch2/catch.hpp>

#include "common/users/state.hpp"
#include "tests/unit/users/random_state.hpp"

using namespace lockstep;
using namespace lockstep::users;

TEST_CASE("a document gives back what it was made of, byte for byte") {
  test::RandomStates states(3, true);
  for (int i = 0; i < 500; ++i) {
    const State state = states.next();
    const std::string document = to_document(state, "ldap");
    const auto read = from_document(document);
    REQUIRE(read);
    REQUIRE(read->state == state);
    REQUIRE(read->store == "ldap");
    REQUIRE(to_document(read->state, "ldap") == document);
  }
}

TEST_CASE("a malformed document is refused by its line, without quoting it") {
  const std::string head = "{\"lockstep_users\":1,\"store\":\"embedded\"}\n";
  const std::string good =
      R"({"attributes":{},"id":"1","kind":"user","locked":false,"members":[],"name":"a",)"
      R"("passwords":["{X}secret"]})"
      "\n";
  REQUIRE(from_document(head + good));
  struct Case {
    std::string text;
    std::string where;
  };
  std::string second = good;
  second.replace(second.find("\"1\""), 3, "\"2\"");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string out = good;
    out.replace(out.find(from), from.size(), to);
    return head + out;
  };
  for (const Case& wrong : std::initializer_list<Case>{
           {"", "line 0"},
           {good, "line 1"},
           {"{\"lockstep_users\":2,\"store\":\"x\"}\n", "line 1"},
           {head + good + good, "line 3"},    // one id twice
           {head + good + second, "line 3"},  // one name twice
           {head + good.substr(0, good.size() - 1), "line 2"},
           {head + "[]\n", "line 2"},
           {head + "{\n", "line 2"},
           {with("false", "0"), "line 2"},
           {with("\"user\"", "\"king\""), "line 2"},
           {with("[\"{X}secret\"]", "\"{X}secret\""), "line 2"},
           {with("[\"{X}secret\"]", "[7]"), "line 2"},
           {with("\"attributes\":{}", "\"attributes\":{\"a\":[]}"), "line 2"},
           {with("\"members\":[]", "\"members\":[\"5\"]"), "line 2"},
           {with("\"id\":\"1\"", "\"id\":\"\""), "line 2"}}) {
    const auto read = from_document(wrong.text);
    INFO(wrong.text);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == ErrorCode::message_malformed);
    CHECK(read.error().where == wrong.where);
    CHECK(read.error().text().find("secret") == std::string::npos);
  }
}
