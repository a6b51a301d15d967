#include "services/snapshot-agent/guard/orders.hpp"

#include <catch2/catch.hpp>

using namespace lockstep;
using namespace lockstep::snapshot;

namespace {

Undo hook(const std::string& program) {
  return {.kind = Undo::Kind::hook,
          .argv = {program, "resume"},
          .environment = {{"LOCKSTEP_RUN", "r"}},
          .timeout = seconds(3),
          .directory = {}};
}

}  // namespace

TEST_CASE("A way to undo survives its text", "[guard]") {
  auto read = undo_from_text(to_text(hook("/hooks/a b\"c")));
  REQUIRE(read);
  CHECK(read->kind == Undo::Kind::hook);
  CHECK(read->argv == std::vector<std::string>{"/hooks/a b\"c", "resume"});
  CHECK(read->environment.at("LOCKSTEP_RUN") == "r");
  CHECK(read->timeout == seconds(3));
  Undo cgroup;
  cgroup.kind = Undo::Kind::cgroup;
  cgroup.directory = "/sys/fs/cgroup/x";
  read = undo_from_text(to_text(cgroup));
  REQUIRE(read);
  CHECK(read->kind == Undo::Kind::cgroup);
  CHECK(read->directory == cgroup.directory);
  for (const char* text : {"", "{}", "[]", "{\"kind\": \"hook\"}"})
    CHECK_FALSE(undo_from_text(text));
}

TEST_CASE("What stands too long is due, once", "[guard]") {
  Watched watched;
  CHECK_FALSE(watched.next(MonoNanos{0}));
  REQUIRE(watched.take(watch_line("slow", seconds(5), hook("slow")), MonoNanos{0}));
  REQUIRE(watched.take(watch_line("quick", seconds(1), hook("quick")), MonoNanos{0}));
  CHECK(watched.next(MonoNanos{0}) == seconds(1));
  CHECK(watched.due(MonoNanos{seconds(1).count - 1}).empty());
  const auto due = watched.due(MonoNanos{seconds(1).count});
  REQUIRE(due.size() == 1);
  CHECK(due[0].id == "quick");
  CHECK(due[0].why.find("1s") != std::string::npos);
  CHECK(watched.due(MonoNanos{seconds(2).count}).empty());
  CHECK(watched.next(MonoNanos{seconds(2).count}) == seconds(3));
}

TEST_CASE("When the holder is gone all is undone, the last first", "[guard]") {
  Watched watched;
  for (const char* id : {"hook", "cgroup", "other"}) {
    REQUIRE(watched.take(watch_line(id, seconds(5), hook(id)), MonoNanos{0}));
  }
  REQUIRE(watched.take(forget_line("cgroup"), MonoNanos{0}));
  REQUIRE(watched.take(forget_line("never heard of"), MonoNanos{0}));
  const auto all = watched.all();
  REQUIRE(all.size() == 2);
  CHECK(all[0].id == "other");
  CHECK(all[1].id == "hook");
  CHECK(watched.all().empty());
}

TEST_CASE("A line that is no order changes nothing", "[guard]") {
  Watched watched;
  REQUIRE(watched.take(watch_line("a", seconds(5), hook("a")), MonoNanos{0}));
  for (const char* line : {"", "{", "[]", "{\"do\": 1}", "{\"do\": \"watch\", \"id\": \"b\"}"}) {
    CHECK_FALSE(watched.take(line, MonoNanos{0}));
  }
  CHECK(watched.all().size() == 1);
}
