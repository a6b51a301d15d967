// Sources: every service of the site that publishes events, followed; what comes is kept first and
// then published, so that whatever was seen on the feed can be asked for again.
//
// The gateway follows itself like any other.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/service/service.hpp"
#include "services/gateway/feed.hpp"
#include "services/gateway/kept.hpp"

namespace lockstep::gateway {

class Sources {
 public:
  Sources(service::Surroundings& here, Kept& kept, Feed& feed);
  ~Sources();
  Sources(const Sources&) = delete;
  Sources& operator=(const Sources&) = delete;

  void follow();
  // Called for every event once it is kept.
  std::function<void(const journal::Event&)> on_event;

 private:
  struct Source {
    std::unique_ptr<transport::EventFollower> follower;
    bool after_gap = false;
  };
  void follow(const std::string& name);
  void take(Source& source, const journal::Event& event);
  void keep();

  service::Surroundings& here_;
  Kept& kept_;
  Feed& feed_;
  std::map<std::string, Source> sources_;
  std::vector<journal::Event> events_;
  std::vector<Arrival> waiting_;  // to be kept
  transport::Reactor::TimerId soon_ = 0;
  transport::Reactor::TimerId beat_ = 0;
};

}  // namespace lockstep::gateway
