#include "services/cli/inject/player.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <deque>
#include <set>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "common/os/processes.hpp"
#include "common/transport/client.hpp"
#include "common/transport/events.hpp"
#include "services/cli/inject/broken.hpp"
#include "services/cli/inject/proxy.hpp"

namespace lockstep::cli::inject {

namespace {

constexpr std::size_t kMostUnderWay = 64;
// Of messages whose replies nobody waits for: beyond libzmq's queues they would be lost here.
constexpr std::size_t kMostUnheard = 500;
constexpr Nanos kUnheard = milliseconds(200);
constexpr Nanos kLongestProgram = seconds(120);
const transport::RequestOptions kAsk{seconds(1), seconds(20), seconds(30)};

// Why a step did not go as told; nothing: it did.
using Verdict = std::optional<std::string>;

class Player {
 public:
  Player(const config::Site& site, const Clock& clock, std::string user, Values values,
         const std::function<void(const std::string&)>& say)
      : site_(site),
        direct_(site),
        clock_(clock),
        user_(std::move(user)),
        values_(std::move(values)),
        say_(say),
        reactor_(transport::make_reactor(clock, false)) {
    direct_.injection.through.clear();
  }
  ~Player() {
    followers_.clear();
    proxies_.clear();
    links_.clear();
  }
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  Result<Outcome> play(const Scenario& scenario) {
    LOCKSTEP_TRY(auto own, direct_.directory(user_));
    directory_ = std::make_unique<transport::Directory>(std::move(own));
    client_ = transport::make_client(*reactor_, *directory_, clock_);
    for (const auto& way : site_.injection.through) {
      LOCKSTEP_TRY(auto proxy, Proxy::open(*reactor_, direct_, clock_, way));
      proxy->on_message = [this] { reactor_->stop(); };
      proxies_.push_back(std::move(proxy));
    }
    std::set<std::string> reached;
    gather(scenario.steps, reached);
    for (const auto& name : reached) LOCKSTEP_CHECK(begin(name, scenario.title));
    LOCKSTEP_CHECK(play(scenario.steps));
    for (const auto& name : reached) {
      if (outcome_.good) LOCKSTEP_CHECK(still_there(name));
      // One that died while it was asked is an outcome of its own, told above.
      auto marked = ask(name, "injection.mark", {{"title", scenario.title}, {"state", "ended"}});
      if (!marked && outcome_.good) return marked.error();
    }
    return outcome_;
  }

 private:
  using Replies = std::deque<Body>;
  struct Told {
    std::vector<Body> events;  // that no step took yet
  };

  // -- the services that a scenario reaches

  static void gather(const std::vector<Step>& steps, std::set<std::string>& out) {
    for (const auto& step : steps) {
      std::visit(
          [&](const auto& act) {
            using T = std::decay_t<decltype(act)>;
            if constexpr (std::is_same_v<T, Send> || std::is_same_v<T, Broken>) out.insert(act.to);
            if constexpr (std::is_same_v<T, Event>) out.insert(act.from);
            if constexpr (std::is_same_v<T, Between> || std::is_same_v<T, Came>) out.insert(act.to);
            if constexpr (std::is_same_v<T, Kill>) out.insert(act.service);
            if constexpr (std::is_same_v<T, Repeat>) gather(act.steps, out);
          },
          step.act);
    }
  }

  Result<void> begin(const std::string& name, const std::string& title) {
    const auto* party = directory_->find(name);
    if (party == nullptr || party->endpoint.empty()) {
      return make_error(ErrorCode::not_found, "no service of this site is named", name);
    }
    LOCKSTEP_TRY(const Body ping, ask(name, "ping", Body::object()));
    pids_[name] = ping.at("pid").get<std::int64_t>();
    if (ping.at("epoch").at("number").get<std::uint64_t>() > 0) {
      values_.set("epoch.number", ping.at("epoch").at("number"));
      values_.set("epoch.promotion", ping.at("epoch").at("promotion"));
      epoch_ = ping.at("epoch");
    }
    LOCKSTEP_CHECK(ask(name, "injection.mark", {{"title", title}, {"state", "begun"}}));
    LOCKSTEP_TRY(const Body kept,
                 ask(name, "events.since", {{"sequence", std::int64_t{1} << 53}, {"limit", 1}}));
    const transport::FollowFrom from{kept.at("last").get<std::uint64_t>(),
                                     kept.at("incarnation").get<std::string>()};
    followers_.push_back(transport::make_event_follower(
        *reactor_, *directory_, clock_, name, from, [this, name](const journal::Event& event) {
          told_[name].events.push_back(transport::event_body(event));
          reactor_->stop();
        }));
    return {};
  }

  Result<void> still_there(const std::string& name) {
    const auto ping = ask(name, "ping", Body::object());
    if (ping && ping->at("pid").get<std::int64_t>() == pids_[name]) return {};
    outcome_.good = false;
    outcome_.why = ping ? "`" + name + "` is not the process that it was: it ended meanwhile"
                        : "`" + name + "` does not answer any more: " + ping.error().text();
    return {};
  }

  // -- waiting

  template <class Predicate>
  bool until(const Predicate& holds, Nanos limit) {
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

  Result<Body> ask(const std::string& to, const std::string& type, Body body) {
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

  // -- the steps

  Result<void> play(const std::vector<Step>& steps) {
    for (const auto& step : steps) {
      ++outcome_.steps;
      LOCKSTEP_TRY(const Verdict verdict,
                   std::visit([this](const auto& act) { return act_on(act); }, step.act));
      if (!outcome_.good) return {};
      if (verdict) {
        outcome_.good = false;
        outcome_.where = step.where;
        outcome_.why = *verdict;
        return {};
      }
    }
    return {};
  }

  Result<transport::Link*> link(const std::string& as, const std::string& to) {
    auto& slot = links_[{as, to}];
    if (slot) return slot.get();
    LOCKSTEP_TRY(const auto directory, direct_.directory(as));
    const auto* party = directory.find(to);
    if (party == nullptr || party->endpoint.empty()) {
      return make_error(ErrorCode::not_found, "no service of this site is named", to);
    }
    LOCKSTEP_TRY(
        slot, transport::Link::open(transport::loop_of(*reactor_), directory, *party, clock_.mono(),
                                    {[this](const std::string& bytes) { take(bytes); },
                                     [this] { reactor_->stop(); }}));
    return slot.get();
  }

  void take(const std::string& bytes) {
    reactor_->stop();
    auto envelope = message::unpack_body(bytes);
    if (!envelope || !envelope->is_object() || !envelope->contains("id")) return;
    ++heard_;
    replies_[(*envelope)["id"].get<std::string>()].push_back(std::move(*envelope));
  }

  Result<Body> envelope_of(const std::string& as, const std::string& type, const Body& body,
                           const Body& wish) {
    const UtcNanos now = clock_.utc();
    Body out{{"v", message::kProtocolVersion},
             {"type", type},
             {"id", message::make_uuid7(now)},
             {"run", ""},
             {"step", ""},
             {"attempt", 0},
             {"epoch", epoch_},
             {"from", as},
             {"sent_at", to_rfc3339(now)},
             {"deadline", nullptr}};
    LOCKSTEP_TRY(out["body"], values_.fill(body, now));
    LOCKSTEP_TRY(const Body fields, values_.fill(wish, now));
    for (const auto& [key, value] : fields.items()) out[key] = value;
    return out;
  }

  Result<Verdict> act_on(const Send& send) {
    const std::string as = send.as.empty() ? user_ : send.as;
    LOCKSTEP_TRY(auto* socket, link(as, send.to));
    std::string id;
    ++outcome_.messages;
    const std::uint64_t heard = heard_;
    if (send.bytes) {
      say_(fmt::format("{} -> {}: {} bytes", as, send.to, send.bytes->size()));
      socket->send(*send.bytes);
    } else {
      LOCKSTEP_TRY(const Body envelope, envelope_of(as, send.type, send.body, send.envelope));
      if (envelope["id"].is_string()) id = envelope["id"].get<std::string>();
      say_(fmt::format("{} -> {}: {}", as, send.to, send.type));
      replies_.erase(id);
      socket->send(message::pack_body(envelope));
    }
    if (!send.call.empty()) calls_[send.call] = id;
    if (!send.expect && ++unheard_ >= kMostUnheard) {
      until([&] { return heard_ - heard_before_ >= unheard_; }, kUnheard);
      heard_before_ = heard_;
      unheard_ = 0;
    }
    if (send.expect) return reply_fits(id, *send.expect, send.within, send.keep);
    if (send.silent && until([&] { return heard_ != heard; }, *send.silent)) {
      return Verdict{"a reply came, and none was expected"};
    }
    return Verdict{};
  }

  Result<Verdict> act_on(const Reply& reply) {
    const auto found = calls_.find(reply.to);
    if (found == calls_.end()) {
      return make_error(ErrorCode::config_bad_value, "no message was sent before as this `call`",
                        reply.to);
    }
    return reply_fits(found->second, reply.expect, reply.within, reply.keep);
  }

  // The first reply that fits, among those that come until the final one.
  Result<Verdict> reply_fits(const std::string& id, const Body& pattern, Nanos within,
                             const std::map<std::string, std::string>& keep) {
    LOCKSTEP_TRY(const Body expected, values_.fill(pattern, clock_.utc()));
    std::optional<Body> fitting;
    Verdict last;
    bool final_came = false;
    const bool came = until(
        [&] {
          auto& replies = replies_[id];
          while (!replies.empty() && !fitting) {
            Body reply = std::move(replies.front());
            replies.pop_front();
            const std::string type = reply.value("type", "");
            last = mismatch(expected, reply);
            if (!last) fitting = std::move(reply);
            if (type == "failed" || type.ends_with(".done")) final_came = true;
          }
          return fitting || final_came;
        },
        within);
    if (!fitting) {
      if (!came && !last) return Verdict{"no reply came within " + to_duration(within)};
      return Verdict{"no reply fits; of the last one " + *last};
    }
    for (const auto& [name, pointer] : keep) {
      const Body::json_pointer at{pointer};
      if (!fitting->contains(at)) return Verdict{"the reply has no " + pointer};
      values_.set(name, fitting->at(at));
    }
    return Verdict{};
  }

  Result<Verdict> act_on(const Event& event) {
    LOCKSTEP_TRY(const Body expected, values_.fill(event.pattern, clock_.utc()));
    auto& events = told_[event.from].events;
    const auto fits = [&](const Body& one) { return !mismatch(expected, one); };
    const bool came = until(
        [&] {
          const auto found = std::find_if(events.begin(), events.end(), fits);
          if (found == events.end()) return false;
          if (!event.absent) events.erase(found);
          return true;
        },
        event.within);
    if (came != event.absent) return Verdict{};
    if (event.absent) return Verdict{"such an event came: " + expected.dump()};
    return Verdict{fmt::format("no such event came within {}: {}; {} others did",
                               to_duration(event.within), expected.dump(), events.size())};
  }

  Result<Verdict> act_on(const Wait& wait) {
    until([] { return false; }, wait.span);
    return Verdict{};
  }

  Proxy* proxy(const std::string& from, const std::string& to) {
    for (const auto& one : proxies_) {
      if (one->way().from == from && one->way().to == to) return one.get();
    }
    return nullptr;
  }
  static Error no_way(const std::string& from, const std::string& to) {
    return make_error(ErrorCode::config_missing_key,
                      "this site has no way between these two for the command to stand in",
                      from + " to " + to, "add it to `injection.through` in lockstep.yaml");
  }

  Result<Verdict> act_on(const Between& between) {
    auto* found = proxy(between.from, between.to);
    if (found == nullptr) return no_way(between.from, between.to);
    say_(
        fmt::format("between {} and {}: {} rules", between.from, between.to, between.rules.size()));
    found->set(between.rules);
    return Verdict{};
  }

  Result<Verdict> act_on(const Came& came) {
    auto* found = proxy(came.from, came.to);
    if (found == nullptr) return no_way(came.from, came.to);
    if (until([&] { return found->came(came.type) >= came.at_least; }, came.within)) {
      return Verdict{};
    }
    return Verdict{fmt::format("{} messages {} came between {} and {} within {}",
                               found->came(came.type), came.type, came.from, came.to,
                               to_duration(came.within))};
  }

  Result<Verdict> act_on(const Broken& broken) {
    const std::string as = broken.as.empty() ? user_ : broken.as;
    LOCKSTEP_TRY(auto* socket, link(as, broken.to));
    LOCKSTEP_TRY(const Body good, envelope_of(as, broken.type, broken.body, Body::object()));
    LOCKSTEP_TRY(auto ways, break_in_every_way(good));
    say_(fmt::format("{} -> {}: {}, broken in {} ways", as, broken.to, broken.type, ways.size()));
    std::map<std::string, std::string> waiting;  // id: the field that was spoilt
    Verdict verdict;
    const auto look = [&] {
      for (auto row = waiting.begin(); row != waiting.end();) {
        auto& replies = replies_[row->first];
        if (replies.empty()) {
          ++row;
          continue;
        }
        if (auto wrong = not_refused(replies.front(), row->second); wrong && !verdict) {
          verdict = broken.type + " broken at " + row->second + ": " + *wrong;
        }
        ++outcome_.refused;
        replies_.erase(row->first);
        row = waiting.erase(row);
      }
    };
    for (auto& way : ways) {
      if (way.answerable && way.pointer != "/id") {
        way.envelope["id"] = message::make_uuid7(clock_.utc());
        waiting[way.envelope["id"].get<std::string>()] = way.pointer;
      } else {
        ++outcome_.unanswerable;
      }
      ++outcome_.broken;
      ++outcome_.messages;
      socket->send(message::pack_body(way.envelope));
      const bool room = until(
          [&] {
            look();
            return waiting.size() < kMostUnderWay;
          },
          broken.within);
      if (verdict || !room) break;
    }
    until(
        [&] {
          look();
          return waiting.empty() || verdict;
        },
        broken.within);
    if (!verdict && !waiting.empty()) {
      verdict = fmt::format("{} broken at {}: no answer within {}", broken.type,
                            waiting.begin()->second, to_duration(broken.within));
    }
    return verdict;
  }

  // What is wrong with a refusal: it is to name the field, or one inside it.
  static Verdict not_refused(const Body& reply, const std::string& pointer) {
    static const std::set<std::string> kCodes{"message-schema", "message-version",
                                              "message-malformed"};
    const Body error = reply.value("/body/error"_json_pointer, Body::object());
    const std::string code = error.value("code", "");
    const std::string where = error.contains("where") && error["where"].is_string()
                                  ? error["where"].get<std::string>()
                                  : "";
    if (reply.value("type", "") != "failed" || !kCodes.contains(code)) {
      return Verdict{"not refused as malformed: " + message::showable(reply).dump()};
    }
    if (where == pointer || where.starts_with(pointer + "/")) return {};
    return Verdict{"refused at " + where};
  }

  Result<Verdict> act_on(const Kill& kill) {
    const bool here =
        std::find(site_.here.begin(), site_.here.end(), kill.service) != site_.here.end();
    if (!here) {
      return make_error(ErrorCode::guard, "this service does not run on this host", kill.service,
                        "only what `here` names is killed");
    }
    const auto before = pids_[kill.service];
    say_(fmt::format("kill {}", kill.service));
    if (::kill(static_cast<::pid_t>(before), SIGKILL) != 0) {
      return from_errno(ErrorCode::io, errno, "kill the process of", kill.service);
    }
    const bool back = until(
        [&] {
          const auto ping = ask(kill.service, "ping", Body::object());
          if (ping) pids_[kill.service] = ping->at("pid").get<std::int64_t>();
          return pids_[kill.service] != before;
        },
        kill.within);
    // What was connected to the one that died.
    for (auto row = links_.begin(); row != links_.end();) {
      row = row->first.second == kill.service ? links_.erase(row) : std::next(row);
    }
    if (back) return Verdict{};
    return Verdict{"`" + kill.service + "` did not come back within " + to_duration(kill.within)};
  }

  Result<Verdict> act_on(const Program& program) {
    os::Command command;
    for (const auto& word : program.words) {
      LOCKSTEP_TRY(const Body filled, values_.fill(Body(word), clock_.utc()));
      command.argv.push_back(filled.is_string() ? filled.get<std::string>() : filled.dump());
    }
    say_(fmt::format("{}", fmt::join(command.argv, " ")));
    const auto processes = os::make_system_processes();
    LOCKSTEP_TRY(const auto done, processes->run(command, kLongestProgram, {}));
    if (done.exit_status == 0) return Verdict{};
    return Verdict{fmt::format("`{}` ended with {}: {}", fmt::join(command.argv, " "),
                               done.exit_status, done.output)};
  }

  Result<Verdict> act_on(const Repeat& repeat) {
    for (int i = 0; i < repeat.times && outcome_.good; ++i) LOCKSTEP_CHECK(play(repeat.steps));
    return Verdict{};
  }

  const config::Site& site_;
  config::Site direct_;  // where every service really is
  const Clock& clock_;
  std::string user_;
  Values values_;
  const std::function<void(const std::string&)>& say_;
  std::unique_ptr<transport::Directory> directory_;
  std::unique_ptr<transport::Reactor> reactor_;
  std::unique_ptr<transport::Client> client_;
  std::vector<std::unique_ptr<Proxy>> proxies_;
  std::vector<std::unique_ptr<transport::EventFollower>> followers_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<transport::Link>> links_;
  std::map<std::string, std::int64_t> pids_;
  std::map<std::string, Told> told_;
  std::map<std::string, Replies> replies_;    // by the id that they answer
  std::map<std::string, std::string> calls_;  // name: id
  std::uint64_t heard_ = 0;
  std::uint64_t heard_before_ = 0;  // when `unheard_` was nothing
  std::uint64_t unheard_ = 0;       // sent since, without an expectation
  Body epoch_{{"number", 0}, {"promotion", ""}};
  Outcome outcome_;
};

}  // namespace

Result<Outcome> play(const config::Site& site, const Clock& clock, const std::string& user,
                     const Scenario& scenario, Values values,
                     const std::function<void(const std::string&)>& say) {
  return Player{site, clock, user, std::move(values), say}.play(scenario);
}

}  // namespace lockstep::cli::inject
