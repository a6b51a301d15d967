#include "common/transport/listen.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>

namespace lockstep::transport {

namespace {

constexpr std::string_view kIpc = "ipc://";
constexpr std::string_view kTcp = "tcp://";
constexpr int kBacklog = 512;

Error cannot(const std::string& act, const std::string& endpoint, const char* why) {
  return make_error(ErrorCode::transport, "cannot " + act + " an endpoint: " + why, endpoint);
}

os::Fd make_socket(int family) {
  return os::Fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

Result<os::Fd> listening(os::Fd made, const ::sockaddr* address, ::socklen_t size,
                         const std::string& endpoint) {
  const int on = 1;
  if (!made || ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(made.get(), address, size) != 0 || ::listen(made.get(), kBacklog) != 0) {
    return cannot("bind", endpoint, std::strerror(errno));
  }
  return made;
}

Result<os::Fd> listen_at_path(const std::string& endpoint) {
  const std::string path = endpoint.substr(kIpc.size());
  ::sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    return cannot("bind", endpoint, std::strerror(ENAMETOOLONG));
  }
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  ::unlink(path.c_str());  // where it fails, bind() says why
  return listening(make_socket(AF_UNIX),
                   static_cast<const ::sockaddr*>(static_cast<const void*>(&address)),
                   sizeof address, endpoint);
}

Result<os::Fd> listen_at_address(const std::string& endpoint) {
  const auto colon = endpoint.rfind(':');
  std::string host = endpoint.substr(kTcp.size(), std::max(colon, kTcp.size()) - kTcp.size());
  if (host == "*") host = "0.0.0.0";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  ::addrinfo wish{};
  wish.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  wish.ai_socktype = SOCK_STREAM;
  ::addrinfo* found = nullptr;
  const int problem = ::getaddrinfo(host.c_str(), endpoint.c_str() + colon + 1, &wish, &found);
  if (problem != 0) return cannot("bind", endpoint, ::gai_strerror(problem));
  const std::unique_ptr<::addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  return listening(make_socket(found->ai_family), found->ai_addr, found->ai_addrlen, endpoint);
}

}  // namespace

Result<os::Fd> listen_at(const std::string& endpoint) {
  if (endpoint.starts_with(kIpc)) return listen_at_path(endpoint);
  if (endpoint.starts_with(kTcp)) return listen_at_address(endpoint);
  return cannot("bind", endpoint, std::strerror(EPROTONOSUPPORT));
}

Result<os::Fd> connect_to_abstract(const std::string& name) {
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) {
    return cannot("connect to", name, std::strerror(ENAMETOOLONG));
  }
  std::copy(name.begin(), name.end(), address.sun_path + 1);  // after the NUL: unix(7)
  const auto* generic = static_cast<const ::sockaddr*>(static_cast<const void*>(&address));
  os::Fd made = make_socket(AF_UNIX);
  // A name of its own, by which the other end can tell who called.
  const ::sa_family_t family = AF_UNIX;
  if (!made ||
      ::bind(made.get(), static_cast<const ::sockaddr*>(static_cast<const void*>(&family)),
             sizeof family) != 0 ||
      ::connect(made.get(), generic,
                static_cast<::socklen_t>(offsetof(::sockaddr_un, sun_path) + 1 + name.size())) !=
          0) {
    return cannot("connect to", name, std::strerror(errno));
  }
  return made;
}

}  // namespace lockstep::transport
