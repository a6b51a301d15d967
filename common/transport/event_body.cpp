#include "common/message/envelope.hpp"
#include "common/transport/events.hpp"

namespace lockstep::transport {

using message::Body;

Body event_body(const journal::Event& event) {
  return {{"specversion", "1.0"},
          {"id", event.incarnation + "/" + std::to_string(event.sequence)},
          {"source", event.source},
          {"type", event.type},
          {"subject", event.subject},
          {"time", to_rfc3339(event.time)},
          {"datacontenttype", "application/msgpack"},
          {"sequence", event.sequence},
          {"incarnation", event.incarnation},
          {"data", event.data}};
}

Result<journal::Event> event_from_body(const Body& body) {
  LOCKSTEP_CHECK(message::check_schema("event", body));
  journal::Event out;
  out.source = body["source"].get<std::string>();
  out.incarnation = body["incarnation"].get<std::string>();
  out.sequence = body["sequence"].get<std::uint64_t>();
  out.type = body["type"].get<std::string>();
  out.subject = body["subject"].get<std::string>();
  LOCKSTEP_TRY(out.time, parse_rfc3339(body["time"].get_ref<const std::string&>()));
  out.data = body["data"];
  // A newer service may tell of what this program does not know; whoever follows ignores it.
  const std::string schema = "events/" + out.type;
  if (message::schema_exists(schema)) LOCKSTEP_CHECK(message::check_schema(schema, out.data));
  return out;
}

ReplayFrom replay_from(const KeptEvents& kept, const Body& question) {
  const auto asked = question["sequence"].get<std::uint64_t>();
  const bool other =
      question.contains("incarnation") && question["incarnation"] != kept.incarnation;
  const bool lost = kept.first > 0 ? asked + 1 < kept.first : asked < kept.last;
  const bool gap = other || asked > kept.last || lost;
  return {gap, !gap ? asked : (kept.first > 0 ? kept.first - 1 : kept.last)};
}

}  // namespace lockstep::transport
