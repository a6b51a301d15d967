#include "common/users/diff.hpp"

#include <catch2/catch.hpp>

#include "common/users/edit.hpp"
#include "tests/unit/users/random_state.hpp"

using namespace lockstep;
using namespace lockstep::users;

namespace {

using What = Change::What;

Record user(const std::string& id, const std::string& name) {
  Record record;
  record.id = id;
  record.name = name;
  return record;
}

Record group(const std::string& id, const std::string& name, Values members) {
  Record record = user(id, name);
  record.kind = Kind::group;
  record.members = std::move(members);
  return record;
}

State state_of(std::initializer_list<Record> records) {
  State state;
  for (const auto& record : records) state.emplace(record.id, record);
  REQUIRE(check(state));
  return state;
}

std::vector<std::string> whats(const Changes& changes) {
  std::vector<std::string> out;
  for (const auto& change : changes) out.push_back(what_name(change.what) + (" " + change.name));
  return out;
}

State need(Result<State> state) {
  if (!state) FAIL(state.error().text());
  return std::move(state).value();
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("each kind of change is told as what it is") {
  Record anna = user("1", "anna");
  anna.attributes["mail"] = {"a@x"};
  Record bob = user("2", "bob");
  const State before = state_of({anna, bob, group("9", "staff", {"1", "2"})});

  SECTION("nothing") { CHECK(diff(before, before, {}).empty()); }
  SECTION("an addition, before the group it joins needs it") {
    const State after =
        state_of({anna, bob, user("3", "cleo"), group("9", "staff", {"1", "2", "3"})});
    CHECK(whats(diff(before, after, {})) == Texts{"add cleo", "join staff"});
  }
  SECTION("a rename is no removal") {
    Record renamed = anna;
    renamed.name = "anne";
    const State after = state_of({renamed, bob, group("9", "staff", {"1", "2"})});
    const Changes changes = diff(before, after, {});
    REQUIRE(whats(changes) == Texts{"rename anna"});
    CHECK(changes[0].to == "anne");
  }
  SECTION("a removal, after it left") {
    const State after = state_of({anna, group("9", "staff", {"1"})});
    CHECK(whats(diff(before, after, {})) == Texts{"leave staff", "remove bob"});
  }
  SECTION("a lock, a password, attributes") {
    Record changed = anna;
    changed.locked = true;
    changed.passwords = {"{X}secret"};
    changed.attributes = {{"phone", {"1"}}};
    const State after = state_of({changed, bob, group("9", "staff", {"1", "2"})});
    CHECK(whats(diff(before, after, {})) ==
          Texts{"set anna", "set anna", "passwords anna", "lock anna"});
    CHECK(whats(diff(after, before, {})).back() == "unlock anna");
  }
  SECTION("one that is there by name under another id is adopted, with its memberships") {
    Record other = anna;
    other.id = "77";
    const State after = state_of({other, bob, group("9", "staff", {"77", "2"})});
    CHECK(whats(diff(before, after, {})) == Texts{"adopt anna"});
    CHECK(need(carry_out(before, diff(before, after, {}))) == after);
  }
}

TEST_CASE("names that are exchanged pass by a third") {
  const State before = state_of({user("1", "uid=a,ou=p"), user("2", "uid=b,ou=p")});
  const State after = state_of({user("1", "uid=b,ou=p"), user("2", "uid=a,ou=p")});
  const Changes changes = diff(before, after, {});
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].to == "uid=b~1,ou=p");
  CHECK(need(carry_out(before, changes)) == after);
}

TEST_CASE("a name that becomes free may be taken at once") {
  const State before = state_of({user("1", "a"), user("2", "b")});
  const State after = state_of({user("2", "a"), user("3", "b")});
  CHECK(whats(diff(before, after, {})) == Texts{"remove a", "rename b", "add b"});
  CHECK(need(carry_out(before, diff(before, after, {}))) == after);
}

TEST_CASE("units are there before what they hold, and go after it") {
  Record outer = user("unit:ou=a", "ou=a");
  outer.kind = Kind::unit;
  Record inner = user("unit:ou=b,ou=a", "ou=b,ou=a");
  inner.kind = Kind::unit;
  const State all = state_of({outer, inner, user("1", "uid=x,ou=b,ou=a")});
  CHECK(whats(diff({}, all, {})) == Texts{"add ou=a", "add ou=b,ou=a", "add uid=x,ou=b,ou=a"});
  CHECK(whats(diff(all, {}, {})) ==
        Texts{"remove uid=x,ou=b,ou=a", "remove ou=b,ou=a", "remove ou=a"});
}

TEST_CASE("random directories become each other, and a second time nothing changes") {
  for (const bool units : {false, true}) {
    test::RandomStates states(20, units);
    State before = states.next();
    for (int i = 0; i < 8'000; ++i) {
      const State after = states.next();
      REQUIRE(check(after));
      const Changes changes = diff(before, after, {});
      auto made = carry_out(before, changes);
      INFO(i << (made ? "" : made.error().text()));
      REQUIRE(made);
      REQUIRE(*made == after);
      REQUIRE(diff(*made, after, {}).empty());
      before = after;
    }
  }
}

TEST_CASE("attributes that belong to the secondary are left alone") {
  const Scope own{std::nullopt, {"own"}};
  const Scope only{std::set<std::string>{"mail", "phone"}, {"phone"}};
  test::RandomStates states(7, false);
  for (int i = 0; i < 5000; ++i) {
    const State before = states.next();
    const State after = states.next();
    for (const Scope& scope : {own, only}) {
      const State made = need(carry_out(before, diff(before, after, scope)));
      REQUIRE(diff(made, after, scope).empty());
      for (const auto& [id, record] : made) {
        const auto old = before.find(id);
        for (const char* name : {"mail", "phone", "own"}) {
          const auto now = record.attributes.find(name);
          const bool has = now != record.attributes.end();
          if (scope.covers(name)) {
            const auto& wanted = after.at(id).attributes;
            REQUIRE(has == wanted.contains(name));
            if (has) REQUIRE(now->second == wanted.at(name));
          } else if (old != before.end() && old->second.kind == record.kind) {
            REQUIRE(has == old->second.attributes.contains(name));
            if (has) REQUIRE(now->second == old->second.attributes.at(name));
          }
        }
      }
    }
  }
}

TEST_CASE("the guard stops what removes too much, by number and by share") {
  State many;
  for (int i = 0; i < 100; ++i)
    many.emplace(std::to_string(i), user(std::to_string(i), "u" + std::to_string(i)));
  State fewer = many;
  for (int i = 0; i < 11; ++i) fewer.erase(std::to_string(i));
  const Changes changes = diff(many, fewer, {});
  CHECK(admit({11, 100}, changes, many.size()));
  CHECK(admit({100, 11}, changes, many.size()));
  const auto number = admit({10, 100}, changes, many.size());
  REQUIRE_FALSE(number);
  CHECK(number.error().code == ErrorCode::guard);
  const auto share = admit({100, 10}, changes, many.size());
  REQUIRE_FALSE(share);
  CHECK(share.error().advice().find("--removals 11") != std::string_view::npos);
  const auto emptied = admit({}, diff(many, {}, {}), many.size());
  CHECK_FALSE(emptied);
  CHECK(admit({0, 0}, diff({}, many, {}), 0));
}

TEST_CASE("a person's edit") {
  Edit wish;
  wish.how = Edit::How::add;
  wish.name = "anna";
  wish.id = "1";
  wish.set = {{"mail", {"a@x"}}};
  wish.passwords = Values{"{X}y"};
  State state = need(edit({}, wish));
  CHECK(edit(state, wish).error().code == ErrorCode::guard);
  Edit staff;
  staff.how = Edit::How::add;
  staff.kind = Kind::group;
  staff.name = "staff";
  staff.id = "2";
  state = need(edit(state, staff));
  Edit change;
  change.name = "anna";
  change.join = {"staff"};
  change.rename = "anne";
  change.locked = true;
  change.set = {{"mail", {}}};
  state = need(edit(state, change));
  CHECK(state.at("1").name == "anne");
  CHECK(state.at("1").locked);
  CHECK(state.at("1").attributes.empty());
  CHECK(state.at("1").passwords == Values{"{X}y"});
  CHECK(state.at("2").members == Values{"1"});
  CHECK(edit(state, change).error().code == ErrorCode::not_found);  // anna is not her name any more
  change.name = "anne";
  change.leave = {"group:staff"};
  change.join = {};
  state = need(edit(state, change));
  CHECK(state.at("2").members.empty());
  change.leave = {"crew"};
  CHECK(edit(state, change).error().code == ErrorCode::not_found);
}
