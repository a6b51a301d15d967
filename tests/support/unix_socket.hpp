// A peer that speaks for itself at a socket's path: unix(7).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

#include "common/os/fd.hpp"

namespace lockstep::test {

inline os::Fd connect_to_path(const std::string& path) {
  os::Fd made{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  std::copy(path.begin(), path.end(), address.sun_path);
  const auto* generic = static_cast<const ::sockaddr*>(static_cast<const void*>(&address));
  REQUIRE(::connect(made.get(), generic, sizeof address) == 0);
  return made;
}

}  // namespace lockstep::test
