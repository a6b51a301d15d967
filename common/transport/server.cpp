#include "common/transport/server.hpp"

#include <spdlog/spdlog.h>

#include <deque>
#include <map>
#include <utility>

#include "common/message/bytes.hpp"
#include "common/message/log_scope.hpp"
#include "common/transport/inbox.hpp"
#include "common/transport/loop.hpp"
#include "common/transport/wire.hpp"

namespace lockstep::transport {

namespace {

using message::Body;
using message::Envelope;

constexpr int kTakenPerTurn = 10'000;
constexpr int kMessagesPerTurn = 64;
constexpr std::size_t kMaxUnderWay = 1024;
constexpr std::size_t kMaxKept = 512;
constexpr std::size_t kMaxKeptBytes = 8 * 1024 * 1024;

// A request is known by its id and who sent it: nobody reads another's replies by guessing an id.
using RequestKey = std::pair<std::string, std::string>;

// The last final replies, for requests that are repeated because the reply was lost.
class FinalReplies {
 public:
  void keep(const RequestKey& key, std::string bytes) {
    bytes_ += bytes.size();
    order_.push_back(key);
    replies_[key] = std::move(bytes);
    while (order_.size() > kMaxKept || bytes_ > kMaxKeptBytes) {
      const auto oldest = replies_.find(order_.front());
      bytes_ -= oldest->second.size();
      replies_.erase(oldest);
      order_.pop_front();
    }
  }
  const std::string* find(const RequestKey& key) const {
    const auto found = replies_.find(key);
    return found == replies_.end() ? nullptr : &found->second;
  }

 private:
  std::map<RequestKey, std::string> replies_;
  std::deque<RequestKey> order_;
  std::size_t bytes_ = 0;
};

class Core;

}  // namespace

struct Request::Impl {
  std::weak_ptr<Core> core;
  Envelope envelope;
  Party peer;
  std::string route;             // of whoever asked last
  std::optional<Body> accepted;  // said, and to be said again
  bool ended = false;

  ~Impl();
  RequestKey key() const { return {envelope.id, peer.name}; }
};

namespace {

class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop, const Directory& directory, const Clock& clock, Socket socket)
      : loop_(loop), directory_(directory), clock_(clock), socket_(std::move(socket)) {}
  ~Core() { loop_.unwatch(watch_); }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void start() {
    watch_ = loop_.watch(socket_.raw(), [this] { receive(); });
  }
  void on(const std::string& type, std::set<Role> roles, Server::Handler handler) {
    handlers_[type] = Registration{std::move(roles), std::move(handler)};
  }
  void on_refusal(Server::OnRefusal callback) { on_refusal_ = std::move(callback); }

  // The last handle of a request went without an answer, on whatever thread.
  void abandoned(Envelope envelope, Party peer, std::string route) {
    if (!loop_.running()) return;
    loop_.post([core = weak_from_this(), envelope = std::move(envelope), peer = std::move(peer),
                route = std::move(route)] {
      const auto alive = core.lock();
      if (!alive) return;
      spdlog::error("a request was dropped without an answer: {}", envelope.type);
      Request::Impl request;
      request.envelope = envelope;
      request.peer = peer;
      request.route = route;
      alive->say_failed(request,
                        make_error(ErrorCode::internal, "the request was dropped without an answer",
                                   envelope.type));
    });
  }

  void say_stage(const Request::Impl& request, const char* stage, const Body& body) {
    const auto bytes = encode_reply(request.envelope, request.envelope.type + "." + stage, body);
    if (bytes) {
      send(request.route, *bytes);
    } else {
      spdlog::error("a reply was not sent: {}", bytes.error().text());
    }
  }
  void say_done(Request::Impl& request, const Body& body) {
    auto bytes = encode_reply(request.envelope, request.envelope.type + ".done", body);
    if (!bytes) {
      say_failed(request, bytes.error());
      return;
    }
    finish(request, std::move(bytes).value());
  }
  void say_failed(Request::Impl& request, const Error& error) {
    auto bytes = encode_reply(request.envelope, "failed", {{"error", message::error_body(error)}});
    if (!bytes) {
      // Only an error text beyond all limits can be unfit.
      const Error shorter = make_error(error.code, error.what.substr(0, 1000));
      bytes = encode_reply(request.envelope, "failed", {{"error", message::error_body(shorter)}});
    }
    finish(request, bytes ? std::move(bytes).value() : std::string());
  }

 private:
  struct Registration {
    std::set<Role> roles;
    Server::Handler handler;
  };

  void receive() {
    for (int i = 0; i < kTakenPerTurn; ++i) {
      auto parts = receive_parts(socket_.raw());
      if (!parts) break;
      const std::string user = parts->user;
      if (!inbox_.put(std::move(*parts))) complain("more at once than is kept; dropped", user);
    }
    for (int i = 0; i < kMessagesPerTurn; ++i) {
      const auto parts = inbox_.next();
      if (!parts) return;
      if (parts->too_many || parts->frames.size() != 2) {
        complain("a message of " + std::to_string(parts->frames.size()) + " frames", parts->user);
        continue;
      }
      take(parts->frames[0], parts->frames[1], parts->user);
    }
    go_on();
  }
  // What waits in the inbox shows at no socket.
  void go_on() {
    if (inbox_.empty() || going_on_) return;
    going_on_ = true;
    loop_.post([core = weak_from_this()] {
      const auto alive = core.lock();
      if (!alive) return;
      alive->going_on_ = false;
      alive->receive();
    });
  }

  void take(const std::string& route, const std::string& bytes, const std::string& user) {
    auto envelope = message::decode(bytes);
    if (!envelope) {
      complain(envelope.error().text(), user);
      answer_unreadable(route, bytes, envelope.error());
      return;
    }
    const Party* peer = directory_.find(user.empty() ? envelope->from : user);
    if (peer == nullptr || (!user.empty() && envelope->from != user)) {
      const std::string who = user.empty() ? envelope->from : user;
      complain("'" + envelope->from + "' is not who it says it is", who);
      answer(route, *envelope,
             make_error(ErrorCode::role_refused, "the sender is not the party whose name it gives",
                        envelope->from, "see `from` and the key; lockstep.yaml lists the parties"));
      return;
    }
    const auto registration = handlers_.find(envelope->type);
    if (registration == handlers_.end()) {
      answer(route, *envelope,
             make_error(ErrorCode::message_unknown_type,
                        "'" + directory_.self + "' does not take this message", envelope->type));
      return;
    }
    if (!registration->second.roles.contains(peer->role)) {
      refuse(route, *envelope, *peer);
      return;
    }
    if (repeated(route, {envelope->id, peer->name})) return;
    hand_over(route, std::move(envelope).value(), *peer, registration->second.handler);
  }

  void hand_over(const std::string& route, Envelope envelope, const Party& peer,
                 const Server::Handler& handler) {
    if (under_way_.size() >= kMaxUnderWay) forget_ended();
    if (under_way_.size() >= kMaxUnderWay) {
      answer(route, envelope,
             make_error(ErrorCode::transport, "too many requests are under way", directory_.self,
                        "wait until some have ended"));
      return;
    }
    auto impl = std::make_shared<Request::Impl>();
    impl->core = weak_from_this();
    impl->envelope = std::move(envelope);
    impl->peer = peer;
    impl->route = route;
    under_way_[impl->key()] = impl;
    const std::string type = impl->envelope.type;
    const Request request(impl);
    const message::LogScope scope(request.envelope().run, request.envelope().step);
    try {
      handler(request);
    } catch (const std::exception& problem) {
      spdlog::error("the handler of {} failed: {}", type, problem.what());
      request.failed(make_error(ErrorCode::internal,
                                std::string("the handler failed: ") + problem.what(), type));
    }
  }

  // True where it was answered as a repetition.
  bool repeated(const std::string& route, const RequestKey& key) {
    if (const std::string* final_reply = finals_.find(key)) {
      send(route, *final_reply);
      return true;
    }
    const auto found = under_way_.find(key);
    const auto request = found == under_way_.end() ? nullptr : found->second.lock();
    if (!request) return false;
    request->route = route;
    if (request->accepted) {
      say_stage(*request, "accepted", *request->accepted);
    } else if (message::check_schema(request->envelope.type + ".accepted", Body::object())) {
      say_stage(*request, "accepted", Body::object());
    }
    return true;
  }

  void refuse(const std::string& route, const Envelope& envelope, const Party& peer) {
    spdlog::warn("refused {} from '{}': its role is {}", envelope.type, peer.name,
                 role_name(peer.role));
    answer(route, envelope,
           make_error(
               ErrorCode::role_refused,
               std::string("the role ") + role_name(peer.role) + " may not send " + envelope.type,
               peer.name));
    if (on_refusal_) on_refusal_(peer, envelope.type);
  }

  void finish(Request::Impl& request, std::string bytes) {
    request.ended = true;
    under_way_.erase(request.key());
    if (bytes.empty()) return;
    send(request.route, bytes);
    finals_.keep(request.key(), std::move(bytes));
  }

  // Those whose handles went while nobody looked (the service was stopping).
  void forget_ended() {
    std::erase_if(under_way_, [](const auto& row) { return row.second.expired(); });
  }

  Result<std::string> encode_reply(const Envelope& request, std::string type, Body body) const {
    Envelope reply;
    reply.type = std::move(type);
    reply.id = request.id;
    reply.run = request.run;
    reply.step = request.step;
    reply.attempt = request.attempt;
    reply.epoch = request.epoch;
    reply.from = directory_.self;
    reply.sent_at = clock_.utc();
    reply.body = std::move(body);
    return message::encode(reply);
  }

  void answer(const std::string& route, const Envelope& request, const Error& error) {
    const auto bytes = encode_reply(request, "failed", {{"error", message::error_body(error)}});
    if (bytes) send(route, *bytes);
  }

  // What could not be read may still have an id by which its sender waits.
  void answer_unreadable(const std::string& route, const std::string& bytes, const Error& error) {
    const auto seen = glimpse(bytes);
    if (!seen) return;
    Envelope request;
    request.id = seen->id;
    answer(route, request, error);
  }

  // A peer that went away asks again; one that reads nothing finds the final reply kept.
  void send(const std::string& route, const std::string& bytes) {
    if (send_parts(socket_.raw(), {route, bytes}) == Sent::full) {
      complain("a peer does not read its replies", {});
    }
  }

  void complain(const std::string& what, const std::string& who) {
    if (throttle_.pass(clock_.mono())) {
      spdlog::warn("{} (from {})", message::show(what), who.empty() ? "an unnamed peer" : who);
    }
  }

  Loop& loop_;
  const Directory directory_;
  const Clock& clock_;
  Socket socket_;
  Loop::WatchId watch_ = 0;
  Inbox inbox_{Inbox::Limits{}};
  bool going_on_ = false;
  std::map<std::string, Registration> handlers_;
  std::map<RequestKey, std::weak_ptr<Request::Impl>> under_way_;
  FinalReplies finals_;
  Server::OnRefusal on_refusal_;
  Throttle throttle_;
};

class RouterServer final : public Server {
 public:
  explicit RouterServer(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  void on(const std::string& type, std::set<Role> roles, Handler handler) override {
    core_->on(type, std::move(roles), std::move(handler));
  }
  void on_refusal(OnRefusal callback) override { core_->on_refusal(std::move(callback)); }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

Request::Impl::~Impl() {
  if (ended) return;
  if (const auto alive = core.lock())
    alive->abandoned(std::move(envelope), std::move(peer), std::move(route));
}

const Envelope& Request::envelope() const { return impl_->envelope; }
const Party& Request::peer() const { return impl_->peer; }

void Request::accepted(Body body) const {
  const auto core = impl_->core.lock();
  if (!core || impl_->ended) return;
  impl_->accepted = std::move(body);
  core->say_stage(*impl_, "accepted", *impl_->accepted);
}

void Request::progress(Body body) const {
  const auto core = impl_->core.lock();
  if (core && !impl_->ended) core->say_stage(*impl_, "progress", body);
}

void Request::done(Body body) const {
  const auto core = impl_->core.lock();
  if (core && !impl_->ended) core->say_done(*impl_, body);
}

void Request::failed(const Error& error) const {
  const auto core = impl_->core.lock();
  if (core && !impl_->ended) core->say_failed(*impl_, error);
}

Result<std::unique_ptr<Server>> make_server(Reactor& reactor, const Directory& directory,
                                            const Clock& clock) {
  Loop& loop = loop_of(reactor);
  LOCKSTEP_TRY(Socket socket, make_router(loop.context(), directory));
  if (directory.secret_key.empty() && directory.insecure) {
    spdlog::warn("insecure: true: messages travel as plain text and anybody may send any of them");
  }
  auto core = std::make_shared<Core>(loop, directory, clock, std::move(socket));
  core->start();
  return std::unique_ptr<Server>(std::make_unique<RouterServer>(std::move(core)));
}

}  // namespace lockstep::transport
