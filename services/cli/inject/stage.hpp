// Stage: where a scenario is played: the services that it reaches, marked and followed; the
// connections by which parties speak to them; what stands between two of them; and the waiting.
//
// Thread rule: one thread; it runs a reactor of its own while it waits.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/config/site.hpp"
#include "common/message/envelope.hpp"
#include "common/transport/client.hpp"
#include "common/transport/events.hpp"
#include "services/cli/inject/proxy.hpp"

namespace lockstep::cli::inject {

using message::Body;

class Stage {
 public:
  // `user`: who marks and pings.
  Stage(const config::Site& site, const Clock& clock, std::string user);
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // Writes into the events of each of `services` that the scenario begins, and follows them from
  // there. Errors: guard, not-found, unreachable, key-*, transport.
  Result<void> open(const std::set<std::string>& services, const std::string& title);
  // Writes that it ended, wherever it began. Error: the first.
  Result<void> close(const std::string& title);
  // Why a service that was reached is not the process that it was; nothing where all are.
  std::optional<std::string> missing();

  // Until `holds`, which is asked whenever something came, or for `limit`: false.
  bool until(const std::function<bool()>& holds, Nanos limit);
  // As the user: the body of `done`.
  Result<Body> ask(const std::string& to, const std::string& type, Body body);
  // The connection on which `as` speaks to `to`. Errors: not-found, key-*, transport.
  Result<transport::Link*> link(const std::string& as, const std::string& to);
  // What stands between these two. Error: config-missing-key where the site has no such way.
  Result<Proxy*> between(const std::string& from, const std::string& to);
  // Another process answers for it than before within `limit`; its connections are made anew.
  bool came_back(const std::string& service, Nanos limit);

  std::int64_t pid(const std::string& service) const { return pids_.at(service); }
  const Body& epoch() const { return epoch_; }
  // Replies that nobody took yet, by the id that they answer; all that ever came.
  std::deque<Body>& replies(const std::string& id) { return replies_[id]; }
  void forget(const std::string& id) { replies_.erase(id); }
  std::uint64_t heard() const { return heard_; }
  // Events of a service that no step took yet.
  std::vector<Body>& events(const std::string& service) { return events_[service]; }

 private:
  Result<void> begin(const std::string& name, const std::string& title);
  void take(const std::string& bytes);

  const config::Site& site_;
  config::Site direct_;  // where every service really is
  const Clock& clock_;
  std::string user_;
  std::unique_ptr<transport::Directory> directory_;
  std::unique_ptr<transport::Reactor> reactor_;
  std::unique_ptr<transport::Client> client_;
  std::vector<std::unique_ptr<Proxy>> proxies_;
  std::vector<std::unique_ptr<transport::EventFollower>> followers_;
  std::map<std::pair<std::string, std::string>, std::unique_ptr<transport::Link>> links_;
  std::map<std::string, std::int64_t> pids_;  // of those that are marked
  std::map<std::string, std::vector<Body>> events_;
  std::map<std::string, std::deque<Body>> replies_;
  std::uint64_t heard_ = 0;
  Body epoch_{{"number", 0}, {"promotion", ""}};
};

}  // namespace lockstep::cli::inject
