#include "common/transport/client.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "common/transport/link.hpp"
#include "common/transport/wire.hpp"

namespace lockstep::transport {

namespace {

using message::Body;
using message::Envelope;

struct Pending {
  std::string to;
  std::string type;
  std::string bytes;  // as sent, and as sent again
  RequestOptions options;
  Client::OnStage on_stage;
  Client::OnEnd on_end;
  MonoNanos started;
  MonoNanos last_sent;
  MonoNanos last_heard;
  bool heard = false;
  Reactor::TimerId timer = 0;
};

class DealerClient final : public Client {
 public:
  DealerClient(Loop& loop, const Directory& directory, const Clock& clock)
      : loop_(loop), directory_(directory), clock_(clock) {}
  ~DealerClient() override {
    for (auto& [id, pending] : pending_) loop_.cancel(pending.timer);
  }

  std::string request(const std::string& to, Envelope envelope, const RequestOptions& options,
                      OnStage on_stage, OnEnd on_end) override {
    fill_in(envelope, options);
    const std::string id = envelope.id;
    const MonoNanos now = clock_.mono();
    Pending pending{to,  envelope.type, {},    options, std::move(on_stage), std::move(on_end), now,
                    now, now,           false, 0};
    auto bytes = message::encode(envelope);
    auto link = bytes ? link_to(to) : Result<Link*>(bytes.error());
    const auto [row, inserted] = pending_.try_emplace(id, std::move(pending));
    if (!inserted) {
      // A caller's own id, used for a second request while the first is under way.
      fail_later(next_key(), std::move(pending),
                 make_error(ErrorCode::internal, "a request of this id is under way", id));
      return id;
    }
    if (!link) {
      // The outcome comes by the reactor, as every other: never from inside request().
      row->second.timer =
          loop_.after(Nanos{}, [this, id, error = link.error()] { end(id, error); });
      return id;
    }
    row->second.bytes = std::move(bytes).value();
    link.value()->send(row->second.bytes);
    arm(id, row->second);
    return id;
  }

  void cancel(const std::string& id) override {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    loop_.cancel(found->second.timer);
    pending_.erase(found);
  }

 private:
  std::string next_key() { return "again-" + std::to_string(++again_); }

  void fail_later(const std::string& key, Pending pending, const Error& error) {
    pending.timer = loop_.after(Nanos{}, [this, key, error] { end(key, error); });
    pending_.emplace(key, std::move(pending));
  }

  void fill_in(Envelope& envelope, const RequestOptions& options) const {
    const UtcNanos now = clock_.utc();
    if (envelope.id.empty()) envelope.id = message::make_uuid7(now);
    if (envelope.from.empty()) envelope.from = directory_.self;
    if (envelope.sent_at.count == 0) envelope.sent_at = now;
    if (!envelope.deadline) envelope.deadline = now + options.deadline;
  }

  Result<Link*> link_to(const std::string& to) {
    const auto found = links_.find(to);
    if (found != links_.end()) return found->second.get();
    return open_link(to);
  }

  Result<Link*> open_link(const std::string& to) {
    const Party* party = directory_.find(to);
    if (party == nullptr) {
      return make_error(ErrorCode::not_found, "no party of this name is in lockstep.yaml", to);
    }
    LOCKSTEP_TRY(auto link, Link::open(loop_, directory_, *party, clock_.mono(),
                                       {[this, to](const std::string& bytes) { take(to, bytes); },
                                        [this, to] { refused(to); }}));
    return (links_[to] = std::move(link)).get();
  }

  // The next instant at which something has to be done about it without a reply.
  void arm(const std::string& id, Pending& pending) {
    loop_.cancel(pending.timer);
    const MonoNanos again =
        std::max(pending.last_sent, pending.last_heard) + pending.options.silence;
    const MonoNanos stalled = pending.last_heard + pending.options.stall;
    const MonoNanos late = pending.started + pending.options.deadline;
    const Nanos delay = std::min({again, stalled, late}) - clock_.mono();
    pending.timer = loop_.after(std::max(delay, milliseconds(1)), [this, id] { look(id); });
  }

  void look(const std::string& id) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    Pending& pending = found->second;
    const MonoNanos now = clock_.mono();
    if (now - pending.started >= pending.options.deadline) {
      end(id,
          make_error(ErrorCode::deadline, "no end came in " + to_duration(pending.options.deadline),
                     pending.type + " to " + pending.to));
      return;
    }
    if (now - pending.last_heard >= pending.options.stall) {
      end(id, silent(pending));
      return;
    }
    if (now - std::max(pending.last_sent, pending.last_heard) >= pending.options.silence) {
      send_again(pending, now);
    }
    arm(id, pending);
  }

  Error silent(const Pending& pending) {
    const auto link = links_.find(pending.to);
    const std::string trouble = link == links_.end() || link->second->trouble().empty()
                                    ? ""
                                    : "; " + link->second->trouble();
    const std::string span = to_duration(pending.options.stall);
    const std::string where = pending.type + " to " + pending.to;
    if (pending.heard) {
      return make_error(ErrorCode::stalled,
                        "'" + pending.to + "' has been silent for " + span + trouble, where);
    }
    return make_error(ErrorCode::unreachable,
                      "'" + pending.to + "' did not answer in " + span + trouble, where);
  }

  // First on the same socket; where that brings nothing from the peer either, on a fresh one (Lazy
  // Pirate): the old one may hang in a connection that is none any more. All that is under way
  // there goes again then, since its replies would come to the old socket.
  void send_again(Pending& pending, MonoNanos now) {
    const auto found = links_.find(pending.to);
    const Nanos patience = pending.options.silence + pending.options.silence;
    const bool fresh = found == links_.end() || now - found->second->last_heard() >= patience;
    if (!fresh) {
      pending.last_sent = now;
      found->second->send(pending.bytes);
      return;
    }
    links_.erase(pending.to);
    const std::string to = pending.to;
    auto link = open_link(to);
    for (auto& [id, other] : pending_) {
      if (other.to != to || other.bytes.empty()) continue;
      other.last_sent = now;
      // A socket that cannot be made now is tried again after the next silence, until the stall.
      if (link) link.value()->send(other.bytes);
    }
  }

  void take(const std::string& from, const std::string& bytes) {
    const MonoNanos now = clock_.mono();
    if (const auto link = links_.find(from); link != links_.end()) link->second->heard(now);
    auto reply = message::decode(bytes);
    if (!reply) {
      const auto seen = glimpse(bytes);
      complain("a reply of '" + from + "' cannot be read: " + reply.error().text());
      if (seen && belongs(seen->id, from)) end(seen->id, reply.error());
      return;
    }
    const auto found = pending_.find(reply->id);
    // A late reply to a request that has ended, or one to somebody else's.
    if (found == pending_.end() || found->second.to != from) return;
    Pending& pending = found->second;
    pending.last_heard = now;
    pending.heard = true;
    const std::string id = reply->id;
    if (reply->type == pending.type + ".done") {
      end(id, std::move(reply->body));
    } else if (reply->type == "failed") {
      end(id, message::error_from_body(reply->body["error"]));
    } else if (reply->type == pending.type + ".accepted") {
      stage(id, pending, {Reply::Stage::accepted, std::move(reply->body)});
    } else if (reply->type == pending.type + ".progress") {
      stage(id, pending, {Reply::Stage::progress, std::move(reply->body)});
    } else {
      complain("'" + from + "' answered " + pending.type + " by " + reply->type);
    }
  }

  bool belongs(const std::string& id, const std::string& from) const {
    const auto found = pending_.find(id);
    return found != pending_.end() && found->second.to == from;
  }

  void stage(const std::string& id, Pending& pending, const Reply& reply) {
    arm(id, pending);
    if (!pending.on_stage) return;
    const OnStage handler = pending.on_stage;  // it may cancel its own request
    handler(reply);
  }

  void refused(const std::string& to) {
    std::vector<std::string> ids;
    for (const auto& [id, pending] : pending_) {
      if (pending.to == to && !pending.heard) ids.push_back(id);
    }
    for (const auto& id : ids) {
      end(id,
          make_error(
              ErrorCode::role_refused, "'" + to + "' does not know this process's key",
              directory_.self,
              "the public key in its keys directory must be this party's; see docs/protocol.md"));
    }
    // The connection does not come back by itself once the key is allowed: the next request makes
    // another. Not from inside the link's own call.
    loop_.post([this, to, alive = std::weak_ptr<char>(alive_)] {
      if (!alive.expired()) links_.erase(to);
    });
  }

  void end(const std::string& id, Result<Body> outcome) {
    const auto found = pending_.find(id);
    if (found == pending_.end()) return;
    loop_.cancel(found->second.timer);
    const OnEnd handler = std::move(found->second.on_end);
    pending_.erase(found);
    if (handler) handler(std::move(outcome));
  }

  void complain(const std::string& what) {
    if (throttle_.pass(clock_.mono())) spdlog::warn("{}", message::show(what));
  }

  Loop& loop_;
  const Directory directory_;
  const Clock& clock_;
  std::map<std::string, std::unique_ptr<Link>> links_;
  std::map<std::string, Pending> pending_;
  std::uint64_t again_ = 0;
  Throttle throttle_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

class LoopCaller final : public Caller {
 public:
  LoopCaller(const Directory& directory, const Clock& clock)
      : reactor_(make_reactor(clock, false)), client_(make_client(*reactor_, directory, clock)) {}

  Result<Body> call(const std::string& to, Envelope envelope, const RequestOptions& options,
                    const Client::OnStage& on_stage) override {
    std::optional<Result<Body>> outcome;
    client_->request(to, std::move(envelope), options, on_stage, [&](Result<Body> result) {
      outcome.emplace(std::move(result));
      reactor_->stop();
    });
    reactor_->run();
    // Nothing but an end stops this reactor.
    return std::move(*outcome);
  }

 private:
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Client> client_;
};

}  // namespace

std::unique_ptr<Client> make_client(Reactor& reactor, const Directory& directory,
                                    const Clock& clock) {
  return std::make_unique<DealerClient>(loop_of(reactor), directory, clock);
}

std::unique_ptr<Caller> make_caller(const Directory& directory, const Clock& clock) {
  return std::make_unique<LoopCaller>(directory, clock);
}

}  // namespace lockstep::transport
