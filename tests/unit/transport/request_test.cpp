#include <catch2/catch.hpp>
#include <random>
#include <thread>

#include "common/message/uuid.hpp"
#include "common/transport/loop.hpp"
#include "common/transport/sockets.hpp"
#include "common/transport/wire.hpp"
#include "tests/unit/transport/small_site.hpp"

using namespace lockstep;
using namespace lockstep::transport;
using message::Body;

namespace {

// A server and a client on one reactor.
struct Pair {
  explicit Pair(bool with_keys, const std::string& client_name = "user")
      : site(with_keys),
        clock(make_system_clock()),
        reactor(make_reactor(*clock, false)),
        client(make_client(*reactor, site.directory(client_name), *clock)) {
    serve();
  }
  void serve() {
    auto made = make_server(*reactor, site.directory("south-snapshot"), *clock);
    REQUIRE(made.has_value());
    server = std::move(made).value();
    server->on("ping", all_roles(),
               [](const Request& request) { request.done(ping_body("south-snapshot")); });
  }
  Result<Body> ask(const std::string& type, Body body = Body::object(),
                   const RequestOptions& options = {}, const Client::OnStage& on_stage = {}) {
    return transport::ask(*reactor, *clock, *client, "south-snapshot", type, std::move(body),
                          options, on_stage);
  }

  SmallSite site;
  std::unique_ptr<Clock> clock;
  std::unique_ptr<Reactor> reactor;
  std::unique_ptr<Client> client;
  std::unique_ptr<Server> server;
};

RequestOptions quick() { return {milliseconds(50), milliseconds(400), seconds(5)}; }

// A DEALER that speaks by hand.
struct ByHand {
  explicit ByHand(Pair& pair, const std::string& name = "user") : name_(name), pair_(pair) {
    const Directory directory = pair.site.directory(name);
    auto made =
        make_dealer(loop_of(*pair.reactor).context(), directory, *directory.find("south-snapshot"));
    REQUIRE(made.has_value());
    socket = std::move(made).value();
  }
  void send(const std::string& bytes) { REQUIRE(send_parts(socket.raw(), {bytes}) == Sent::yes); }
  message::Envelope envelope(const std::string& type, const std::string& id) const {
    message::Envelope out;
    out.type = type;
    out.id = id;
    out.from = name_;
    out.sent_at = UtcNanos{1};
    return out;
  }
  message::Envelope receive() {
    std::optional<Parts> parts;
    REQUIRE(run_until(*pair_.reactor, *pair_.clock, [&] {
      parts = receive_parts(socket.raw());
      return parts.has_value();
    }));
    auto envelope = message::decode(parts->frames.at(0));
    REQUIRE(envelope.has_value());
    return std::move(envelope).value();
  }
  Socket socket;

 private:
  std::string name_;
  Pair& pair_;
};

const std::string kId = "0193a5f0-1234-7abc-8def-0123456789ab";
const std::string kRun = "0193a5f0-1234-7abc-8def-000000000001";

}  // namespace

TEST_CASE("a request is answered, on plain ipc and under CURVE") {
  for (const bool with_keys : {false, true}) {
    Pair pair(with_keys);
    std::string peer;
    pair.server->on("snapshot.holds", {Role::user}, [&](const Request& request) {
      peer = request.peer().name;
      request.done({{"holds", Body::array()}});
    });
    auto result = pair.ask("snapshot.holds");
    REQUIRE(result.has_value());
    CHECK((*result)["holds"].empty());
    CHECK(peer == "user");
  }
}

TEST_CASE("a long request is answered in stages, once to its end") {
  Pair pair(false);
  std::optional<Request> kept;
  pair.server->on("snapshot.commit", {Role::user}, [&](const Request& request) {
    kept = request;
    request.accepted();
    pair.reactor->after(milliseconds(10), [&] { kept->progress({{"sets", Body::array()}}); });
    pair.reactor->after(milliseconds(20), [&] {
      kept->done({{"state", "committed"}, {"sets", Body::array()}});
      kept->failed(make_error(ErrorCode::io, "too late to be heard"));
    });
  });
  std::vector<Reply::Stage> stages;
  auto result = pair.ask("snapshot.commit", {{"service", "orders"}}, {},
                         [&](const Reply& reply) { stages.push_back(reply.stage); });
  REQUIRE(result.has_value());
  CHECK((*result)["state"] == "committed");
  CHECK(stages == std::vector<Reply::Stage>{Reply::Stage::accepted, Reply::Stage::progress});
}

TEST_CASE("errors come back as they were given") {
  Pair pair(false);
  pair.server->on("snapshot.holds", {Role::user}, [](const Request& request) {
    request.failed(make_error(ErrorCode::source_read, "cannot read", "/srv/\xff", "look at it"));
  });
  const auto result = pair.ask("snapshot.holds");
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::source_read);
  CHECK(result.error().where == "/srv/\xff");
  CHECK(result.error().hint == "look at it");
}

TEST_CASE("the wrong role never reaches a handler") {
  for (const bool with_keys : {false, true}) {
    Pair pair(with_keys, "watcher");
    bool reached = false;
    std::string refused;
    pair.server->on("snapshot.holds", {Role::user}, [&](const Request&) { reached = true; });
    pair.server->on_refusal(
        [&](const Party& peer, const std::string& type) { refused = peer.name + " " + type; });
    CHECK(pair.ask("snapshot.holds").error().code == ErrorCode::role_refused);
    CHECK_FALSE(reached);
    CHECK(refused == "watcher snapshot.holds");
    CHECK(pair.ask("ping").has_value());
  }
}

TEST_CASE("nobody speaks in another's name under CURVE") {
  Pair pair(true);
  ByHand hand(pair, "watcher");
  message::Envelope envelope = hand.envelope("ping", kId);
  envelope.from = "user";
  hand.send(*message::encode(envelope));
  const auto reply = hand.receive();
  CHECK(reply.type == "failed");
  CHECK(reply.body["error"]["code"] == "role-refused");
}

TEST_CASE("a key that the server does not know is refused, and the asker is told why") {
  Pair pair(true);
  Directory stranger = pair.site.directory("user");
  stranger.secret_key = make_key_pair().secret_key;
  const auto client = make_client(*pair.reactor, stranger, *pair.clock);
  const auto result = ask(*pair.reactor, *pair.clock, *client, "south-snapshot", "ping");
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::role_refused);
  CHECK(pair.ask("ping").has_value());
}

TEST_CASE("a server with another key than the known one gets no message") {
  Pair pair(true);
  Directory deceived = pair.site.directory("user");
  deceived.parties["south-snapshot"].public_key = make_key_pair().public_key;
  const auto client = make_client(*pair.reactor, deceived, *pair.clock);
  const auto result =
      ask(*pair.reactor, *pair.clock, *client, "south-snapshot", "ping", Body::object(), quick());
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::unreachable);
}

TEST_CASE("plain text gets nowhere on a server with keys") {
  Pair pair(true);
  Directory plain = pair.site.directory("user");
  plain.secret_key.clear();
  const auto client = make_client(*pair.reactor, plain, *pair.clock);
  const auto result =
      ask(*pair.reactor, *pair.clock, *client, "south-snapshot", "ping", Body::object(), quick());
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == ErrorCode::unreachable);
}

TEST_CASE("what the service does not take, or cannot be read, is answered by its error") {
  Pair pair(false);
  CHECK(pair.ask("status").error().code == ErrorCode::message_unknown_type);
  CHECK(pair.ask("no.such").error().code == ErrorCode::message_unknown_type);
  CHECK(pair.ask("ping", {{"x", 1}}).error().where == "/body/x");

  ByHand hand(pair);
  Body map = *message::unpack_body(*message::encode(hand.envelope("ping", kId)));
  map["body"]["x"] = 1;
  hand.send(message::pack_body(map));
  auto reply = hand.receive();
  CHECK(reply.id == kId);
  CHECK(reply.body["error"]["code"] == "message-schema");
  CHECK(reply.body["error"]["where"] == "/body/x");
}

TEST_CASE("a handler's reply that breaks its schema is an error, never sent") {
  Pair pair(false);
  pair.server->on("snapshot.holds", {Role::user}, [](const Request& request) {
    request.done({{"wrong", 1}});
  });
  CHECK(pair.ask("snapshot.holds").error().code == ErrorCode::message_schema);
}

TEST_CASE("a handler that throws or forgets to answer is an internal error") {
  Pair pair(false);
  pair.server->on("snapshot.holds", {Role::user},
                  [](const Request& request) { request.body().at("missing"); });
  pair.server->on("status", {Role::user}, [](const Request&) {});
  CHECK(pair.ask("snapshot.holds").error().code == ErrorCode::internal);
  CHECK(pair.ask("status").error().code == ErrorCode::internal);
}

TEST_CASE("a request that another thread lets go of is answered by the reactor's") {
  Pair pair(false);
  std::vector<std::thread> threads;
  pair.server->on("snapshot.holds", {Role::user}, [&](const Request& request) {
    threads.emplace_back([kept = std::make_unique<Request>(request)]() mutable { kept.reset(); });
  });
  for (int i = 0; i < 20; ++i) {
    CHECK(pair.ask("snapshot.holds").error().code == ErrorCode::internal);
  }
  for (auto& thread : threads) thread.join();
}

TEST_CASE("a repeated request runs once, and replies go to whoever asked last") {
  Pair pair(false);
  int calls = 0;
  std::optional<Request> kept;
  pair.server->on("snapshot.commit", {Role::user}, [&](const Request& request) {
    ++calls;
    kept = request;
    request.accepted();
  });
  ByHand first(pair);
  ByHand second(pair);
  auto envelope = first.envelope("snapshot.commit", kId);
  envelope.body = {{"service", "orders"}};
  const std::string bytes = *message::encode(envelope);
  first.send(bytes);
  CHECK(first.receive().type == "snapshot.commit.accepted");
  second.send(bytes);
  CHECK(second.receive().type == "snapshot.commit.accepted");
  kept->done({{"state", "committed"}, {"sets", Body::array()}});
  CHECK(second.receive().type == "snapshot.commit.done");
  CHECK_FALSE(receive_parts(first.socket.raw()).has_value());
  // The reply was lost, say: the request comes once more.
  first.send(bytes);
  CHECK(first.receive().type == "snapshot.commit.done");
  CHECK(calls == 1);
}

TEST_CASE("an id of another party's request shows nothing of it") {
  Pair pair(false);
  pair.server->on("snapshot.holds", all_roles(), [](const Request& request) {
    request.done({{"holds",
                   {{{"service", request.peer().name},
                     {"set", "a"},
                     {"run", kRun},
                     {"reason", "run"},
                     {"since", "2026-11-21T02:00:00Z"},
                     {"version", {{"component", "files"}, {"name", kRun}, {"native", ""}}}}}}});
  });
  ByHand user(pair, "user");
  ByHand watcher(pair, "watcher");
  user.send(*message::encode(user.envelope("snapshot.holds", kId)));
  CHECK(user.receive().body["holds"][0]["service"] == "user");
  watcher.send(*message::encode(watcher.envelope("snapshot.holds", kId)));
  CHECK(watcher.receive().body["holds"][0]["service"] == "watcher");
}

TEST_CASE("silence ends as unreachable, stalled or deadline") {
  Pair pair(false);
  CHECK(ask(*pair.reactor, *pair.clock, *pair.client, "scheduler", "ping", Body::object(), quick())
            .error()
            .code == ErrorCode::unreachable);
  CHECK(ask(*pair.reactor, *pair.clock, *pair.client, "nobody", "ping").error().code ==
        ErrorCode::not_found);

  std::optional<Request> kept;
  pair.server->on("snapshot.commit", {Role::user}, [&](const Request& request) {
    kept = request;
    request.accepted();
  });
  const Body body{{"service", "orders"}};
  RequestOptions options = quick();
  options.deadline = milliseconds(300);
  CHECK(pair.ask("snapshot.commit", body, options).error().code == ErrorCode::deadline);
  options = quick();
  const auto stalled = pair.ask("snapshot.commit", body, options, [&](const Reply&) {
    pair.reactor->post([&] { pair.server.reset(); });  // it accepted, and died
  });
  CHECK(stalled.error().code == ErrorCode::stalled);
}

TEST_CASE("a server that is restarted in the middle of a request answers its repetition") {
  for (const bool with_keys : {false, true}) {
    Pair pair(with_keys);
    int calls = 0;
    std::vector<Request> kept;
    const auto handle = [&](const Request& request) {
      if (++calls == 1) {
        kept.push_back(request);
        pair.reactor->post([&] {
          pair.server.reset();
          kept.clear();
        });
        return;
      }
      request.done({{"holds", Body::array()}});
    };
    pair.server->on("snapshot.holds", {Role::user}, handle);
    pair.reactor->after(milliseconds(150), [&] {
      pair.serve();
      pair.server->on("snapshot.holds", {Role::user}, handle);
    });
    RequestOptions options{milliseconds(60), seconds(5), seconds(9)};
    CHECK(pair.ask("snapshot.holds", Body::object(), options).has_value());
    CHECK(calls == 2);
  }
}

TEST_CASE("a client that asks before the server is there gets its answer") {
  Pair pair(false);
  pair.server.reset();
  pair.reactor->after(milliseconds(120), [&] { pair.serve(); });
  CHECK(pair.ask("ping", Body::object(), {milliseconds(50), seconds(5), seconds(9)}).has_value());
}

TEST_CASE("a cancelled request's handlers are not called any more") {
  Pair pair(false);
  bool called = false;
  message::Envelope envelope;
  envelope.type = "ping";
  const std::string id = pair.client->request("south-snapshot", envelope, {}, {},
                                              [&](const Result<Body>&) { called = true; });
  pair.client->cancel(id);
  CHECK(pair.ask("ping").has_value());
  CHECK_FALSE(called);
}

TEST_CASE("a blocking call does the same") {
  Pair pair(true);
  std::jthread serving([&] { pair.reactor->run(); });
  const auto caller = make_caller(pair.site.directory("user"), *pair.clock);
  message::Envelope envelope;
  envelope.type = "ping";
  auto first = caller->call("south-snapshot", envelope, {});
  auto second = caller->call("south-snapshot", envelope, {});
  pair.reactor->stop();
  REQUIRE(first.has_value());
  CHECK((*first)["name"] == "south-snapshot");
  CHECK(second.has_value());
}

TEST_CASE("bytes of every kind leave the server serving") {
  Pair pair(false);
  std::mt19937 random(3);
  ByHand hand(pair);
  const std::string good = *message::encode(hand.envelope("ping", kId));
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = good;
    if (round % 4 == 0) {
      bytes.assign(random() % 200, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
    } else if (round % 4 == 1) {
      bytes.resize(random() % bytes.size());
    } else if (round % 4 == 2) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    } else {
      bytes = std::string(random() % 3000, "\x91\x81\xdd\xff"[random() % 4]);
    }
    hand.send(bytes);
    // The queue between the two is bounded: let the server read now and then.
    if (round % 100 == 0) REQUIRE(pair.ask("ping").has_value());
  }
  hand.send(std::string(1024 * 1024, '\x91'));
  REQUIRE(send_parts(hand.socket.raw(), {"a", "b", "c", "d", "e", "f", "g"}) == Sent::yes);
  REQUIRE(send_parts(hand.socket.raw(), {good, good}) == Sent::yes);
  CHECK(pair.ask("ping").has_value());
  // A frame beyond the limit costs its sender the connection, and nobody else anything.
  ByHand huge(pair);
  huge.send(std::string(3 * 1024 * 1024, 'x'));
  CHECK(pair.ask("ping").has_value());
}
