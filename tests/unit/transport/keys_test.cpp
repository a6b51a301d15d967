#include "common/transport/keys.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "common/transport/peer.hpp"

using namespace lockstep;
using namespace lockstep::transport;
namespace fs = std::filesystem;

namespace {
struct Folder {
  fs::path path = fs::temp_directory_path() / ("lockstep-keys-" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};
}  // namespace

TEST_CASE("a pair is two keys that belong together") {
  const KeyPair pair = make_key_pair();
  CHECK(is_key(pair.public_key));
  CHECK(is_key(pair.secret_key));
  CHECK(public_key_of(pair.secret_key) == pair.public_key);
  CHECK(make_key_pair().secret_key != pair.secret_key);
  CHECK_FALSE(is_key(""));
  CHECK_FALSE(is_key(std::string(40, '~')));
  CHECK_FALSE(is_key(std::string(40, '#')));  // beyond 32 bytes
  CHECK_FALSE(is_key(pair.public_key + "x"));
  CHECK_FALSE(is_key(std::string(40, '\0')));
}

TEST_CASE("key files are private, come back as written, and are never replaced") {
  const Folder folder;
  auto disk = os::make_kernel_disk();
  const KeyPair pair = make_key_pair();
  REQUIRE(write_key_files(*disk, folder.path, "scheduler", pair).has_value());
  CHECK((fs::status(folder.path / "scheduler.key").permissions() & fs::perms::mask) ==
        fs::perms(0600));
  CHECK((fs::status(folder.path / "scheduler.pub").permissions() & fs::perms::mask) ==
        fs::perms(0644));
  CHECK(read_secret_key(*disk, folder.path, "scheduler").value() == pair.secret_key);
  CHECK(read_public_key(*disk, folder.path, "scheduler").value() == pair.public_key);

  CHECK(write_key_files(*disk, folder.path, "scheduler", make_key_pair()).error().code ==
        ErrorCode::place_not_empty);
  CHECK(read_secret_key(*disk, folder.path, "scheduler").value() == pair.secret_key);
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 2);
}

TEST_CASE("a key file that cannot be trusted is refused with its path") {
  const Folder folder;
  auto disk = os::make_kernel_disk();
  REQUIRE(write_key_files(*disk, folder.path, "a", make_key_pair()).has_value());
  fs::permissions(folder.path / "a.key", fs::perms(0640));
  const auto open_to_group = read_secret_key(*disk, folder.path, "a");
  CHECK(open_to_group.error().code == ErrorCode::key_mode);
  CHECK(open_to_group.error().where == (folder.path / "a.key").string());

  CHECK(read_secret_key(*disk, folder.path, "b").error().code == ErrorCode::key_unreadable);
  std::ofstream(folder.path / "c.pub") << "no key at all\n";
  CHECK(read_public_key(*disk, folder.path, "c").error().code == ErrorCode::key_unreadable);
  fs::create_directory(folder.path / "d.pub");
  CHECK(read_public_key(*disk, folder.path, "d").error().code == ErrorCode::key_unreadable);
  fs::create_symlink(folder.path / "a.pub", folder.path / "e.pub");
  CHECK(read_public_key(*disk, folder.path, "e").error().code == ErrorCode::key_unreadable);
}

TEST_CASE("roles have one name each") {
  for (int i = 0; i < 8; ++i) {
    const auto role = static_cast<Role>(i);
    CHECK(role_from_name(role_name(role)) == role);
  }
  CHECK_FALSE(role_from_name("root").has_value());
}
