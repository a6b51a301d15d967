#include "common/transport/sockets.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <initializer_list>
#include <random>
#include <thread>

#include "common/os/fd.hpp"
#include "common/transport/keys.hpp"

namespace lockstep::transport {

namespace {

// ZMQ_ZAP_ENFORCE_DOMAIN: a draft by name in 4.3.4, but there by number.
constexpr int kZapEnforceDomain = 93;
// Inbound on PUB there are subscriptions and the CURVE handshake, whose INITIATE is about 300
// bytes.
constexpr int kMaxSubscription = 1024;
// The same where anybody may connect: a topic costs the publisher about a hundred times its size.
constexpr int kMaxOutsidersFrame = 512;
constexpr int kServerLinger = 2000;

struct Option {
  int name;
  int value;
};

Error option_error() {
  return make_error(ErrorCode::transport,
                    std::string("cannot set a socket's options: ") + ::zmq_strerror(errno));
}

Result<void> set_options(void* socket, std::initializer_list<Option> options) {
  for (const auto& option : options) {
    if (::zmq_setsockopt(socket, option.name, &option.value, sizeof option.value) != 0) {
      return option_error();
    }
  }
  return {};
}

Result<void> set_text(void* socket, int name, const std::string& value) {
  if (::zmq_setsockopt(socket, name, value.data(), value.size()) != 0) return option_error();
  return {};
}
// libzmq tells a key in Z85 from one in binary by its length, which counts the NUL.
Result<void> set_key(void* socket, int name, const std::string& key) {
  if (::zmq_setsockopt(socket, name, key.c_str(), key.size() + 1) != 0) return option_error();
  return {};
}

Result<void> set_common(void* socket, int linger, int max_frame) {
  const std::int64_t limit = max_frame;
  if (::zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit) != 0) return option_error();
  // Without a bound on what came: where a full queue meets a connection that is lost, libzmq up to
  // 4.3.5 ends the process at the next heartbeat (zeromq/libzmq#4364), and any peer could bring
  // that about. Whoever owns the socket empties it at every turn and bounds what it keeps
  // (inbox.hpp), or a gate stands before it (gate.hpp).
  return set_options(socket, {{ZMQ_RCVHWM, 0},
                              {ZMQ_LINGER, linger},
                              {ZMQ_HANDSHAKE_IVL, 10'000},
                              {ZMQ_HEARTBEAT_IVL, 2'000},
                              {ZMQ_HEARTBEAT_TIMEOUT, 6'000},
                              {ZMQ_HEARTBEAT_TTL, 6'000},
                              {ZMQ_RECONNECT_IVL, 100},
                              {ZMQ_RECONNECT_IVL_MAX, 5'000}});
}

constexpr int kInsideBacklog = 1024;

// What a party that follows a service has to say: a handshake, one topic, and 60 bytes every two
// seconds. An outsider: 200 topics at most. All together: what a busy host finds the time to make
// topics of, and yet the heartbeats of thousands.
constexpr Allowance::Grant kOfAll{1024 * 1024, 256 * 1024};
constexpr Gate::Limits kOfParties{{16 * 1024, 512}, kOfAll, 1000, seconds(5)};
constexpr Gate::Limits kOfOutsiders{{64 * 1024, 25 * 1024}, kOfAll, 2500, seconds(5)};

constexpr std::string_view kIpc = "ipc://";

bool is_local(const std::string& endpoint) { return endpoint.starts_with(kIpc); }

constexpr std::size_t kMaxSocketPath = sizeof(::sockaddr_un::sun_path) - 1;

// Requires: the path is short enough.
bool somebody_listens(const std::string& path) {
  ::sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  const os::Fd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const auto* generic = static_cast<const ::sockaddr*>(static_cast<const void*>(&address));
  // EAGAIN: its queue of connections is full, so there is somebody.
  return probe && (::connect(probe.get(), generic, sizeof address) == 0 || errno == EAGAIN);
}

Result<void> check_ipc(const std::string& endpoint) {
  const std::string path = endpoint.substr(kIpc.size());
  if (path.size() > kMaxSocketPath) {
    return make_error(ErrorCode::transport,
                      "the socket's path has " + std::to_string(path.size()) +
                          " bytes; the system allows " + std::to_string(kMaxSocketPath),
                      path, "choose a shorter directory for this endpoint");
  }
  std::error_code ignored;  // a status that cannot be had shows as not there; bind tells the reason
  const auto status = std::filesystem::symlink_status(path, ignored);
  if (!std::filesystem::exists(status)) return {};
  if (!std::filesystem::is_socket(status)) {
    return make_error(ErrorCode::transport,
                      "something that is no socket lies at the endpoint's path", path,
                      "move it away or choose another path");
  }
  // libzmq removes whatever socket lies there before it binds: that is right for one that a killed
  // process left, and wrong for one that lives. One that is just ending gets a moment.
  for (int i = 0; i < 25 && somebody_listens(path); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  if (somebody_listens(path)) {
    return make_error(ErrorCode::transport, "another process serves this endpoint", path,
                      "stop it first; `lockstep status` shows what runs");
  }
  return {};
}

Result<void> owns_path(Socket& socket, const std::string& endpoint, bool has_keys) {
  if (is_local(endpoint)) {
    const std::string path = endpoint.substr(kIpc.size());
    socket.owns(path);
    // Without keys the file's mode is all that tells friend from foe.
    std::error_code problem;
    std::filesystem::permissions(path, std::filesystem::perms(has_keys ? 0666 : 0600), problem);
    if (problem) {
      return make_error(ErrorCode::transport,
                        "cannot set the mode of an endpoint's socket: " + problem.message(),
                        endpoint);
    }
  }
  return {};
}

Result<void> bind(Socket& socket, const std::string& endpoint, bool has_keys) {
  LOCKSTEP_CHECK(check_bindable(endpoint));
  if (::zmq_bind(socket.raw(), endpoint.c_str()) != 0) {
    return make_error(ErrorCode::transport,
                      std::string("cannot bind an endpoint: ") + ::zmq_strerror(errno), endpoint);
  }
  return owns_path(socket, endpoint, has_keys);
}

// The same with a gate in between. Nobody comes to libzmq but by it: it takes no other process.
Result<void> bind_behind_gate(Socket& socket, const std::string& endpoint, bool has_keys,
                              const Gate::Limits& limits) {
  LOCKSTEP_CHECK(check_bindable(endpoint));
  std::random_device random;
  const ::pid_t self = ::getpid();
  const std::string inside = "lockstep-" + std::to_string(self) + "-" + std::to_string(random()) +
                             std::to_string(random());
  LOCKSTEP_CHECK(set_options(socket.raw(), {{ZMQ_BACKLOG, kInsideBacklog}}));
  if (::zmq_setsockopt(socket.raw(), ZMQ_IPC_FILTER_PID, &self, sizeof self) != 0) {
    return option_error();
  }
  if (::zmq_bind(socket.raw(), ("ipc://@" + inside).c_str()) != 0) {
    return make_error(ErrorCode::transport,
                      std::string("cannot bind an endpoint: ") + ::zmq_strerror(errno), endpoint);
  }
  LOCKSTEP_TRY(auto gate, Gate::open(endpoint, inside, limits));
  socket.owns(std::move(gate));
  return owns_path(socket, endpoint, has_keys);
}

Result<void> connect(void* socket, const std::string& endpoint) {
  if (is_local(endpoint) && endpoint.size() - kIpc.size() > kMaxSocketPath) {
    return check_ipc(endpoint);  // says how long it may be
  }
  if (::zmq_connect(socket, endpoint.c_str()) != 0) {
    return make_error(ErrorCode::transport,
                      std::string("cannot connect to an endpoint: ") + ::zmq_strerror(errno),
                      endpoint);
  }
  return {};
}

Result<Socket> open(const std::shared_ptr<Context>& context, int type) {
  Socket socket(context, type);
  if (!socket) {
    return make_error(ErrorCode::transport,
                      std::string("cannot make a socket: ") + ::zmq_strerror(errno));
  }
  return socket;
}

Result<std::string> endpoint_of(const std::string& endpoint, const Party& party, const char* kind) {
  if (!endpoint.empty()) return endpoint;
  return make_error(ErrorCode::transport, "'" + party.name + "' has no " + kind + " endpoint",
                    party.name, "see this party's entry in lockstep.yaml");
}

Result<void> secure_towards(void* socket, const Directory& directory, const Party& to) {
  if (!directory.secret_key.empty() && to.public_key.empty()) {
    return make_error(ErrorCode::key_unreadable, "the public key of '" + to.name + "' is not known",
                      to.name);
  }
  return secure_client(socket, directory, to.public_key);
}

}  // namespace

Socket::Socket(std::shared_ptr<Context> context, int type)
    : context_(std::move(context)), socket_(::zmq_socket(context_->raw(), type)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    close();
    context_ = std::move(other.context_);
    socket_ = std::exchange(other.socket_, nullptr);
    bound_path_ = std::exchange(other.bound_path_, {});
    gate_ = std::move(other.gate_);
  }
  return *this;
}

void Socket::close() {
  if (!bound_path_.empty()) {
    // While this socket still listens, so that no other process has taken the path. A file that
    // cannot be removed is one that a killed process might have left: the next start deals with it.
    std::error_code ignored;
    std::filesystem::remove(std::exchange(bound_path_, {}), ignored);
  }
  gate_.reset();
  if (socket_ != nullptr) ::zmq_close(std::exchange(socket_, nullptr));
  context_.reset();
}

Result<void> check_bindable(const std::string& endpoint) {
  return is_local(endpoint) ? check_ipc(endpoint) : Result<void>();
}

Result<void> check_plain_text(const Directory& directory, const std::string& endpoint) {
  if (!directory.secret_key.empty() || directory.insecure || is_local(endpoint)) return {};
  return make_error(ErrorCode::transport, "plain text over the network is refused", endpoint,
                    "make keys with `lockstep keys init`, or state `insecure: true`");
}

Result<void> secure_server(Context& context, void* socket, const Directory& directory) {
  if (directory.secret_key.empty()) return {};
  std::map<std::string, std::string> names;
  for (const auto& [name, party] : directory.parties) {
    if (party.public_key.empty()) continue;
    if (!names.emplace(party.public_key, name).second) {
      return make_error(ErrorCode::key_unreadable, "two parties have one public key",
                        names[party.public_key] + " and " + name,
                        "make a key of its own for each with `lockstep keys init`");
    }
  }
  if (public_key_of(directory.secret_key) != directory.me().public_key) {
    return make_error(ErrorCode::key_unreadable,
                      "the secret key does not belong to the public key that the others know",
                      directory.self);
  }
  LOCKSTEP_CHECK(context.allow(directory.self, std::move(names)));
  LOCKSTEP_CHECK(set_text(socket, ZMQ_ZAP_DOMAIN, directory.self));
  LOCKSTEP_CHECK(set_key(socket, ZMQ_CURVE_SECRETKEY, directory.secret_key));
  return set_options(socket, {{kZapEnforceDomain, 1}, {ZMQ_CURVE_SERVER, 1}});
}

Result<void> secure_client(void* socket, const Directory& directory,
                           const std::string& server_key) {
  if (directory.secret_key.empty()) return {};
  if (!server_key.empty()) {
    LOCKSTEP_CHECK(set_key(socket, ZMQ_CURVE_SERVERKEY, server_key));
  }
  LOCKSTEP_CHECK(set_key(socket, ZMQ_CURVE_PUBLICKEY, public_key_of(directory.secret_key)));
  return set_key(socket, ZMQ_CURVE_SECRETKEY, directory.secret_key);
}

Result<Socket> make_router(const std::shared_ptr<Context>& context, const Directory& directory) {
  LOCKSTEP_TRY(const std::string endpoint,
               endpoint_of(directory.me().endpoint, directory.me(), "control"));
  LOCKSTEP_CHECK(check_plain_text(directory, endpoint));
  LOCKSTEP_TRY(Socket socket, open(context, ZMQ_ROUTER));
  LOCKSTEP_CHECK(set_common(socket.raw(), kServerLinger, kMaxControlFrame));
  // An unknown peer is told (EHOSTUNREACH), not dropped in silence; a peer that came back takes
  // over its routing id at once.
  LOCKSTEP_CHECK(set_options(socket.raw(), {{ZMQ_ROUTER_MANDATORY, 1}, {ZMQ_ROUTER_HANDOVER, 1}}));
  LOCKSTEP_CHECK(secure_server(*context, socket.raw(), directory));
  LOCKSTEP_CHECK(bind(socket, endpoint, !directory.secret_key.empty()));
  return socket;
}

Result<Socket> make_dealer(const std::shared_ptr<Context>& context, const Directory& directory,
                           const Party& to) {
  LOCKSTEP_TRY(const std::string endpoint, endpoint_of(to.endpoint, to, "control"));
  LOCKSTEP_CHECK(check_plain_text(directory, endpoint));
  LOCKSTEP_TRY(Socket socket, open(context, ZMQ_DEALER));
  // Linger is not delivery: what is not answered is sent again, so nothing waits at the end.
  LOCKSTEP_CHECK(set_common(socket.raw(), 0, kMaxControlFrame));
  LOCKSTEP_CHECK(secure_towards(socket.raw(), directory, to));
  LOCKSTEP_CHECK(connect(socket.raw(), endpoint));
  return socket;
}

Result<Socket> make_publisher(const std::shared_ptr<Context>& context, const Directory& directory) {
  LOCKSTEP_TRY(const std::string endpoint,
               endpoint_of(directory.me().events, directory.me(), "events"));
  LOCKSTEP_CHECK(check_plain_text(directory, endpoint));
  LOCKSTEP_TRY(Socket socket, open(context, ZMQ_PUB));
  LOCKSTEP_CHECK(set_common(socket.raw(), 0, kMaxSubscription));
  LOCKSTEP_CHECK(set_options(socket.raw(), {{ZMQ_SNDHWM, 10'000}}));
  LOCKSTEP_CHECK(secure_server(*context, socket.raw(), directory));
  LOCKSTEP_CHECK(bind_behind_gate(socket, endpoint, !directory.secret_key.empty(), kOfParties));
  return socket;
}

Result<Socket> make_subscriber(const std::shared_ptr<Context>& context, const Directory& directory,
                               const Party& to) {
  LOCKSTEP_TRY(const std::string endpoint, endpoint_of(to.events, to, "events"));
  LOCKSTEP_CHECK(check_plain_text(directory, endpoint));
  LOCKSTEP_TRY(Socket socket, open(context, ZMQ_SUB));
  LOCKSTEP_CHECK(set_common(socket.raw(), 0, kMaxControlFrame));
  LOCKSTEP_CHECK(set_text(socket.raw(), ZMQ_SUBSCRIBE, ""));
  LOCKSTEP_CHECK(secure_towards(socket.raw(), directory, to));
  LOCKSTEP_CHECK(connect(socket.raw(), endpoint));
  return socket;
}

Result<Socket> make_feed(const std::shared_ptr<Context>& context, const Directory& directory,
                         const std::string& endpoint, const std::string& monitor) {
  LOCKSTEP_CHECK(check_plain_text(directory, endpoint));
  LOCKSTEP_TRY(Socket socket, open(context, ZMQ_XPUB));
  LOCKSTEP_CHECK(set_common(socket.raw(), 0, kMaxOutsidersFrame));
  LOCKSTEP_CHECK(set_options(socket.raw(), {{ZMQ_SNDHWM, 10'000}, {ZMQ_XPUB_VERBOSER, 1}}));
  LOCKSTEP_CHECK(secure_server(*context, socket.raw(), directory));
  constexpr int kEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |
                          ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                          ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  if (::zmq_socket_monitor(socket.raw(), monitor.c_str(), kEvents) != 0) {
    return make_error(ErrorCode::transport,
                      std::string("cannot watch connections: ") + ::zmq_strerror(errno), monitor);
  }
  LOCKSTEP_CHECK(bind_behind_gate(socket, endpoint, !directory.secret_key.empty(), kOfOutsiders));
  return socket;
}

}  // namespace lockstep::transport
