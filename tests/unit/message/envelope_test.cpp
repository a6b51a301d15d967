#include "common/message/envelope.hpp"

#include <catch2/catch.hpp>

#include "common/message/uuid.hpp"

using namespace lockstep;
using namespace lockstep::message;

namespace {
Envelope ping() {
  Envelope out;
  out.type = "ping";
  out.id = make_uuid7(UtcNanos{1'795'226'400'000'000'000});
  out.from = "user";
  out.sent_at = UtcNanos{1'795'226'400'000'000'001};
  out.deadline = UtcNanos{1'795'226'460'000'000'000};
  return out;
}
// The map that encode() would send, to be spoiled.
Body map_of(const Envelope& envelope) { return *unpack_body(*encode(envelope)); }
}  // namespace

TEST_CASE("an envelope comes back as it was sent") {
  Envelope sent = ping();
  sent.run = sent.id;
  sent.step = "arm";
  sent.attempt = 2;
  sent.epoch = {7, sent.id};
  auto bytes = encode(sent);
  REQUIRE(bytes.has_value());
  auto got = decode(*bytes);
  REQUIRE(got.has_value());
  CHECK(got->type == "ping");
  CHECK(got->id == sent.id);
  CHECK(got->run == sent.run);
  CHECK(got->step == "arm");
  CHECK(got->attempt == 2);
  CHECK(got->epoch == sent.epoch);
  CHECK(got->from == "user");
  CHECK(got->sent_at == sent.sent_at);
  CHECK(got->deadline == sent.deadline);
  CHECK(got->body == Body::object());

  sent.deadline.reset();
  CHECK_FALSE(decode(*encode(sent))->deadline.has_value());
}

TEST_CASE("a wrong field is named by its pointer") {
  const auto refused = [](const Body& map) {
    auto result = decode(pack_body(map));
    REQUIRE_FALSE(result.has_value());
    return result.error();
  };
  Body map = map_of(ping());
  map["body"]["extra"] = 1;
  CHECK(refused(map).code == ErrorCode::message_schema);
  CHECK(refused(map).where == "/body/extra");

  map = map_of(ping());
  map["epoch"]["number"] = "seven";
  CHECK(refused(map).where == "/epoch/number");

  map = map_of(ping());
  map.erase("deadline");
  CHECK(refused(map).where == "/deadline");

  map = map_of(ping());
  map["sent_at"] = "2026-13-45T02:00:00Z";
  CHECK(refused(map).where == "/sent_at");

  map = map_of(ping());
  map["from"] = "user\n";
  CHECK(refused(map).where == "/from");

  map = map_of(ping());
  map["body"] = Body::array();
  CHECK(refused(map).where == "/body");

  map = map_of(ping());
  map["type"] = "no.such";
  CHECK(refused(map).code == ErrorCode::message_unknown_type);

  map = map_of(ping());
  map["v"] = 2;
  CHECK(refused(map).code == ErrorCode::message_version);
  map["v"] = 0;
  CHECK(refused(map).code == ErrorCode::message_version);
  map.erase("v");
  CHECK(refused(map).where == "/v");

  CHECK(refused(Body::array()).code == ErrorCode::message_malformed);
}

TEST_CASE("nothing leaves that a receiver would refuse") {
  Envelope wrong = ping();
  wrong.body["extra"] = true;
  CHECK(encode(wrong).error().where == "/body/extra");
  wrong = ping();
  wrong.from = "No Name";
  CHECK(encode(wrong).error().where == "/from");
  wrong = ping();
  wrong.id.clear();
  CHECK(encode(wrong).error().where == "/id");
  wrong = ping();
  wrong.type = "failed";
  wrong.body = {{"error", error_body(make_error(ErrorCode::io, std::string(2 << 20, 'x')))}};
  CHECK(encode(wrong).error().code == ErrorCode::message_too_large);
}

TEST_CASE("errors travel whole, paths of any bytes included") {
  const Error error =
      make_error(ErrorCode::target_write, "cannot write: No space left", "/srv/\xff");
  Envelope reply = ping();
  reply.type = "failed";
  reply.body = {{"error", error_body(error)}};
  auto got = decode(*encode(reply));
  REQUIRE(got.has_value());
  const Error back = error_from_body(got->body["error"]);
  CHECK(back.code == ErrorCode::target_write);
  CHECK(back.what == error.what);
  CHECK(back.where == error.where);
  CHECK(back.advice() == error.advice());
}

TEST_CASE("an error that only a newer peer knows keeps its name") {
  const Body body{
      {"code", "brand-new"}, {"number", 999}, {"what", "odd"}, {"where", ""}, {"hint", "wait"}};
  const Error error = error_from_body(body);
  CHECK(error.code == ErrorCode::internal);
  CHECK(error.what == "odd (brand-new)");
  CHECK(error.hint == "wait");
}
