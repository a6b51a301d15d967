#include "common/components/files/exclude.hpp"

#include <catch2/catch.hpp>

using lockstep::files::Exclude;

TEST_CASE("A pattern without a slash matches a name at any depth", "[files]") {
  const Exclude exclude({"*.tmp", "cache"});
  CHECK(exclude.leaves_out("a.tmp", false));
  CHECK(exclude.leaves_out("deep/er/a.tmp", false));
  CHECK(exclude.leaves_out("deep/cache", true));
  CHECK_FALSE(exclude.leaves_out("a.tmp2", false));
  CHECK_FALSE(exclude.leaves_out("caches", true));
}

TEST_CASE("A pattern with a slash matches the whole path", "[files]") {
  const Exclude exclude({"/top", "logs/*.gz", "a/**/z", "**/end/x"});
  CHECK(exclude.leaves_out("top", false));
  CHECK_FALSE(exclude.leaves_out("in/top", false));
  CHECK(exclude.leaves_out("logs/1.gz", false));
  CHECK_FALSE(exclude.leaves_out("logs/old/1.gz", false));
  CHECK_FALSE(exclude.leaves_out("x/logs/1.gz", false));
  CHECK(exclude.leaves_out("a/z", false));
  CHECK(exclude.leaves_out("a/b/c/z", false));
  CHECK_FALSE(exclude.leaves_out("a/b/zz", false));
  CHECK(exclude.leaves_out("end/x", false));
  CHECK(exclude.leaves_out("deep/down/end/x", false));
}

TEST_CASE("A slash at the end means directories only", "[files]") {
  const Exclude exclude({"work/", "/"});
  CHECK(exclude.leaves_out("in/work", true));
  CHECK_FALSE(exclude.leaves_out("in/work", false));
  CHECK_FALSE(exclude.leaves_out("", true));
}

TEST_CASE("The store at the top is never part of a set", "[files]") {
  const Exclude none;
  CHECK(none.leaves_out(".lockstep", true));
  CHECK(none.leaves_out(".lockstep/pins", true));
  CHECK_FALSE(none.leaves_out("in/.lockstep", true));
  CHECK_FALSE(none.leaves_out(".lockstep2", true));
}
