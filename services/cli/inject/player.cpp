#include "services/cli/inject/player.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <set>

#include "common/message/bytes.hpp"
#include "common/message/uuid.hpp"
#include "common/os/processes.hpp"
#include "services/cli/inject/broken.hpp"
#include "services/cli/inject/stage.hpp"

namespace lockstep::cli::inject {

namespace {

constexpr std::size_t kMostUnderWay = 64;
// Of messages whose replies nobody waits for: beyond libzmq's queues they would be lost here.
constexpr std::size_t kMostUnheard = 500;
constexpr Nanos kUnheard = milliseconds(200);
constexpr Nanos kLongestProgram = seconds(120);

// Why a step did not go as told; nothing: it did.
using Verdict = std::optional<std::string>;

class Player {
 public:
  Player(const config::Site& site, const Clock& clock, std::string user, Values values,
         const std::function<void(const std::string&)>& say)
      : site_(site),
        clock_(clock),
        user_(std::move(user)),
        values_(std::move(values)),
        say_(say),
        stage_(site, clock, user_) {}

  Result<Outcome> play(const Scenario& scenario) {
    std::set<std::string> reached;
    gather(scenario.steps, reached);
    auto played = stage_.open(reached, scenario.title);
    if (played) {
      values_.set("epoch.number", stage_.epoch().at("number"));
      values_.set("epoch.promotion", stage_.epoch().at("promotion"));
      played = play(scenario.steps);
    }
    if (played && outcome_.good) {
      if (auto why = stage_.missing()) {
        outcome_.good = false;
        outcome_.why = *why;
      }
    }
    // Whatever became of it, the marks are closed.
    const auto closed = stage_.close(scenario.title);
    LOCKSTEP_CHECK(played);
    if (outcome_.good) LOCKSTEP_CHECK(closed);
    return outcome_;
  }

 private:
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

  Result<Body> envelope_of(const std::string& as, const std::string& type, const Body& body,
                           const Body& wish) {
    const UtcNanos now = clock_.utc();
    Body out{{"v", message::kProtocolVersion},
             {"type", type},
             {"id", message::make_uuid7(now)},
             {"run", ""},
             {"step", ""},
             {"attempt", 0},
             {"epoch", stage_.epoch()},
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
    LOCKSTEP_TRY(auto* socket, stage_.link(as, send.to));
    std::string id;
    ++outcome_.messages;
    const std::uint64_t heard = stage_.heard();
    if (send.bytes) {
      say_(fmt::format("{} -> {}: {} bytes", as, send.to, send.bytes->size()));
      socket->send(*send.bytes);
    } else {
      LOCKSTEP_TRY(const Body envelope, envelope_of(as, send.type, send.body, send.envelope));
      if (envelope["id"].is_string()) id = envelope["id"].get<std::string>();
      say_(fmt::format("{} -> {}: {}", as, send.to, send.type));
      stage_.forget(id);
      socket->send(message::pack_body(envelope));
    }
    if (!send.call.empty()) calls_[send.call] = id;
    if (!send.expect && ++unheard_ >= kMostUnheard) {
      stage_.until([&] { return stage_.heard() - heard_before_ >= unheard_; }, kUnheard);
      heard_before_ = stage_.heard();
      unheard_ = 0;
    }
    if (send.expect) return reply_fits(id, *send.expect, send.within, send.keep);
    if (send.silent && stage_.until([&] { return stage_.heard() != heard; }, *send.silent)) {
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
    const bool came = stage_.until(
        [&] {
          auto& replies = stage_.replies(id);
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
    auto& events = stage_.events(event.from);
    const auto fits = [&](const Body& one) { return !mismatch(expected, one); };
    const bool came = stage_.until(
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
    stage_.until([] { return false; }, wait.span);
    return Verdict{};
  }

  Result<Verdict> act_on(const Between& between) {
    LOCKSTEP_TRY(auto* found, stage_.between(between.from, between.to));
    say_(
        fmt::format("between {} and {}: {} rules", between.from, between.to, between.rules.size()));
    found->set(between.rules);
    return Verdict{};
  }

  Result<Verdict> act_on(const Came& came) {
    LOCKSTEP_TRY(auto* found, stage_.between(came.from, came.to));
    if (stage_.until([&] { return found->came(came.type) >= came.at_least; }, came.within)) {
      return Verdict{};
    }
    return Verdict{fmt::format("{} messages {} came between {} and {} within {}",
                               found->came(came.type), came.type, came.from, came.to,
                               to_duration(came.within))};
  }

  Result<Verdict> act_on(const Broken& broken) {
    const std::string as = broken.as.empty() ? user_ : broken.as;
    LOCKSTEP_TRY(auto* socket, stage_.link(as, broken.to));
    LOCKSTEP_TRY(const Body good, envelope_of(as, broken.type, broken.body, Body::object()));
    LOCKSTEP_TRY(auto ways, break_in_every_way(good));
    say_(fmt::format("{} -> {}: {}, broken in {} ways", as, broken.to, broken.type, ways.size()));
    std::map<std::string, std::string> waiting;  // id: the field that was spoilt
    Verdict verdict;
    const auto look = [&] {
      for (auto row = waiting.begin(); row != waiting.end();) {
        auto& replies = stage_.replies(row->first);
        if (replies.empty()) {
          ++row;
          continue;
        }
        if (auto wrong = not_refused(replies.front(), row->second); wrong && !verdict) {
          verdict = broken.type + " broken at " + row->second + ": " + *wrong;
        }
        ++outcome_.refused;
        stage_.forget(row->first);
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
      const bool room = stage_.until(
          [&] {
            look();
            return waiting.size() < kMostUnderWay;
          },
          broken.within);
      if (verdict || !room) break;
    }
    stage_.until(
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
    say_(fmt::format("kill {}", kill.service));
    if (::kill(static_cast<::pid_t>(stage_.pid(kill.service)), SIGKILL) != 0) {
      return from_errno(ErrorCode::io, errno, "kill the process of", kill.service);
    }
    if (stage_.came_back(kill.service, kill.within)) return Verdict{};
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
  const Clock& clock_;
  std::string user_;
  Values values_;
  const std::function<void(const std::string&)>& say_;
  Stage stage_;
  std::map<std::string, std::string> calls_;  // name: id
  std::uint64_t heard_before_ = 0;            // when `unheard_` was nothing
  std::uint64_t unheard_ = 0;                 // sent since, without an expectation
  Outcome outcome_;
};

}  // namespace

Result<Outcome> play(const config::Site& site, const Clock& clock, const std::string& user,
                     const Scenario& scenario, Values values,
                     const std::function<void(const std::string&)>& say) {
  return Player{site, clock, user, std::move(values), say}.play(scenario);
}

}  // namespace lockstep::cli::inject
