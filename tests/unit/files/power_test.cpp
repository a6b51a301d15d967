// Whatever call the power goes at, and whatever of the unsynced reached the platter: a version that
// can be seen is whole, an earlier one is untouched, and the work can be done again.
#include "common/components/files/store.hpp"
#include "tests/support/lossy_disk.hpp"
#include "tests/unit/files/bench.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

struct Outcome {
  bool found = false;
  bool stopped = false;
};

// The second version is made on the first, and the power goes at the `calls`-th change.
Outcome lose_power_at(std::uint64_t calls, std::uint64_t seed, bool changed) {
  const auto kernel = os::make_kernel_disk();
  Scratch grave;
  LossyDisk disk(*kernel, grave.path());
  FilesBench bench(disk);
  bench.write("a/one", "first");
  bench.write("a/two", std::string(9000, 'x'));
  bench.write("b/three", "third");
  const auto before = FilesBench::contents(bench.tree());
  auto first = Carrier(bench.carry(kRunOne)).run();
  REQUIRE(first);
  const std::string kept = bench.component->target()->path_of(first->version);
  REQUIRE(FilesBench::contents(kept) == before);

  Scratch old;  // the base's pin, as it was
  fs::copy(bench.tree(), old / "tree", fs::copy_options::recursive);
  component::Version base_pin = bench.version(kRunOne);
  base_pin.native = files::to_text(
      {.tree = old / "tree", .hold = old / "tree", .form = "plain", .uuid = {}, .exclude = {}});
  if (changed) {
    bench.write("a/one", "changed");
    bench.write("c/new", "fresh");
    fs::remove(bench.tree() + "/b/three");
  }
  const auto after = FilesBench::contents(bench.tree());
  Carry carry = bench.carry(kRunTwo);
  carry.base_pin = changed ? base_pin : bench.version(kRunOne);
  carry.base_version = first->version;
  disk.power_off_after(calls);
  Outcome outcome;
  auto made = Carrier(carry).run();
  outcome.stopped = !made.has_value();
  disk.lose_power(seed);
  disk.power_on();

  component::Context context;
  context.run = kRunTwo;
  auto found = bench.component->target()->find(context, bench.target);
  if (!found) FAIL(found.error().text());
  outcome.found = found->has_value();
  if (made) CHECK(outcome.found);  // seal had returned: it lasts
  CHECK(FilesBench::contents(kept) == before);
  if (*found) {
    CHECK(FilesBench::contents(bench.component->target()->path_of(**found)) == after);
  }
  INFO("again, and then away with everything");
  auto again = Carrier(carry).run();
  if (!again) FAIL(again.error().text());
  CHECK(FilesBench::contents(bench.component->target()->path_of(again->version)) == after);
  auto listed = bench.component->target()->list(bench.target);
  REQUIRE(listed);
  CHECK(listed->size() == 2);
  for (const component::Version& version : *listed) {
    REQUIRE(bench.component->target()->drop(context, version));
  }
  const std::string store = bench.top / "south/.lockstep/versions/orders/invoices/.trees";
  CHECK(fs::is_empty(store));
  return outcome;
}

void sweep(bool changed) {
  int unseen = 0;
  int seen = 0;
  for (std::uint64_t calls = 0;; ++calls) {
    const Outcome outcome = lose_power_at(calls, calls * 31 + 7, changed);
    ++(outcome.found ? seen : unseen);
    if (!outcome.stopped) break;
    REQUIRE(calls < 1000);
  }
  CHECK(unseen > 2);
  CHECK(seen > 0);
}

}  // namespace

TEST_CASE("power lost at any change while a version is made") { sweep(true); }
TEST_CASE("power lost at any change while a version is made that shares its base's tree") {
  sweep(false);
}

TEST_CASE("a power loss does not take the way to the store of a place that did not exist yet") {
  for (std::uint64_t seed = 0; seed < 32; ++seed) {
    const auto kernel = os::make_kernel_disk();
    Scratch grave;
    Scratch south;
    LossyDisk disk(*kernel, grave.path());
    const auto store = files::open_store(disk, south / "srv/orders/invoices");
    REQUIRE(store);
    disk.lose_power(seed);
    REQUIRE(fs::is_directory(*store));
  }
}
