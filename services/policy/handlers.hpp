// The policy service's messages (docs/protocol.md).
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>

#include "common/config/site.hpp"
#include "common/transport/server.hpp"
#include "services/policy/book.hpp"

namespace lockstep::policy_service {

// All must outlive the server. `changed` is called after every transaction that may have emitted
// events.
struct Surroundings {
  Book& book;
  const config::Site& site;
  std::function<void()> changed;
  std::function<void(const Error&)> fail;  // the journal cannot be written: the process must end
};

void serve(transport::Server& server, Surroundings surroundings);

// The service's state, for subscribers that have missed events.
message::Body snapshot(const Book& book);

}  // namespace lockstep::policy_service
