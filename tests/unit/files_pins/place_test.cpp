#include <catch2/catch.hpp>
#include <filesystem>

#include "common/components/files/native.hpp"
#include "common/components/files/pin_place.hpp"
#include "common/components/files/store.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;

TEST_CASE("Mount points are read with their escapes undone", "[files]") {
  CHECK(files::mount_point_of("36 35 98:0 /a /mnt/two\\040words\\134 rw - ext4 /dev/x rw") ==
        "/mnt/two words\\");
  CHECK(files::mount_point_of("36 35").empty());
}

TEST_CASE("The store lies beside the set, or in it where it cannot", "[files]") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  CHECK(files::store_candidates("/srv/orders/invoices/") ==
        std::vector<std::string>{"/srv/orders/.lockstep", "/srv/orders/invoices/.lockstep"});
  CHECK(files::store_candidates("/srv") ==
        std::vector<std::string>{"/.lockstep", "/srv/.lockstep"});
  CHECK(files::store_candidates("/") == std::vector<std::string>{"/.lockstep"});

  const std::string set = scratch / "a/b/set";
  auto beside = files::open_store(*disk, set);  // nothing of it is there yet
  REQUIRE(beside);
  CHECK(*beside == scratch / "a/b/.lockstep");
  CHECK(std::filesystem::is_directory(*beside));
  CHECK(files::existing_stores(*disk, set) == std::vector<std::string>{*beside});

  std::filesystem::create_directory(set);
  beside = files::open_store(*disk, set);
  REQUIRE(beside);
  CHECK(*beside == scratch / "a/b/.lockstep");
  CHECK_FALSE(files::open_store(*disk, "relative/path"));

  const test::LoopMount mounted("ext4", "32M");
  if (!mounted.mounted()) {
    WARN("SKIPPED: a set that is a mount point needs the right to mount");
    return;
  }
  auto inside = files::open_store(*disk, mounted.path());
  REQUIRE(inside);
  CHECK(*inside == mounted.path() + "/.lockstep");
}

TEST_CASE("A version's native identity survives its text", "[files]") {
  const files::Native native{.tree = "/s/.lockstep/pins/a/b/r/in",
                             .hold = "/s/.lockstep/pins/a/b/r",
                             .form = "subvolume",
                             .uuid = "00ff",
                             .exclude = {"*.tmp", "/x/"},
                             .settled_before_ns = 1234567890123456789};
  auto read = files::native_from_text(files::to_text(native));
  REQUIRE(read);
  CHECK(read->tree == native.tree);
  CHECK(read->hold == native.hold);
  CHECK(read->form == native.form);
  CHECK(read->uuid == native.uuid);
  CHECK(read->exclude == native.exclude);
  CHECK(read->settled_before_ns == native.settled_before_ns);
  for (const char* text : {"", "{}", "[1]", "{\"tree\": 1, \"hold\": \"/x\"}", "nonsense"}) {
    CHECK_FALSE(files::native_from_text(text));
  }
}
