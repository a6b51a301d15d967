#include "common/transport/sockets.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <zmq.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "common/os/fd.hpp"
#include "tests/unit/transport/small_site.hpp"

using namespace lockstep;
using namespace lockstep::transport;
namespace fs = std::filesystem;

TEST_CASE(
    "an endpoint that a live process serves is refused; one of a dead process is taken over") {
  const SmallSite site(false);
  const Directory directory = site.directory("scheduler");
  const auto context = process_context();
  const fs::path path = site.folder() / "scheduler.c";
  {
    auto first = make_router(context, directory);
    REQUIRE(first.has_value());
    CHECK((fs::status(path).permissions() & fs::perms::mask) == fs::perms(0600));
    const auto second = make_router(context, directory);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == ErrorCode::transport);
    CHECK(second.error().what == "another process serves this endpoint");
    CHECK(fs::exists(path));
  }
  CHECK_FALSE(fs::exists(path));
  // What a killed process leaves: a socket file that nobody listens on.
  {
    const os::Fd left{::socket(AF_UNIX, SOCK_STREAM, 0)};
    ::sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(left.get(), static_cast<::sockaddr*>(static_cast<void*>(&address)),
                   sizeof address) == 0);
  }
  REQUIRE(fs::is_socket(path));
  CHECK(make_router(context, directory).has_value());
}

TEST_CASE("a file that is no socket is never removed to make room") {
  const SmallSite site(false);
  const fs::path path = site.folder() / "scheduler.c";
  std::ofstream(path) << "precious";
  const auto made = make_router(process_context(), site.directory("scheduler"));
  REQUIRE_FALSE(made.has_value());
  CHECK(fs::file_size(path) == 8);
}

TEST_CASE("a path that no socket can have is told with its length") {
  const SmallSite site(false);
  Directory directory = site.directory("scheduler");
  directory.parties["scheduler"].endpoint = "ipc:///tmp/" + std::string(104, 'x');
  const auto made = make_router(process_context(), directory);
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().what == "the socket's path has 109 bytes; the system allows 107");
  CHECK_FALSE(make_dealer(process_context(), directory, directory.me()).has_value());
}

TEST_CASE("plain text leaves the host only where the site asked for it") {
  const SmallSite site(false);
  Directory directory = site.directory("scheduler");
  directory.parties["scheduler"].endpoint = "tcp://127.0.0.1:*";
  CHECK(make_router(process_context(), directory).error().what ==
        "plain text over the network is refused");
  CHECK_FALSE(make_dealer(process_context(), directory, directory.me()).has_value());
  directory.insecure = true;
  CHECK(make_router(process_context(), directory).has_value());
  directory.insecure = false;
  const KeyPair pair = make_key_pair();
  directory.secret_key = pair.secret_key;
  directory.parties["scheduler"].public_key = pair.public_key;
  CHECK(make_router(process_context(), directory).has_value());
}

TEST_CASE("keys that do not fit together are told before anything is bound") {
  const SmallSite site(true);
  Directory directory = site.directory("scheduler");
  directory.secret_key = make_key_pair().secret_key;
  CHECK(make_router(process_context(), directory).error().code == ErrorCode::key_unreadable);
  directory = site.directory("scheduler");
  directory.parties["watcher"].public_key = directory.parties["user"].public_key;
  CHECK(make_router(process_context(), directory).error().code == ErrorCode::key_unreadable);
  directory = site.directory("user");
  directory.parties["scheduler"].public_key.clear();
  CHECK(make_dealer(process_context(), directory, *directory.find("scheduler")).error().code ==
        ErrorCode::key_unreadable);
}

TEST_CASE("the context ends with its last socket, and a new one can be made") {
  const std::weak_ptr<Context> first{process_context()};
  CHECK(first.expired());
  const SmallSite site(true);
  {
    auto socket = make_router(process_context(), site.directory("scheduler"));
    REQUIRE(socket.has_value());
  }
  CHECK(make_router(process_context(), site.directory("scheduler")).has_value());
}
