// Session: what a command needs to ask the services of a site.
//
// Thread rule: one thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/config/site.hpp"
#include "common/message/envelope.hpp"
#include "common/transport/client.hpp"
#include "services/cli/registry.hpp"

namespace lockstep::cli {

using message::Body;

// How long a request is waited for.
enum class Patience {
  probe,   // a second: is it there?
  short_,  // one that is answered at once
  long_,   // one whose end may take days; silence still ends it
};

class Session {
 public:
  // Loads the site and the user's key. Errors: usage (no file was named), config-*, key-*.
  static Result<Session> open(const Options& options);

  const config::Site& site() const { return *site_; }
  const transport::Directory& directory() const { return *directory_; }
  const Clock& clock() const { return *clock_; }

  // The body of `done`. Errors: the service's own, unreachable, stalled, deadline.
  Result<Body> call(const std::string& to, const std::string& type, Body body,
                    Patience patience = Patience::short_,
                    const transport::Client::OnStage& on_stage = {}) const;

  // The registrars of both clusters, that of the secondary first.
  std::vector<std::string> registrars() const;
  // Asks them in that order, until one has the point. Error: point-missing.
  Result<Body> call_registrar(const std::string& type, const Body& body,
                              Patience patience = Patience::short_,
                              const transport::Client::OnStage& on_stage = {}) const;

 private:
  std::unique_ptr<config::Site> site_;
  std::unique_ptr<transport::Directory> directory_;
  std::unique_ptr<Clock> clock_;
  std::unique_ptr<transport::Caller> caller_;
};

// Errors: usage, for what cannot be an id or a name, before a service is asked.
Result<void> check_id(const std::string& id);
Result<void> check_name(const std::string& name);

// The file that -c or LOCKSTEP_CONFIG names. Error: usage.
Result<std::string> config_file(const Options& options);

}  // namespace lockstep::cli
