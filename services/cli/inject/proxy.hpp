// Proxy: stands between two real services where the site's file leads one of them
// (`injection.through`): towards `from` it has the key of `to`, towards `to` that of `from`, and
// both talk to each other as ever, except for what the rules do to their messages.
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/config/site.hpp"
#include "common/transport/link.hpp"
#include "services/cli/inject/rules.hpp"

namespace lockstep::cli::inject {

class Proxy {
 public:
  // `direct`: the site as it is without `injection.through`. Errors: key-*, transport.
  static Result<std::unique_ptr<Proxy>> open(transport::Reactor& reactor,
                                             const config::Site& direct, const Clock& clock,
                                             const config::Injection::Through& way);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  const config::Injection::Through& way() const { return way_; }
  void set(std::vector<Rule> rules) { rules_ = Rules{std::move(rules)}; }
  // How many messages of this type came here, whatever became of them.
  int came(const std::string& type) const;
  // Called after each that came.
  std::function<void()> on_message;

 private:
  // A message on its way; `send` puts it out at the other side.
  using Out = std::function<void()>;
  struct Held {
    Out send;
    transport::Reactor::TimerId timer = 0;
  };

  Proxy(transport::Reactor& reactor, const Clock& clock, config::Injection::Through way,
        transport::Directory asker, transport::Socket socket);
  void receive();
  transport::Link* link_of(const std::string& route);
  void pass(const std::string& bytes, bool reply, Out send);
  void release(bool reply);

  transport::Loop& loop_;
  const Clock& clock_;
  config::Injection::Through way_;
  transport::Directory asker_;  // `from`'s, with `to` where it really is
  transport::Socket socket_;
  transport::Loop::WatchId watch_ = 0;
  // By the routing id of a connection of `from`; it makes a new one now and then.
  std::map<std::string, std::unique_ptr<transport::Link>> links_;
  std::vector<std::string> order_;
  Rules rules_;
  std::map<std::string, int> came_;
  std::map<bool, std::vector<Held>> held_;  // of requests, of replies
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace lockstep::cli::inject
