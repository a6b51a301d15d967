#include "services/cli/inject/proxy.hpp"

#include "common/message/envelope.hpp"
#include "common/transport/wire.hpp"

namespace lockstep::cli::inject {

namespace {

// Connections of one service to another: a new one replaces one that was silent.
constexpr std::size_t kMostLinks = 64;
constexpr int kMessagesPerTurn = 64;

std::string type_of(const std::string& bytes) {
  const auto map = message::unpack_body(bytes);
  if (!map || !map->is_object()) return {};
  const auto type = map->find("type");
  return type != map->end() && type->is_string() ? type->get<std::string>() : std::string();
}

}  // namespace

Result<std::unique_ptr<Proxy>> Proxy::open(transport::Reactor& reactor, const config::Site& direct,
                                           const Clock& clock,
                                           const config::Injection::Through& way) {
  LOCKSTEP_TRY(auto asker, direct.directory(way.from));
  LOCKSTEP_TRY(auto asked, direct.directory(way.to));
  asked.parties.at(way.to).endpoint = way.endpoint;
  LOCKSTEP_TRY(auto socket, transport::make_router(transport::loop_of(reactor).context(), asked));
  return std::unique_ptr<Proxy>(
      new Proxy(reactor, clock, way, std::move(asker), std::move(socket)));
}

Proxy::Proxy(transport::Reactor& reactor, const Clock& clock, config::Injection::Through way,
             transport::Directory asker, transport::Socket socket)
    : loop_(transport::loop_of(reactor)),
      clock_(clock),
      way_(std::move(way)),
      asker_(std::move(asker)),
      socket_(std::move(socket)) {
  watch_ = loop_.watch(socket_.raw(), [this] { receive(); });
}

Proxy::~Proxy() { loop_.unwatch(watch_); }

int Proxy::came(const std::string& type) const {
  int count = 0;
  for (const auto& [name, times] : came_) count += is_of(type, name) ? times : 0;
  return count;
}

void Proxy::receive() {
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    auto parts = transport::receive_parts(socket_.raw());
    if (!parts) return;
    if (parts->too_many || parts->frames.size() != 2) continue;
    // Somebody else's messages are not for this way.
    if (!parts->user.empty() && parts->user != way_.from) continue;
    const std::string route = parts->frames[0];
    pass(parts->frames[1], false, [this, route, bytes = parts->frames[1]] {
      if (auto* link = link_of(route)) link->send(bytes);
    });
  }
}

transport::Link* Proxy::link_of(const std::string& route) {
  if (const auto found = links_.find(route); found != links_.end()) return found->second.get();
  auto link = transport::Link::open(
      loop_, asker_, *asker_.find(way_.to), clock_.mono(),
      {[this, route](const std::string& bytes) {
         pass(bytes, true, [this, route, bytes] {
           static_cast<void>(transport::send_parts(socket_.raw(), {route, bytes}));
         });
       },
       [] {}});
  if (!link) return nullptr;
  order_.push_back(route);
  if (order_.size() > kMostLinks) {
    links_.erase(order_.front());
    order_.erase(order_.begin());
  }
  return (links_[route] = std::move(link).value()).get();
}

void Proxy::pass(const std::string& bytes, bool reply, Out send) {
  const std::string type = type_of(bytes);
  ++came_[type];
  const auto [fate, by] = rules_.decide(type);
  const auto later = [this, span = by](Out task) {
    return loop_.after(span, [alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
      if (!alive.expired()) task();
    });
  };
  switch (fate) {
    case Fate::drop:
      break;
    case Fate::delay:
      later(std::move(send));
      break;
    case Fate::reorder:
      held_[reply].push_back({std::move(send), later([this, reply] { release(reply); })});
      break;
    case Fate::duplicate:
      send();
      [[fallthrough]];
    case Fate::pass:
      send();
      release(reply);
      break;
  }
  if (on_message) on_message();
}

// What waited for another message to overtake it.
void Proxy::release(bool reply) {
  for (auto& held : std::exchange(held_[reply], {})) {
    loop_.cancel(held.timer);
    held.send();
  }
}

}  // namespace lockstep::cli::inject
