// Control messages: the envelope with its body, bodies alone, and frames of the stream.
#include "common/message/bytes.hpp"
#include "common/policy/policy.hpp"
#include "common/stream/control.hpp"
#include "common/transport/events.hpp"
#include "common/transport/wire.hpp"
#include "services/scheduler/facts_body.hpp"
#include "tests/fuzz/target.hpp"

namespace lockstep::fuzz {

using message::Body;

namespace {

// JSON pointer of the wrong field.
void must_name_field(const Error& error) {
  must_tell(error);
  if (error.code == ErrorCode::message_schema) {
    must(error.where.starts_with("/"), "a schema's error names the field: " + error.text());
  }
}

// A body that fits its schema can be read by those who read such bodies.
void read_typed(std::string_view name, const Body& body) {
  if (name == "policy") {
    const auto read = policy::from_body(body);
    if (!read) return must_tell(read.error());
    const Body again = policy::to_body(*read);
    must(message::check_schema("policy", again).has_value(), "a policy is told as it may be read");
    const auto second = policy::from_body(again);
    must(second && policy::to_body(*second) == again, "a policy survives being told");
    for (const auto& finding : policy::check(*read)) {
      must(!finding.what.empty(), "a finding says what");
    }
  } else if (name == "failed") {
    const Error error = message::error_from_body(body.at("error"));
    must(message::check_schema("failed", {{"error", message::error_body(error)}}).has_value(),
         "an error that was read can be told");
  } else if (name == "event") {
    const auto event = transport::event_from_body(body);
    if (!event) return must_name_field(event.error());
    const auto again = transport::event_from_body(transport::event_body(*event));
    must(again && again->data == event->data && again->sequence == event->sequence,
         "an event survives being told");
  }
  using Act = run::Act;
  for (const auto& [answer, act] : std::initializer_list<std::pair<std::string_view, Act>>{
           {"instruction.snapshot.done", Act::arm},
           {"snapshot.raise.done", Act::raise},
           {"snapshot.pin.done", Act::pin},
           {"snapshot.lower.done", Act::lower},
           {"snapshot.commit.done", Act::commit},
           {"instruction.push.done", Act::transfer},
           {"instruction.pull.done", Act::transfer},
           {"point.seal.done", Act::seal}}) {
    if (name != answer) continue;
    const auto facts = scheduler::facts_from_body(act, body);
    if (!facts) return must_tell(facts.error());
    const Body journaled = scheduler::facts_to_body(*facts);
    const auto again = scheduler::facts_from_body(act, journaled);
    must(again && scheduler::facts_to_body(*again) == journaled, "an answer survives the journal");
  }
}

void must_show(const Body& body) {
  const Body shown = message::showable(body);
  must(!shown.dump().empty(), "what is shown is JSON");
}

}  // namespace

void envelope(std::string_view input) {
  if (const auto seen = transport::glimpse(input)) {
    must(!seen->id.empty(), "who is told of a refusal has an id");
  }
  const auto read = message::decode(input);
  if (!read) return must_name_field(read.error());
  const auto bytes = message::encode(*read);
  must(bytes.has_value(), "what was read can be sent");
  const auto again = message::decode(*bytes);
  must(again.has_value(), "what is sent can be read");
  must(again->body == read->body && again->id == read->id && again->type == read->type &&
           again->epoch == read->epoch && again->sent_at == read->sent_at &&
           again->deadline == read->deadline && again->from == read->from,
       "a message survives being sent");
  must_show(read->body);
  read_typed(read->type, read->body);
}

void body(std::string_view input) {
  const auto end = input.find('\n');
  if (end == std::string_view::npos) return;
  const std::string_view name = input.substr(0, end);
  const auto read = message::unpack_body(input.substr(end + 1));
  if (!read) return must_tell(read.error());
  const std::string bytes = message::pack_body(*read);
  const auto again = message::unpack_body(bytes);
  must(again && *again == *read, "a body survives being packed");
  must_show(*read);
  const std::string shown = message::show(input);
  must(message::unshow(shown) == input, "bytes survive being shown");
  must(message::is_utf8(shown), "bytes are shown as text");
  const auto fits = message::check_schema(name, *read);
  if (!fits) return must_name_field(fits.error());
  read_typed(name, *read);
}

void control(std::string_view input) {
  const auto read = stream::Control::decode(input);
  if (!read) return;
  const stream::Blob sent = read->encode();
  const auto again = stream::Control::decode(sent.text());
  must(again && again->type() == read->type(), "a control frame survives being sent");
  must(again->encode().text() == sent.text(), "a control frame is always written the same");
  stream::error_of(*read);
  if (const auto opening = stream::opening_of(*read)) {
    const auto told = stream::opening_of(stream::opening_control(*opening));
    must(told && told->transfer == opening->transfer && told->set == opening->set &&
             told->attempt == opening->attempt && told->body == opening->body,
         "an opening survives being sent");
  }
}

}  // namespace lockstep::fuzz
