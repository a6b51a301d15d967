// What becomes of a bulk socket whose peer sends much, asks for a heartbeat's answer behind it, and
// is gone before anybody has looked. The peer speaks ZMTP 3.1 itself: libzmq would not.
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "common/os/fd.hpp"
#include "common/stream/bulk_socket.hpp"
#include "tests/support/unix_socket.hpp"

using namespace lockstep;
using namespace lockstep::stream;

namespace {

using namespace std::string_literals;

std::string greeting() {
  std::string out = "\xff"s + std::string(8, '\0') + "\x7f\x03\x01NULL"s;
  out.resize(64, '\0');
  return out;
}

std::string command(const std::string& name, const std::string& body) {
  const std::string data = static_cast<char>(name.size()) + name + body;
  return "\x04"s + static_cast<char>(data.size()) + data;
}

void say(const os::Fd& peer, const std::string& what) {
  REQUIRE(::send(peer.get(), what.data(), what.size(), MSG_NOSIGNAL) ==
          static_cast<::ssize_t>(what.size()));
}

}  // namespace

TEST_CASE("a peer that fills a bulk socket's queue and goes ends no process") {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("lsb" + std::to_string(::getpid()))).string();
  Wire wire;
  wire.context = ::zmq_ctx_new();
  {
    auto socket = BulkSocket::listen(wire, "ipc://" + path);
    REQUIRE(socket.has_value());
    constexpr int kMany = 2000;
    {
      const os::Fd peer = test::connect_to_path(path);
      say(peer, greeting());
      say(peer, command("READY", "\x0bSocket-Type\0\0\0\x06"s + "DEALER"s));
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      std::string much;
      for (int i = 0; i < kMany; ++i) much += "\0\x05hello"s;
      say(peer, much + command("PING", "\0\0"s));
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    int heard = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (heard < kMany && std::chrono::steady_clock::now() < until) {
      while (socket->receive()) ++heard;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    CHECK(heard == kMany);
  }
  ::zmq_ctx_term(wire.context);
  std::filesystem::remove(path);
}
