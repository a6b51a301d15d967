#include "common/clock/chrony.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "common/os/fd.hpp"

namespace lockstep {

namespace {

// chrony's candm.h, version 6. A request is as long as its answer, so that nobody is flooded by way
// of it.
constexpr std::uint8_t kVersion = 6;
constexpr std::uint8_t kRequest = 1;
constexpr std::uint8_t kReply = 2;
constexpr std::uint8_t kTrackingCommand = 33;
constexpr std::uint8_t kTrackingReply = 5;
constexpr std::size_t kRequestSequence = 8;
constexpr std::size_t kReplySequence = 16;
constexpr std::size_t kReference = 28;
constexpr std::size_t kAddress = 32;
constexpr std::size_t kFamily = 48;
constexpr std::size_t kLeap = 54;
constexpr std::size_t kCorrection = 68;
constexpr std::size_t kRootDelay = 92;
constexpr std::size_t kRootDispersion = 96;
constexpr std::size_t kLength = 104;
constexpr std::uint16_t kPort = 323;
constexpr std::uint16_t kUnsynchronised = 3;
constexpr Nanos kPatience = milliseconds(200);
constexpr double kMostSeconds = 1e6;

class Datagram {
 public:
  explicit Datagram(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint16_t two(std::size_t at) const {
    return static_cast<std::uint16_t>((bytes_[at] << 8) | bytes_[at + 1]);
  }
  std::uint32_t four(std::size_t at) const {
    return (static_cast<std::uint32_t>(two(at)) << 16) | two(at + 2);
  }
  // 7 bits of exponent, 25 of coefficient, both with a sign.
  double real(std::size_t at) const {
    const std::uint32_t bits = four(at);
    auto exponent = static_cast<int>(bits >> 25);
    if (exponent >= 64) exponent -= 128;
    auto coefficient = static_cast<std::int32_t>(bits & ((1U << 25) - 1));
    if (coefficient >= (1 << 24)) coefficient -= 1 << 25;
    return std::ldexp(static_cast<double>(coefficient), exponent - 25);
  }
  std::string source() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const std::uint16_t family = two(kFamily);
    if (family == 1 || family == 2) {
      ::inet_ntop(family == 1 ? AF_INET : AF_INET6, bytes_.data() + kAddress, text.data(),
                  static_cast<socklen_t>(text.size()));
      return text.data();
    }
    std::string name;
    for (std::size_t i = 0; i < 4 && bytes_[kReference + i] != 0; ++i) {
      const char c = static_cast<char>(bytes_[kReference + i]);
      const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      if (!plain) {
        name.clear();
        break;
      }
      name += c;
    }
    if (!name.empty()) return name;
    for (const std::uint8_t byte : bytes_.subspan(kReference, 4)) {
      constexpr char kDigits[] = "0123456789ABCDEF";
      name += {kDigits[byte >> 4], kDigits[byte & 15]};
    }
    return name;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

}  // namespace

std::vector<std::uint8_t> tracking_request(std::uint32_t sequence) {
  std::vector<std::uint8_t> out(kLength, 0);
  out[0] = kVersion;
  out[1] = kRequest;
  out[5] = kTrackingCommand;
  for (std::size_t i = 0; i < 4; ++i) {
    out[kRequestSequence + i] = static_cast<std::uint8_t>(sequence >> (24 - 8 * i));
  }
  return out;
}

std::optional<Tracking> read_tracking(std::span<const std::uint8_t> datagram,
                                      std::uint32_t sequence) {
  if (datagram.size() < kLength || datagram[0] != kVersion || datagram[1] != kReply) return {};
  const Datagram reply{datagram};
  constexpr std::size_t kCommand = 4;
  constexpr std::size_t kKind = 6;
  constexpr std::size_t kStatus = 8;
  if (reply.two(kCommand) != kTrackingCommand || reply.two(kKind) != kTrackingReply ||
      reply.two(kStatus) != 0 || reply.four(kReplySequence) != sequence) {
    return {};
  }
  Tracking out;
  out.source = reply.source();
  out.synchronised = reply.two(kLeap) != kUnsynchronised && reply.four(kReference) != 0;
  const double error = std::abs(reply.real(kRootDelay)) / 2 +
                       std::abs(reply.real(kRootDispersion)) + std::abs(reply.real(kCorrection));
  out.error = {static_cast<std::int64_t>(std::min(error, kMostSeconds) * 1e9)};
  return out;
}

std::optional<Tracking> ask_chrony(Nanos patience) {
  static std::atomic<std::uint32_t> sequences{1};
  const std::uint32_t sequence = ++sequences;
  const os::Fd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) return {};
  ::sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kPort);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Connected, so that "nobody listens there" comes back at once.
  if (::connect(socket.get(), reinterpret_cast<const ::sockaddr*>(&to), sizeof(to)) != 0) return {};
  const auto request = tracking_request(sequence);
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return {};
  ::pollfd wanted{socket.get(), POLLIN, 0};
  if (::poll(&wanted, 1, static_cast<int>(patience.count / 1'000'000)) != 1) return {};
  std::array<std::uint8_t, 1024> answer{};
  const ssize_t got = ::recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  if (got < 0) return {};
  return read_tracking({answer.data(), static_cast<std::size_t>(got)}, sequence);
}

HostClock look_at_host_clock(const Clock& clock) {
  Clock::Quality kernel = clock.quality();
  if (auto chrony = ask_chrony(kPatience)) {
    return {std::move(kernel.boot_id), chrony->synchronised, chrony->error,
            std::move(chrony->source)};
  }
  return {std::move(kernel.boot_id), kernel.synchronised, kernel.max_error, "kernel"};
}

}  // namespace lockstep
