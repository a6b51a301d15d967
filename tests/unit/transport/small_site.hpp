// A site of three parties for tests: "scheduler", "south-snapshot" and "user", over ipc in a folder
// of its own, with or without keys.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "common/transport/client.hpp"
#include "common/transport/keys.hpp"
#include "common/transport/server.hpp"

namespace lockstep::transport {

class SmallSite {
 public:
  explicit SmallSite(bool with_keys) {
    static int count = 0;
    folder_ = std::filesystem::temp_directory_path() /
              ("lsx" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    std::filesystem::create_directories(folder_);
    add("scheduler", Role::scheduler, true, with_keys);
    add("south-snapshot", Role::snapshot_agent, true, with_keys);
    add("user", Role::user, false, with_keys);
    add("watcher", Role::subscriber, false, with_keys);
  }
  ~SmallSite() { std::filesystem::remove_all(folder_); }

  Directory directory(const std::string& self) const {
    Directory out;
    out.parties = parties_;
    out.self = self;
    const auto key = secrets_.find(self);
    if (key != secrets_.end()) out.secret_key = key->second;
    return out;
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  void add(const std::string& name, Role role, bool serves, bool with_keys) {
    Party party;
    party.name = name;
    party.role = role;
    if (serves) {
      party.endpoint = "ipc://" + (folder_ / (name + ".c")).string();
      party.events = "ipc://" + (folder_ / (name + ".e")).string();
    }
    if (with_keys) {
      const KeyPair pair = make_key_pair();
      party.public_key = pair.public_key;
      secrets_[name] = pair.secret_key;
    }
    parties_[name] = party;
  }

  std::filesystem::path folder_;
  std::map<std::string, Party> parties_;
  std::map<std::string, std::string> secrets_;
};

// Runs the reactor until `done` holds; false after ten seconds.
inline bool run_until(Reactor& reactor, const Clock& clock, const std::function<bool()>& done) {
  const MonoNanos start = clock.mono();
  bool held = false;
  const auto timer = reactor.every(milliseconds(2), [&] {
    held = done();
    if (held || clock.mono() - start > seconds(10)) reactor.stop();
  });
  reactor.run();
  reactor.cancel(timer);
  return held;
}

// One request to its end.
inline Result<message::Body> ask(Reactor& reactor, const Clock& clock, Client& client,
                                 const std::string& to, const std::string& type,
                                 message::Body body = message::Body::object(),
                                 const RequestOptions& options = {},
                                 const Client::OnStage& on_stage = {}) {
  message::Envelope envelope;
  envelope.type = type;
  envelope.body = std::move(body);
  std::optional<Result<message::Body>> outcome;
  client.request(to, envelope, options, on_stage,
                 [&](Result<message::Body> result) { outcome.emplace(std::move(result)); });
  const bool ended = run_until(reactor, clock, [&] { return outcome.has_value(); });
  REQUIRE(ended);
  return std::move(*outcome);
}

inline message::Body ping_body(const std::string& name) {
  return {{"name", name},
          {"role", "scheduler"},
          {"version", "1"},
          {"pid", 1},
          {"started_at", "2026-11-21T02:00:00Z"},
          {"epoch", {{"number", 1}, {"promotion", ""}}}};
}

}  // namespace lockstep::transport
