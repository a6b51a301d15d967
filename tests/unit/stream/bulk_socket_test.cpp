// The bulk socket's door: strangers, refusals, nobody there.
#include <catch2/catch.hpp>
#include <future>
#include <random>

#include "tests/unit/stream/peers.hpp"
#include "tests/unit/stream/trees.hpp"

using namespace lockstep;
using namespace lockstep::stream;
using namespace lockstep::test;

namespace {

const std::string kRun = "01930000-0000-7000-8000-000000000001";

}  // namespace

TEST_CASE("a bulk socket survives what strangers send it") {
  Scratch scratch;
  Peers peers(scratch.path());
  write(peers.top + "/north/data/file", "content");
  const std::string endpoint = "ipc://" + peers.top + "/bulk";
  REQUIRE(peers.pin(kRun));
  Wired wired(*peers.clock, endpoint, peers.opening(Opening::Kind::push, kRun));
  void* stranger = zmq_socket(wired.context.raw, ZMQ_DEALER);
  REQUIRE(zmq_connect(stranger, endpoint.c_str()) == 0);
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const std::string bytes =
        random_bytes(8 + random() % 3000 / 8 * 8, static_cast<unsigned>(random()));
    for (auto parts = random() % 6; parts > 0; --parts)
      zmq_send(stranger, bytes.data(), bytes.size(), ZMQ_SNDMORE);
    zmq_send(stranger, bytes.data(), bytes.size(), 0);
  }
  FileLog log(peers.log(kRun));
  auto sending = std::async(std::launch::async,
                            [&] { return peers.send(*wired.dialled, peers.send_job(kRun, "")); });
  const auto link = wired.served();
  const auto received = peers.receive(*link, peers.receive_job(kRun, "", log));
  CHECK(received.has_value());
  CHECK(sending.get().has_value());
  zmq_close(stranger);
}

TEST_CASE("whoever refuses is believed at once") {
  Scratch scratch;
  Peers peers(scratch.path());
  ZmqContext context;
  Wire wire;
  wire.context = context.raw;
  const std::string endpoint = "ipc://" + peers.top + "/bulk";
  {
    const auto server =
        make_bulk_server(wire, endpoint, *peers.clock, [](std::unique_ptr<Arrival> arrival) {
          arrival->refuse(make_error(ErrorCode::epoch_old, "an older identity", "south"));
        });
    const auto link =
        make_dial(wire, endpoint, "", peers.opening(Opening::Kind::push, kRun), *peers.clock);
    const auto channel = link->open(seconds(5), {});
    REQUIRE_FALSE(channel.has_value());
    CHECK(channel.error().code == ErrorCode::epoch_old);
    CHECK(channel.error().where == "south");
  }
  // And nobody there is found out in time.
  const auto link =
      make_dial(wire, endpoint, "", peers.opening(Opening::Kind::push, kRun), *peers.clock);
  const auto channel = link->open(milliseconds(300), {});
  REQUIRE_FALSE(channel.has_value());
  CHECK(channel.error().code == ErrorCode::stream_peer_lost);
}
