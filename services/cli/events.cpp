// lockstep events: what the services of the site tell.
#include "common/transport/events.hpp"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <vector>

#include "common/message/bytes.hpp"
#include "services/cli/output.hpp"
#include "services/cli/registry.hpp"
#include "services/cli/session.hpp"

namespace lockstep::cli {

namespace {

struct Events {
  std::string since;
  std::string source;
  bool follow = false;
};

struct Since {
  std::uint64_t sequence = 0;       // events after this one
  std::optional<UtcNanos> instant;  // and not older than this
};

// "2h", "2026-11-21T02:00:00Z", or, of one source, the number of an event.
Result<Since> parse_since(const Events& wish, const Clock& clock) {
  Since out;
  if (wish.since.empty()) return out;
  const bool digits = wish.since.find_first_not_of("0123456789") == std::string::npos;
  if (digits && wish.since.size() < 19) {
    if (wish.source.empty()) {
      return make_error(ErrorCode::usage, "a number of an event belongs to one service", wish.since,
                        "name it with --source, or give a span (2h) or an instant");
    }
    out.sequence = std::stoull(wish.since);
    return out;
  }
  if (const auto span = parse_duration(wish.since)) {
    out.instant = clock.utc() - *span;
    return out;
  }
  if (const auto instant = parse_rfc3339(wish.since)) {
    out.instant = *instant;
    return out;
  }
  return make_error(ErrorCode::usage, "--since wants a span, an instant or a number", wish.since,
                    "such as 2h, 2026-11-21T02:00:00Z, 120");
}

std::string line_of(const Body& event) {
  return fmt::format("{}  {:<18} {:<16} {}  {}", field(event, "time"), field(event, "source"),
                     field(event, "type"), field(event, "subject"),
                     message::showable(event.at("data")).dump());
}

void print_event(const Body& event, bool json) {
  if (json) {
    print_json(event);
  } else {
    print(line_of(event));
  }
}

std::vector<std::string> sources_of(const Session& session, const Events& wish) {
  if (!wish.source.empty()) return {wish.source};
  std::vector<std::string> out;
  for (const auto& [name, party] : session.directory().parties) {
    if (!party.events.empty()) out.push_back(name);
  }
  return out;
}

// All kept events of one source after `since`.
Result<void> read_backlog(const Session& session, const std::string& source, const Since& since,
                          const std::function<void(Body)>& on_event) {
  std::uint64_t after = since.sequence;
  for (;;) {
    LOCKSTEP_TRY(Body page,
                 session.call(source, "events.since", {{"sequence", after}, {"limit", 500}}));
    if (page.at("gap").get<bool>() && since.sequence > 0) {
      print_notice(source + ": events before " + page.at("first").dump() +
                   " are not kept any more");
    }
    auto& events = page.at("events");
    if (events.empty()) return {};
    after = events.back().at("sequence").get<std::uint64_t>();
    for (auto& event : events) {
      const auto time = parse_rfc3339(event.at("time").get<std::string>());
      if (since.instant && time && *time < *since.instant) continue;
      on_event(std::move(event));
    }
    if (after >= page.at("last").get<std::uint64_t>()) return {};
  }
}

// By time over all sources; within one in its own order, whatever its clock did meanwhile.
std::vector<Body> merge(std::vector<std::vector<Body>> sources) {
  std::vector<Body> out;
  std::vector<std::size_t> heads(sources.size(), 0);
  const auto time_of = [&](std::size_t i) {
    return parse_rfc3339(field(sources[i][heads[i]], "time")).value_or(UtcNanos{});
  };
  for (;;) {
    std::optional<std::size_t> earliest;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (heads[i] == sources[i].size()) continue;
      if (!earliest || time_of(i) < time_of(*earliest)) earliest = i;
    }
    if (!earliest) return out;
    out.push_back(std::move(sources[*earliest][heads[*earliest]++]));
  }
}

Result<int> list_events(const Session& session, const Options& options, const Events& wish,
                        const Since& since) {
  std::vector<std::vector<Body>> all;
  std::optional<Error> unreachable;
  for (const auto& source : sources_of(session, wish)) {
    auto& events = all.emplace_back();
    auto done = read_backlog(session, source, since,
                             [&events](Body event) { events.push_back(std::move(event)); });
    if (done) continue;
    // The others' events are still worth reading; the exit status tells.
    print_error(done.error(), false);
    unreachable = done.error();
  }
  for (const auto& event : merge(std::move(all))) print_event(event, options.json);
  return unreachable ? error_info(unreachable->code).exit_status : 0;
}

Result<int> follow_events(const Session& session, const Options& options, const Events& wish,
                          const Since& since) {
  const auto reactor = transport::make_reactor(session.clock(), true);
  const bool from_now = wish.since.empty();
  const UtcNanos now = session.clock().utc();
  std::vector<std::unique_ptr<transport::EventFollower>> followers;
  for (const auto& source : sources_of(session, wish)) {
    followers.push_back(transport::make_event_follower(
        *reactor, session.directory(), session.clock(), source, since.sequence,
        [&, from_now, now](const journal::Event& event) {
          if (since.instant && event.time < *since.instant) return;
          if (from_now && event.time < now) return;
          print_event(transport::event_body(event), options.json);
          if (std::ferror(stdout) != 0) reactor->stop();  // who read them has gone
        }));
  }
  reactor->run();
  return 0;
}

Result<int> events(const Options& options, const Events& wish) {
  LOCKSTEP_TRY(const Session session, Session::open(options));
  LOCKSTEP_TRY(const Since since, parse_since(wish, session.clock()));
  if (!wish.source.empty()) {
    const auto* party = session.directory().find(wish.source);
    if (party == nullptr || party->events.empty()) {
      return make_error(ErrorCode::not_found, "no service of this site is named", wish.source);
    }
  }
  return wish.follow ? follow_events(session, options, wish, since)
                     : list_events(session, options, wish, since);
}

}  // namespace

void add_events(Registry& registry) {
  auto wish = std::make_shared<Events>();
  CLI::App* command = registry.command("events", "What the services tell, in order of each",
                                       "lockstep events --follow --json");
  command
      ->add_option("--since", wish->since,
                   "A span (2h), an instant, or, with --source, the number of an event")
      ->type_name("WHEN");
  command->add_option("--source", wish->source, "Only of this service")->type_name("SERVICE");
  command->add_flag("--follow", wish->follow, "Go on until interrupted");
  registry.takes_json(command);
  registry.on(command, [&registry, wish] { return events(registry.options(), *wish); });
}

}  // namespace lockstep::cli
