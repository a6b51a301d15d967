// Trouble: tells of subscribers that misbehave as events, at most one every ten seconds, however
// many there are: nobody fills the journal by knocking.
//
// Thread rule: the reactor's thread.
#pragma once

#include "common/service/service.hpp"
#include "services/gateway/feed.hpp"

namespace lockstep::gateway {

class Trouble {
 public:
  Trouble(service::Surroundings& here, const Feed& feed);
  ~Trouble();
  Trouble(const Trouble&) = delete;
  Trouble& operator=(const Trouble&) = delete;

 private:
  void look();

  service::Surroundings& here_;
  const Feed& feed_;
  ConnectionCounts told_;
  transport::Reactor::TimerId timer_;
};

}  // namespace lockstep::gateway
