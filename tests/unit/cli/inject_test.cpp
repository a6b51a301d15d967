#include <catch2/catch.hpp>
#include <set>

#include "services/cli/inject/broken.hpp"
#include "services/cli/inject/pattern.hpp"
#include "services/cli/inject/rules.hpp"
#include "services/cli/inject/scenario.hpp"

namespace lockstep::cli::inject {
namespace {

const UtcNanos kNow{1'763'690'400'000'000'000};  // 2025-11-21T02:00:00Z

TEST_CASE("a pattern fits what has at least its keys, and says where it does not") {
  const Body value = Body::parse(R"({"type": "failed", "body": {"error": {"code": "guard", "n": 7}},
                                     "list": [1, "two"]})");
  CHECK_FALSE(mismatch(Body::object(), value));
  CHECK_FALSE(mismatch(Body::parse(R"({"body": {"error": {"code": "/gu.*/", "n": "*"}}})"), value));
  CHECK_FALSE(mismatch(Body::parse(R"({"list": [1, "*"]})"), value));
  CHECK(mismatch(Body::parse(R"({"list": [1]})"), value) ==
        "/list: expected a list of 1, found [1,\"two\"]");
  CHECK(mismatch(Body::parse(R"({"body": {"error": {"n": 8}}})"), value) ==
        "/body/error/n: expected 8, found 7");
  CHECK(mismatch(Body::parse(R"({"body": {"x": "*"}})"), value) == "/body/x: not there");
  CHECK(mismatch(Body::parse(R"({"type": "/done/"})"), value) ==
        "/type: expected /done/, found \"failed\"");
  CHECK(mismatch(Body::parse(R"({"type": {"a": 1}})"), value));
  CHECK(mismatch(Body::parse(R"({"type": "/(/"})"), value));
}

TEST_CASE("values keep their type, and one that is not known is told") {
  Values values;
  values.set("number", 7);
  values.set("text", "seven");
  CHECK(values.fill(Body("${number}"), kNow).value() == Body(7));
  CHECK(values.fill(Body("${number} is ${text}"), kNow).value() == Body("7 is seven"));
  CHECK(values.fill(Body("${now}"), kNow).value() == Body("2025-11-21T02:00:00Z"));
  CHECK(values.fill(Body("${now+90s}"), kNow).value() == Body("2025-11-21T02:01:30Z"));
  CHECK(values.fill(Body("${now-1h}"), kNow).value() == Body("2025-11-21T01:00:00Z"));
  CHECK(values.fill(Body("$ {x} ${"), kNow).value() == Body("$ {x} ${"));
  const Body one = values.fill(Body::parse(R"({"a": ["${uuid:x}"], "b": 2})"), kNow).value();
  CHECK(one["a"][0] == values.fill(Body("${uuid:x}"), kNow).value());
  CHECK(one["a"][0] != values.fill(Body("${uuid:y}"), kNow).value());
  const auto unknown = values.fill(Body("${nobody}"), kNow);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().where == "${nobody}");
  CHECK_FALSE(values.fill(Body("${now+soon}"), kNow));
}

TEST_CASE("a rule has its turn for some messages of its type after some others") {
  Rules rules{
      {{"snapshot.pin", Fate::drop, 1, 2, {}}, {"snapshot.*", Fate::delay, 0, 1, seconds(3)}}};
  CHECK(rules.decide("ping").fate == Fate::pass);
  // The first is not the first rule's turn yet, and the second rule's.
  CHECK(rules.decide("snapshot.pin").fate == Fate::delay);
  CHECK(rules.decide("snapshot.pin").fate == Fate::drop);
  CHECK(rules.decide("snapshot.raise").fate == Fate::pass);
  CHECK(rules.decide("snapshot.pin").fate == Fate::drop);
  CHECK(rules.decide("snapshot.pin").fate == Fate::pass);
  CHECK(Rules{}.decide("ping").fate == Fate::pass);
}

TEST_CASE("a scenario is read with its messages as they are written") {
  const auto read = parse_scenario(R"(title: A story
steps:
  - send:
      to: policy
      type: policy.apply
      body: {a: 1, b: "1", c: [true, null, ~], d: -2.5, e: {$hex: "00ff"}, f: word}
      within: 3s
      keep: {run: /body/run}
  - send: {to: policy, bytes: "c1", silent: 1s}
  - repeat: {times: 3, steps: [{wait: 10ms}, {program: [mv, a, b]}]}
  - between: {from: scheduler, to: policy, rules: [{type: x, do: reorder, by: 1s}]}
  - kill: policy
)",
                                   "story.yaml");
  REQUIRE(read);
  CHECK(read->title == "A story");
  REQUIRE(read->steps.size() == 5);
  const auto& send = std::get<Send>(read->steps[0].act);
  CHECK(send.body == Body({{"a", 1},
                           {"b", "1"},
                           {"c", {true, nullptr, nullptr}},
                           {"d", -2.5},
                           {"e", Body::binary({0x00, 0xff})},
                           {"f", "word"}}));
  CHECK(send.within == seconds(3));
  CHECK(send.keep.at("run") == "/body/run");
  CHECK(std::get<Send>(read->steps[1].act).bytes == "\xc1");
  CHECK(std::get<Repeat>(read->steps[2].act).steps.size() == 2);
  CHECK(std::get<Between>(read->steps[3].act).rules.at(0).fate == Fate::reorder);
  CHECK(std::get<Kill>(read->steps[4].act).service == "policy");
  CHECK(read->steps[4].where == "story.yaml:12");
}

TEST_CASE("a scenario's mistakes are told with their place") {
  const auto told = [](const std::string& text) {
    const auto read = parse_scenario(text, "s.yaml");
    return read ? std::string("read")
                : read.error().text() + " " + std::string(read.error().advice());
  };
  CHECK(told("title: x\nsteps:\n  - sent: {to: a}\n").find("s.yaml:3:5") != std::string::npos);
  CHECK(told("title: x\nsteps:\n  - send: {to: a, typ: b}\n").find("`type`") != std::string::npos);
  CHECK(told("title: x\nsteps:\n  - {wait: 1s, kill: a}\n").find("one thing") != std::string::npos);
  CHECK(told("title: x\nsteps:\n  - send: {to: a, bytes: \"c\"}\n").find("hexadecimal") !=
        std::string::npos);
  CHECK(told("title: x\nsteps:\n  - wait: 1\n").find("s.yaml:3:11") != std::string::npos);
  CHECK(told("steps: []\n").find("title") != std::string::npos);
  // What aliases make of a small document ends in an error, too.
  std::string bomb =
      "title: x\nsteps:\n  - send:\n      to: a\n      type: b\n      body:\n        a0: &a0 [1, "
      "1]\n";
  for (int i = 1; i < 30; ++i) {
    bomb += "        a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
            std::to_string(i - 1) + ", *a" + std::to_string(i - 1) + "]\n";
  }
  CHECK(told(bomb).find("too much") != std::string::npos);
}

Body good_message() {
  return Body::parse(R"({
    "v": 1, "type": "run.start", "id": "0193a5f0-1234-7abc-8def-000000000009", "run": "",
    "step": "", "attempt": 0, "epoch": {"number": 1, "promotion": ""}, "from": "user",
    "sent_at": "2026-11-21T02:00:00Z", "deadline": null,
    "body": {"service": "orders", "wait": false, "dry_run": true}})");
}

TEST_CASE("a message is broken at every field, and each way is one that its schema refuses") {
  const auto ways = break_in_every_way(good_message());
  REQUIRE(ways);
  std::set<std::string> fields;
  std::set<std::string> seen;
  for (const auto& way : *ways) {
    fields.insert(way.pointer);
    CHECK(seen.insert(way.envelope.dump(-1, ' ', false, Body::error_handler_t::replace)).second);
    const auto bytes = message::pack_body(way.envelope);
    const auto read = message::decode(bytes);
    REQUIRE_FALSE(read);
    INFO(way.pointer << " " << read.error().text());
    CHECK((read.error().where == way.pointer || read.error().where.starts_with(way.pointer + "/")));
    CHECK(way.answerable == (way.pointer != "/id"));
  }
  for (const char* field : {"/v", "/type", "/id", "/run", "/step", "/attempt", "/epoch",
                            "/epoch/number", "/epoch/promotion", "/from", "/sent_at", "/deadline",
                            "/body", "/body/service", "/body/wait", "/body/dry_run",
                            "/a-key-too-many", "/body/a-key-too-many", "/epoch/a-key-too-many"}) {
    CHECK(fields.contains(field));
  }
  CHECK(ways->size() > 120);
}

TEST_CASE("a message that is broken already is not broken further") {
  Body bad = good_message();
  bad["body"]["service"] = "No Name";
  CHECK_FALSE(break_in_every_way(bad));
}

}  // namespace
}  // namespace lockstep::cli::inject
