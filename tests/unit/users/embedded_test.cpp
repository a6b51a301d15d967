#include "common/users/embedded/embedded.hpp"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/support/scratch.hpp"
#include "tests/unit/users/random_state.hpp"

using namespace lockstep;
using namespace lockstep::users;

namespace {

bool always(std::size_t) { return true; }

State need(Result<State> state) {
  if (!state) FAIL(state.error().text());
  return std::move(state).value();
}

}  // namespace

TEST_CASE("what is applied to the embedded store is read from it again") {
  const test::Scratch scratch;
  const auto store = make_embedded(scratch / "users.db");
  test::RandomStates states(5, false);
  for (int i = 0; i < 150; ++i) {
    const State present = need(store->read());
    const State wanted = states.next();
    const auto applied = store->apply(present, diff(present, wanted, {}), always);
    INFO(i << (applied ? "" : applied.error().text()));
    REQUIRE(applied);
    REQUIRE(need(make_embedded(scratch / "users.db")->read()) == wanted);
  }
  struct stat status {};
  REQUIRE(::stat((scratch / "users.db").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("the embedded store applies all or nothing") {
  const test::Scratch scratch;
  const auto store = make_embedded(scratch / "users.db");
  test::RandomStates states(9, false);
  State wanted;
  while (wanted.size() < 4) wanted = states.next();
  const Changes changes = diff({}, wanted, {});
  const auto stopped = store->apply({}, changes, [](std::size_t done) { return done < 3; });
  REQUIRE_FALSE(stopped);
  CHECK(stopped.error().code == ErrorCode::cancelled);
  CHECK(need(store->read()).empty());
  REQUIRE(store->apply({}, changes, always));
  // Changes of another state: the first that does not fit takes all back.
  Changes stale = diff(wanted, {}, {});
  REQUIRE(store->apply(wanted, stale, always));
  CHECK_FALSE(store->apply(wanted, stale, always));
}

TEST_CASE("a database of somebody else is not taken for a store") {
  const test::Scratch scratch;
  {
    SQLite::Database other(scratch / "other.db", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    other.exec("CREATE TABLE t (x)");
  }
  CHECK_FALSE(make_embedded(scratch / "other.db")->read());
  CHECK_FALSE(make_embedded(scratch / "missing/users.db")->read());
  // Whoever leaves out the foreign keys may write what belongs to nobody.
  const auto store = make_embedded(scratch / "users.db");
  REQUIRE(store->read());
  SQLite::Database by_hand(scratch / "users.db", SQLite::OPEN_READWRITE);
  by_hand.exec("PRAGMA foreign_keys = OFF");
  by_hand.exec("INSERT INTO memberships VALUES ('a', 'b')");
  CHECK(store->read().error().code == ErrorCode::source_read);
}
