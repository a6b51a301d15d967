#include "services/cli/inject/stage.hpp"

namespace lockstep::cli::inject {

namespace {
const transport::RequestOptions kAsk{seconds(1), seconds(20), seconds(30)};
}

Stage::Stage(const config::Site& site, const Clock& clock, std::string user)
    : site_(site),
      direct_(site),
      clock_(clock),
      user_(std::move(user)),
      reactor_(transport::make_reactor(clock, false)) {
  direct_.injection.through.clear();
}

Stage::~Stage() {
  followers_.clear();
  proxies_.clear();
  links_.clear();
}

Result<void> Stage::open(const std::set<std::string>& services, const std::string& title) {
  LOCKSTEP_TRY(auto own, direct_.directory(user_));
  directory_ = std::make_unique<transport::Directory>(std::move(own));
  client_ = transport::make_client(*reactor_, *directory_, clock_);
  for (const auto& way : site_.injection.through) {
    LOCKSTEP_TRY(auto proxy, Proxy::open(*reactor_, direct_, clock_, way));
    proxy->on_message = [this] { reactor_->stop(); };
    proxies_.push_back(std::move(proxy));
  }
  for (const auto& name : services) LOCKSTEP_CHECK(begin(name, title));
  return {};
}

Result<void> Stage::begin(const std::string& name, const std::string& title) {
  const auto* party = directory_->find(name);
  if (party == nullptr || party->endpoint.empty()) {
    return make_error(ErrorCode::not_found, "no service of this site is named", name);
  }
  LOCKSTEP_TRY(const Body ping, ask(name, "ping", Body::object()));
  if (ping.at("epoch").at("number").get<std::uint64_t>() > 0) epoch_ = ping.at("epoch");
  LOCKSTEP_CHECK(ask(name, "injection.mark", {{"title", title}, {"state", "begun"}}));
  pids_[name] = ping.at("pid").get<std::int64_t>();
  LOCKSTEP_TRY(const Body kept,
               ask(name, "events.since", {{"sequence", std::int64_t{1} << 53}, {"limit", 1}}));
  const transport::FollowFrom from{kept.at("last").get<std::uint64_t>(),
                                   kept.at("incarnation").get<std::string>()};
  followers_.push_back(transport::make_event_follower(
      *reactor_, *directory_, clock_, name, from, [this, name](const journal::Event& event) {
        events_[name].push_back(transport::event_body(event));
        reactor_->stop();
      }));
  return {};
}

Result<void> Stage::close(const std::string& title) {
  Result<void> out;
  for (const auto& [name, pid] : pids_) {
    auto marked = ask(name, "injection.mark", {{"title", title}, {"state", "ended"}});
    if (!marked && out) out = marked.error();
  }
  return out;
}

std::optional<std::string> Stage::missing() {
  for (const auto& [name, pid] : pids_) {
    const auto ping = ask(name, "ping", Body::object());
    if (!ping) return "`" + name + "` does not answer any more: " + ping.error().text();
    if (ping->at("pid").get<std::int64_t>() != pid) {
      return "`" + name + "` is not the process that it was: it ended meanwhile";
    }
  }
  return std::nullopt;
}

bool Stage::until(const std::function<bool()>& holds, Nanos limit) {
  const MonoNanos end = clock_.mono() + limit;
  while (!holds()) {
    const Nanos left = end - clock_.mono();
    if (left.count <= 0) return false;
    const auto timer = reactor_->after(left, [this] { reactor_->stop(); });
    reactor_->run();
    reactor_->cancel(timer);
  }
  return true;
}

Result<Body> Stage::ask(const std::string& to, const std::string& type, Body body) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.body = std::move(body);
  std::optional<Result<Body>> answer;
  client_->request(to, std::move(envelope), kAsk, {}, [&](Result<Body> outcome) {
    answer.emplace(std::move(outcome));
    reactor_->stop();
  });
  // The client ends every request by itself.
  while (!answer) reactor_->run();
  return std::move(*answer);
}

Result<transport::Link*> Stage::link(const std::string& as, const std::string& to) {
  auto& slot = links_[{as, to}];
  if (slot) return slot.get();
  LOCKSTEP_TRY(const auto directory, direct_.directory(as));
  const auto* party = directory.find(to);
  if (party == nullptr || party->endpoint.empty()) {
    return make_error(ErrorCode::not_found, "no service of this site is named", to);
  }
  LOCKSTEP_TRY(
      slot, transport::Link::open(
                transport::loop_of(*reactor_), directory, *party, clock_.mono(),
                {[this](const std::string& bytes) { take(bytes); }, [this] { reactor_->stop(); }}));
  return slot.get();
}

void Stage::take(const std::string& bytes) {
  reactor_->stop();
  auto envelope = message::unpack_body(bytes);
  if (!envelope || !envelope->is_object() || !envelope->contains("id")) return;
  ++heard_;
  const Body id = (*envelope)["id"];
  if (id.is_string()) replies_[id.get<std::string>()].push_back(std::move(*envelope));
}

Result<Proxy*> Stage::between(const std::string& from, const std::string& to) {
  for (const auto& one : proxies_) {
    if (one->way().from == from && one->way().to == to) return one.get();
  }
  return make_error(ErrorCode::config_missing_key,
                    "this site has no way between these two for the command to stand in",
                    from + " to " + to, "add it to `injection.through` in lockstep.yaml");
}

bool Stage::came_back(const std::string& service, Nanos limit) {
  const auto before = pids_[service];
  const bool back = until(
      [&] {
        const auto ping = ask(service, "ping", Body::object());
        if (ping) pids_[service] = ping->at("pid").get<std::int64_t>();
        return pids_[service] != before;
      },
      limit);
  // What was connected to the one that died.
  std::erase_if(links_, [&](const auto& row) { return row.first.second == service; });
  return back;
}

}  // namespace lockstep::cli::inject
