#include "common/signing/signing_key.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "tests/support/lossy_disk.hpp"
#include "tests/support/scratch.hpp"

using namespace lockstep;
using signing::SigningKey;

TEST_CASE("a signature holds for its message and its key, and for nothing else") {
  auto key = SigningKey::make();
  auto other = SigningKey::make();
  REQUIRE(key);
  REQUIRE(other);
  auto signature = key->sign("a message");
  REQUIRE(signature);
  CHECK(signature->size() == 128);
  CHECK(signing::signature_holds("a message", key->public_hex(), *signature));
  CHECK_FALSE(signing::signature_holds("a massage", key->public_hex(), *signature));
  CHECK_FALSE(signing::signature_holds("a message", other->public_hex(), *signature));
  CHECK_FALSE(signing::signature_holds("a message", "", *signature));
  CHECK_FALSE(signing::signature_holds("a message", key->public_hex(), "zz"));
}

TEST_CASE("the key is made once, private, and the same ever after") {
  const test::Scratch scratch;
  const auto disk = os::make_kernel_disk();
  auto made = SigningKey::load_or_make(*disk, scratch.path(), "south-transfer");
  REQUIRE(made);
  const std::string path = scratch / "south-transfer.sign";
  struct ::stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  auto again = SigningKey::load_or_make(*disk, scratch.path(), "south-transfer");
  REQUIRE(again);
  CHECK(again->public_hex() == made->public_hex());

  ::chmod(path.c_str(), 0644);
  CHECK(SigningKey::load_or_make(*disk, scratch.path(), "south-transfer").error().code ==
        ErrorCode::key_mode);
  ::chmod(path.c_str(), 0600);
  std::ofstream(path) << "not a key";
  CHECK(SigningKey::load_or_make(*disk, scratch.path(), "south-transfer").error().code ==
        ErrorCode::key_unreadable);
}

TEST_CASE("a key that was made survives the loss of power") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const test::Scratch scratch;
    const test::Scratch grave;
    const auto kernel = os::make_kernel_disk();
    test::LossyDisk disk(*kernel, grave.path());
    auto made = SigningKey::load_or_make(disk, scratch.path(), "x");
    REQUIRE(made);
    disk.lose_power(seed);
    disk.power_on();
    auto again = SigningKey::load_or_make(disk, scratch.path(), "x");
    REQUIRE(again);
    CHECK(again->public_hex() == made->public_hex());
  }
}
