// One side of a transfer as a process, so that it can be killed (LOCKSTEP_FAILPOINT).
//
//   stream_peer send|receive TOP RUN BASE|- SECONDS
//
// The receiver listens at ipc://TOP/bulk and accepts; the sender dials (push). Prints one line at
// the end: "ok ROOT SENT RESENT" or "ok ROOT RECEIVED AGAIN RESUMED_FROM", or the error; exit
// status 0 or 1.
#include <cstdio>
#include <future>

#include "tests/unit/stream/peers.hpp"

using namespace lockstep;
using namespace lockstep::test;

namespace {

int fail(const Error& error) {
  std::printf("%s\n", error.text().c_str());
  return 1;
}

stream::Wire wire_of(const ZmqContext& context) {
  stream::Wire wire;
  wire.context = context.raw;
  wire.ping = milliseconds(200);
  wire.silence = seconds(2);
  return wire;
}

int send(Peers& peers, const std::string& run, const std::string& base, std::int64_t patience) {
  const ZmqContext context;
  const auto link =
      stream::make_dial(wire_of(context), "ipc://" + peers.top + "/bulk", "",
                        peers.opening(stream::Opening::Kind::push, run), *peers.clock);
  stream::SendJob job = peers.send_job(run, base);
  job.stall = job.deadline = seconds(patience);
  const auto sent = peers.send(*link, job);
  if (!sent) return fail(sent.error());
  std::printf("ok %s %llu %llu %s\n", stream::to_hex(sent->summary.root).c_str(),
              static_cast<unsigned long long>(sent->bytes_sent),
              static_cast<unsigned long long>(sent->bytes_resent), sent->resume_refused.c_str());
  return 0;
}

int receive(Peers& peers, const std::string& run, const std::string& base, std::int64_t patience) {
  const ZmqContext context;
  std::promise<std::unique_ptr<stream::Link>> arrived;
  const auto server = stream::make_bulk_server(
      wire_of(context), "ipc://" + peers.top + "/bulk", *peers.clock,
      [&](std::unique_ptr<stream::Arrival> arrival) { arrived.set_value(arrival->accept()); });
  if (!server) return fail(server.error());
  auto arrival = arrived.get_future();
  if (arrival.wait_for(std::chrono::seconds(patience)) != std::future_status::ready) return 1;
  const auto link = arrival.get();
  FileLog log(peers.log(run));
  stream::ReceiveJob job = peers.receive_job(run, base, log);
  job.stall = job.deadline = seconds(patience);
  job.window = 4 << 20;
  job.checkpoint_bytes = 8 << 20;
  const auto received = peers.receive(*link, job);
  if (!received) return fail(received.error());
  std::printf("ok %s %llu %llu %llu %s\n", stream::to_hex(received->summary.root).c_str(),
              static_cast<unsigned long long>(received->bytes_received),
              static_cast<unsigned long long>(received->bytes_again),
              static_cast<unsigned long long>(received->resumed_from),
              received->resume_refused.c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const std::string side = argv[1];
  Peers peers(argv[2]);
  const std::string base = std::string(argv[4]) == "-" ? "" : argv[4];
  const std::int64_t patience = std::stoll(argv[5]);
  return side == "send" ? send(peers, argv[3], base, patience)
                        : receive(peers, argv[3], base, patience);
}
