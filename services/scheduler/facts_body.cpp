#include "services/scheduler/facts_body.hpp"

#include "common/message/bytes.hpp"

namespace lockstep::scheduler {
namespace {

using message::Body;
using message::bytes_of;
using message::text_or_bytes;

run::Instant instant(const Body& text) {
  const auto parsed = parse_rfc3339(text.get<std::string>());
  if (!parsed) throw std::invalid_argument("not an instant: " + text.get<std::string>());
  return parsed.value().count;
}

run::Interval interval(const Body& body) {
  return {instant(body.at("requested")), instant(body.at("acknowledged"))};
}

Body clock_body(const run::HostClock& clock) {
  Body body{{"boot_id", clock.boot_id},
            {"synchronised", clock.synchronised},
            {"error_ns", clock.error},
            {"offset_ns", clock.offset}};
  if (!clock.source.empty()) body["source"] = clock.source;
  if (clock.apart) body["apart_ns"] = {clock.apart->least, clock.apart->most};
  return body;
}

run::Version version_from(const Body& body) {
  return {body.at("component").get<std::string>(), body.at("name").get<std::string>(),
          bytes_of(body.at("native"))};
}

std::vector<std::string> texts(const Body& list) {
  std::vector<std::string> all;
  for (const Body& one : list) all.push_back(bytes_of(one));
  return all;
}

Body texts_body(const std::vector<std::string>& texts) {
  Body list = Body::array();
  for (const std::string& text : texts) list.push_back(text_or_bytes(text));
  return list;
}

run::Facts armed(const Body& body) {
  run::Armed facts;
  facts.clock = clock_from_body(body.at("clock"));
  for (const Body& set : body.at("sets")) {
    const Body& estimate = set.at("estimate");
    facts.sets.push_back(
        {set.at("name").get<std::string>(), estimate.at("pin_ns").get<run::Span>(),
         estimate.at("needs_fence").get<bool>(), estimate.at("own_fence").get<bool>(),
         estimate.at("one_instant").get<bool>(), estimate.at("method").get<std::string>()});
  }
  return facts;
}

run::Facts raised(const Body& body) {
  run::Raised facts;
  facts.clock = clock_from_body(body.at("clock"));
  for (const Body& set : body.at("sets"))
    facts.sets.push_back({set.at("name").get<std::string>(), set.at("kind").get<std::string>(),
                          interval(set.at("raised"))});
  return facts;
}

run::Facts pinned(const Body& body) {
  run::Pinned facts;
  facts.clock = clock_from_body(body.at("clock"));
  for (const Body& set : body.at("sets")) {
    facts.sets.push_back({set.at("name").get<std::string>(), interval(set.at("pinned")),
                          set.at("one_instant").get<bool>(), set.value("quiet", false),
                          set.at("durable").get<bool>(), set.at("method").get<std::string>(),
                          texts(set.at("caveats")), version_from(set.at("version"))});
  }
  return facts;
}

run::Facts lowered(const Body& body) {
  run::Lowered facts;
  facts.clock = clock_from_body(body.at("clock"));
  for (const Body& set : body.at("sets"))
    facts.sets.push_back({set.at("name").get<std::string>(), interval(set.at("lowered")),
                          set.at("held").get<bool>(), bytes_of(set.at("detail"))});
  return facts;
}

run::Facts committed(const Body& body) {
  run::Committed facts;
  facts.committed = body.at("state").get<std::string>() == "committed";
  for (const Body& set : body.at("sets")) {
    facts.sets.push_back({set.at("name").get<std::string>(), version_from(set.at("version"))});
    const auto users = set.find("users");
    if (users == set.end()) continue;
    facts.sets.back().users = run::UserCapture{
        users->at("store").get<std::string>(), users->at("digest").get<std::string>(),
        users->at("records").get<std::map<std::string, std::uint64_t>>(),
        interval(users->at("captured"))};
  }
  return facts;
}

run::Facts transferred(const Body& body) {
  run::Transferred facts;
  for (const Body& set : body.at("sets")) {
    run::Transferred::Set one;
    one.name = set.at("name").get<std::string>();
    one.root = set.at("root").get<std::string>();
    one.entries = set.at("entries").get<std::uint64_t>();
    one.bytes = set.at("bytes").get<std::uint64_t>();
    one.bytes_sent = set.at("bytes_sent").get<std::uint64_t>();
    one.bytes_resent = set.at("bytes_resent").get<std::uint64_t>();
    if (set.contains("base")) one.base = set.at("base").get<std::string>();
    one.caveats = texts(set.at("caveats"));
    facts.sets.push_back(std::move(one));
  }
  return facts;
}

run::Facts sealed(const Body& body) {
  run::Sealed facts;
  facts.sealed = body.at("state").get<std::string>() == "sealed";
  if (!facts.sealed) {
    if (body.contains("why")) facts.why = bytes_of(body.at("why"));
    return facts;
  }
  facts.digest = body.at("digest").get<std::string>();
  facts.sealed_at = instant(body.at("sealed_at"));
  return facts;
}

struct ToBody {
  Body operator()(const run::Nothing&) const { return Body::object(); }
  Body operator()(const run::Armed& facts) const {
    Body sets = Body::array();
    for (const auto& set : facts.sets) {
      sets.push_back({{"name", set.name},
                      {"estimate",
                       {{"pin_ns", set.pin},
                        {"needs_fence", set.needs_fence},
                        {"own_fence", set.own_fence},
                        {"one_instant", set.one_instant},
                        {"method", set.method}}}});
    }
    return {{"clock", clock_body(facts.clock)}, {"sets", std::move(sets)}};
  }
  Body operator()(const run::Raised& facts) const {
    Body sets = Body::array();
    for (const auto& set : facts.sets)
      sets.push_back(
          {{"name", set.name}, {"kind", set.kind}, {"raised", interval_body(set.raised)}});
    return {{"clock", clock_body(facts.clock)}, {"sets", std::move(sets)}};
  }
  Body operator()(const run::Pinned& facts) const {
    Body sets = Body::array();
    for (const auto& set : facts.sets) {
      sets.push_back({{"name", set.name},
                      {"pinned", interval_body(set.pinned)},
                      {"one_instant", set.one_instant},
                      {"durable", set.durable},
                      {"method", set.method},
                      {"caveats", texts_body(set.caveats)},
                      {"version", version_body(set.version)}});
      if (!set.one_instant) sets.back()["quiet"] = set.quiet;
    }
    return {{"clock", clock_body(facts.clock)}, {"sets", std::move(sets)}};
  }
  Body operator()(const run::Lowered& facts) const {
    Body sets = Body::array();
    for (const auto& set : facts.sets) {
      sets.push_back({{"name", set.name},
                      {"lowered", interval_body(set.lowered)},
                      {"held", set.held},
                      {"detail", text_or_bytes(set.detail)}});
    }
    return {{"clock", clock_body(facts.clock)}, {"sets", std::move(sets)}};
  }
  Body operator()(const run::Committed& facts) const {
    Body sets = Body::array();
    for (const auto& set : facts.sets) {
      sets.push_back({{"name", set.name}, {"version", version_body(set.version)}});
      if (set.users) sets.back()["users"] = users_body(*set.users);
    }
    return {{"state", facts.committed ? "committed" : "expired"}, {"sets", std::move(sets)}};
  }
  Body operator()(const run::Transferred& facts) const {
    Body sets = Body::array();
    for (const auto& set : facts.sets) {
      Body one = {{"name", set.name},
                  {"root", set.root},
                  {"entries", set.entries},
                  {"bytes", set.bytes},
                  {"bytes_sent", set.bytes_sent},
                  {"bytes_resent", set.bytes_resent},
                  {"caveats", texts_body(set.caveats)}};
      if (set.base) one["base"] = *set.base;
      sets.push_back(std::move(one));
    }
    return {{"sets", std::move(sets)}};
  }
  Body operator()(const run::Sealed& facts) const {
    if (!facts.sealed) return {{"state", "refused"}, {"why", text_or_bytes(facts.why)}};
    return {{"state", "sealed"},
            {"digest", facts.digest},
            {"sealed_at", to_rfc3339({facts.sealed_at})}};
  }
};

}  // namespace

run::HostClock clock_from_body(const Body& body) {
  run::HostClock clock{body.at("boot_id").get<std::string>(),
                       body.at("synchronised").get<bool>(),
                       body.at("error_ns").get<run::Span>(),
                       body.at("offset_ns").get<run::Span>(),
                       body.value("source", ""),
                       std::nullopt};
  if (const auto apart = body.find("apart_ns"); apart != body.end()) {
    clock.apart = {apart->at(0).get<run::Span>(), apart->at(1).get<run::Span>()};
  }
  return clock;
}

Result<run::Facts> facts_from_body(run::Act act, const Body& body) {
  try {
    switch (act) {
      case run::Act::arm:
        return armed(body);
      case run::Act::raise:
        return raised(body);
      case run::Act::pin:
        return pinned(body);
      case run::Act::lower:
        return lowered(body);
      case run::Act::commit:
        return committed(body);
      case run::Act::transfer:
        return transferred(body);
      case run::Act::seal:
        return sealed(body);
      default:
        return run::Facts{run::Nothing{}};
    }
  } catch (const std::exception& error) {
    return make_error(ErrorCode::message_schema, std::string("the answer lacks: ") + error.what(),
                      run::act_name(act));
  }
}

Body facts_to_body(const run::Facts& facts) { return std::visit(ToBody{}, facts); }

run::Failure failure_from_error(const Error& error, bool reached) {
  return {error_info(error.code).name, error.what, error.where, error.hint, reached};
}

Error error_from_failure(const run::Failure& failure) {
  const ErrorInfo* info = find_error(failure.code);
  return {info == nullptr ? ErrorCode::internal : info->code, failure.what, failure.where,
          failure.hint};
}

Body interval_body(const run::Interval& interval) {
  return {{"requested", to_rfc3339({interval.requested})},
          {"acknowledged", to_rfc3339({interval.acknowledged})}};
}

Body version_body(const run::Version& version) {
  return {{"component", version.component},
          {"name", version.name},
          {"native", text_or_bytes(version.native)}};
}

Body users_body(const run::UserCapture& users) {
  return {{"store", users.store},
          {"digest", users.digest},
          {"records", users.records},
          {"captured", interval_body(users.captured)}};
}

}  // namespace lockstep::scheduler
