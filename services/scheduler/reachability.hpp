// Reachability: which agents answer, and since when.
//
// Thread rule: the reactor's thread.
#pragma once

#include <map>
#include <string>

#include "common/service/service.hpp"

namespace lockstep::scheduler {

class Reachability {
 public:
  explicit Reachability(service::Surroundings& here);

  void watch();                // asks every agent, now and every few seconds
  message::Body body() const;  // `agents` of the answer to `status`

 private:
  struct Seen {
    bool reachable = false;
    UtcNanos since;
    bool asked = false;
  };
  void ask(const std::string& agent);

  service::Surroundings& here_;
  std::map<std::string, Seen> agents_;
};

}  // namespace lockstep::scheduler
