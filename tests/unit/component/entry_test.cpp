#include "common/component/entry.hpp"

#include <catch2/catch.hpp>

#include "common/error/error.hpp"

using namespace lockstep;
using namespace lockstep::component;

TEST_CASE("manifest order compares component by component") {
  CHECK(path_less("", "a"));
  CHECK(path_less("a", "a/b"));
  CHECK(path_less("a/b", "a-b"));  // though '-' < '/' as bytes
  CHECK(path_less("a/z", "b"));
  CHECK(path_less("a", "\xff"));
  CHECK_FALSE(path_less("b", "a/z"));
  CHECK_FALSE(path_less("a", "a"));
}

TEST_CASE("a path that leads out of the tree is not clean") {
  CHECK(path_is_clean(""));
  CHECK(path_is_clean("a/b.c/...d"));
  for (const char* bad : {"/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/."}) {
    INFO(bad);
    CHECK_FALSE(path_is_clean(bad));
  }
  CHECK_FALSE(path_is_clean(std::string_view("a\0b", 3)));
}

TEST_CASE("only what lies below a directory is inside it") {
  CHECK(path_inside("a/b", "a"));
  CHECK(path_inside("a", ""));
  CHECK_FALSE(path_inside("a", "a"));
  CHECK_FALSE(path_inside("ab", "a"));
}

TEST_CASE("an error names what, where and its code") {
  const Error error = from_errno(ErrorCode::no_space, 28, "write", "/srv/x");
  CHECK(error.text() == "cannot write: No space left on device: /srv/x [no-space]");
  CHECK(find_error("no-space")->exit_status == 1);
  CHECK(find_error("nonsense") == nullptr);
  CHECK_FALSE(error.advice().empty());
}

TEST_CASE("a Result carries its value or its error, and TRY hands the error on") {
  auto half = [](int n) -> Result<int> {
    if (n % 2 != 0) return make_error(ErrorCode::usage, "odd");
    return n / 2;
  };
  auto quarter = [&](int n) -> Result<int> {
    LOCKSTEP_TRY(const int once, half(n));
    LOCKSTEP_CHECK(half(once));
    return half(once);
  };
  CHECK(quarter(8).value() == 2);
  CHECK(quarter(6).error().what == "odd");
}
