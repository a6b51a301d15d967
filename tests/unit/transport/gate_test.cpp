#include "common/transport/gate.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <future>
#include <thread>

#include "tests/support/unix_socket.hpp"

using namespace lockstep;
using namespace lockstep::transport;

namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kSoon = std::chrono::milliseconds(10);

const ::sockaddr* generic(const ::sockaddr_un& address) {
  return static_cast<const ::sockaddr*>(static_cast<const void*>(&address));
}

// What libzmq is to a gate: it listens at an abstract name, and takes all that comes.
class Inside {
 public:
  Inside() : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    ::sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(name.begin(), name.end(), address.sun_path + 1);
    REQUIRE(::bind(listener_.get(), generic(address),
                   static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path) + 1 + name.size())) ==
            0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
  }
  os::Fd accept() const {
    for (int i = 0; i < 1000; ++i) {
      os::Fd made{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
      if (made) return made;
      std::this_thread::sleep_for(kSoon);
    }
    FAIL("nobody came");
    return {};
  }

  const std::string name = "lockstep-gate-test-" + std::to_string(::getpid());

 private:
  os::Fd listener_;
};

struct Place {
  Place() { std::filesystem::create_directories(folder); }
  ~Place() { std::filesystem::remove_all(folder); }
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("lsg" + std::to_string(::getpid()));
  std::string path = (folder / "gate").string();
  std::string endpoint = "ipc://" + path;
};

os::Fd outsider(const std::string& path) {
  os::Fd made = test::connect_to_path(path);
  const ::timeval patience{10, 0};
  ::setsockopt(made.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  ::setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return made;
}

// Whether all of it went out. Asserts nothing: for threads beside the test's, in which Catch2 must
// not be called.
bool says(int to, const std::string& what) {
  std::size_t said = 0;
  for (int i = 0; i < 100'000 && said < what.size(); ++i) {
    const auto size = ::send(to, what.data() + said, what.size() - said, MSG_NOSIGNAL);
    if (size > 0) {
      said += static_cast<std::size_t>(size);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return said == what.size();
}

void say(int to, const std::string& what) { REQUIRE(says(to, what)); }

// Until there are `most` bytes or `until` has come, or the connection has ended.
std::string hear(int from, std::size_t most, Steady::time_point until) {
  std::string out;
  char room[65536];
  while (out.size() < most && Steady::now() < until) {
    const auto size = ::recv(from, room, std::min(sizeof room, most - out.size()), MSG_DONTWAIT);
    if (size == 0) break;
    if (size > 0) out.append(room, static_cast<std::size_t>(size));
    if (size < 0) {
      if (errno != EAGAIN) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return out;
}

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

constexpr Gate::Limits kWide{{1 << 20, 1 << 20}, {1 << 24, 1 << 24}, 10, seconds(5)};

// A listener behind a gate.
struct Guarded {
  explicit Guarded(const Gate::Limits& limits) {
    auto opened = Gate::open(place.endpoint, inside.name, limits);
    REQUIRE(opened.has_value());
    gate = std::move(*opened);
  }
  const Place place;
  const Inside inside;
  std::unique_ptr<Gate> gate;
};

Steady::time_point in_seconds(int count) { return Steady::now() + std::chrono::seconds(count); }

}  // namespace

TEST_CASE("an allowance grants so much at once, grows with time and never beyond what it grants") {
  Allowance one({1000, 100}, MonoNanos{0});
  CHECK(one.left(MonoNanos{0}) == 1000);
  one.take(1000);
  CHECK(one.left(MonoNanos{0}) == 0);
  CHECK(one.left(MonoNanos{5'000'000}) == 0);   // half a byte
  CHECK(one.left(MonoNanos{10'000'000}) == 1);  // which was not forgotten
  CHECK(one.left(MonoNanos{2'010'000'000}) == 201);
  CHECK(one.left(MonoNanos{INT64_MAX}) == 1000);
}

TEST_CASE("a gate carries every byte both ways, in order") {
  const Guarded guarded(kWide);
  const os::Fd out = outsider(guarded.place.path);
  const os::Fd in = guarded.inside.accept();
  const std::string up = pattern(300'000);
  const std::string down = pattern(5'000'000);
  auto speaker = std::async(std::launch::async, [&] { return says(out.get(), up); });
  auto publisher = std::async(std::launch::async, [&] { return says(in.get(), down); });
  std::string heard_down;
  std::thread subscriber([&] { heard_down = hear(out.get(), down.size(), in_seconds(60)); });
  const std::string heard_up = hear(in.get(), up.size(), in_seconds(60));
  CHECK(speaker.get());
  CHECK(publisher.get());
  subscriber.join();
  CHECK(heard_up == up);
  CHECK(heard_down == down);
}

TEST_CASE("who sends more than it may is let in no faster, is disconnected, and delays nobody") {
  constexpr Gate::Limits kNarrow{{10'000, 5'000}, {1 << 20, 1 << 20}, 10, seconds(2)};
  const Guarded guarded(kNarrow);
  const os::Fd flooder = outsider(guarded.place.path);
  const os::Fd flooded = guarded.inside.accept();
  const os::Fd quiet = outsider(guarded.place.path);
  const os::Fd served = guarded.inside.accept();
  const auto start = Steady::now();
  std::thread flood([&] {
    const std::string much(100'000, 'x');
    while (::send(flooder.get(), much.data(), much.size(), MSG_NOSIGNAL) > 0) {
    }
  });
  say(quiet.get(), "hello");
  CHECK(hear(served.get(), 5, in_seconds(10)) == "hello");
  const std::string let_in = hear(flooded.get(), SIZE_MAX, in_seconds(60));
  flood.join();
  const double took = std::chrono::duration<double>(Steady::now() - start).count();
  CHECK(let_in.size() >= 10'000);
  CHECK(static_cast<double>(let_in.size()) <= 10'000 + 5'000 * took + 1);
  CHECK(guarded.gate->disconnected() == 1);
  say(quiet.get(), "still");
  CHECK(hear(served.get(), 5, in_seconds(10)) == "still");
}

TEST_CASE("who says all it may at once and then little is never disconnected") {
  constexpr Gate::Limits kNarrow{{10'000, 1'000}, {1 << 20, 1 << 20}, 10, milliseconds(300)};
  const Guarded guarded(kNarrow);
  const os::Fd out = outsider(guarded.place.path);
  const os::Fd in = guarded.inside.accept();
  std::string said = pattern(10'000);
  say(out.get(), said);
  for (int i = 0; i < 10; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    say(out.get(), "little");
    said += "little";
  }
  CHECK(hear(in.get(), said.size(), in_seconds(10)) == said);
  CHECK(guarded.gate->disconnected() == 0);
}

TEST_CASE("as one side of a gate's connection ends, so does the other") {
  const Guarded guarded(kWide);
  os::Fd out = outsider(guarded.place.path);
  os::Fd in = guarded.inside.accept();
  int seen = 0;
  CHECK(guarded.gate->look(in.get(), [&seen](int outer) { seen = outer; }));
  CHECK(seen > 0);
  out.reset();
  char byte = 0;
  for (int i = 0; i < 1000 && ::recv(in.get(), &byte, 1, MSG_DONTWAIT) != 0; ++i) {
    std::this_thread::sleep_for(kSoon);
  }
  CHECK(::recv(in.get(), &byte, 1, MSG_DONTWAIT) == 0);
  CHECK_FALSE(guarded.gate->look(in.get(), [](int) {}));

  out = outsider(guarded.place.path);
  in = guarded.inside.accept();
  say(in.get(), "last words");
  in.reset();
  CHECK(hear(out.get(), SIZE_MAX, in_seconds(10)) == "last words");
  CHECK(::recv(out.get(), &byte, 1, 0) == 0);
}

TEST_CASE("who is held is cut off inside at once, sees no end himself, and is read no further") {
  const Guarded guarded(kWide);
  const os::Fd held = outsider(guarded.place.path);
  const os::Fd cut = guarded.inside.accept();
  const os::Fd other = outsider(guarded.place.path);
  const os::Fd served = guarded.inside.accept();
  say(held.get(), "first");
  REQUIRE(hear(cut.get(), 5, in_seconds(10)) == "first");
  REQUIRE(guarded.gate->hold(cut.get()));
  CHECK(hear(cut.get(), SIZE_MAX, in_seconds(10)).empty());
  char byte = 0;
  CHECK(::recv(cut.get(), &byte, 1, MSG_DONTWAIT) == 0);
  CHECK_FALSE(guarded.gate->hold(cut.get()));
  CHECK_FALSE(guarded.gate->look(cut.get(), [](int) {}));
  // What the system takes of it for the gate's side is bounded; the gate takes nothing.
  const std::string much(100'000, 'x');
  std::size_t taken = 0;
  ::ssize_t size = 0;
  while (taken < 10'000'000 && size >= 0) {
    size = ::send(held.get(), much.data(), much.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size > 0) taken += static_cast<std::size_t>(size);
  }
  CHECK(size < 0);
  CHECK(errno == EAGAIN);
  CHECK(::recv(held.get(), &byte, 1, MSG_DONTWAIT) == -1);  // no end
  CHECK(errno == EAGAIN);
  say(other.get(), "still");
  CHECK(hear(served.get(), 5, in_seconds(10)) == "still");
}

TEST_CASE("a gate holds nobody whom it does not know") {
  const Guarded guarded(kWide);
  CHECK_FALSE(guarded.gate->hold(-1));
  const os::Fd alone{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  CHECK_FALSE(guarded.gate->hold(alone.get()));
}
