// Picture: what the gateway shows of the site, asked of the scheduler and of the health-monitor now
// and then and after events, never because somebody looks: who reads pages and metrics reaches
// nothing but this copy.
//
// Thread rule: make it and call start() and changed() on the reactor's thread; now() from any.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/service/service.hpp"

namespace lockstep::gateway {

struct Shown {
  message::Body status;    // status.done of the scheduler; null until it first answered
  UtcNanos status_at;      // when it did
  bool reachable = false;  // the last question was answered
  // client.show.done of the health-monitor; null until it first answered, or where the site has
  // none.
  message::Body client;
  bool client_known = false;                      // the last question was answered
  message::Body runs = message::Body::array();    // under way, with their steps; the first few
  message::Body points = message::Body::array();  // of point.catalog, newest first
  // Of every service of the site: ping.done, null where it did not answer the last time. Empty
  // until all were asked once.
  std::map<std::string, message::Body> pings;
};

class Picture {
 public:
  explicit Picture(service::Surroundings& here);
  ~Picture();
  Picture(const Picture&) = delete;
  Picture& operator=(const Picture&) = delete;

  void start();
  // An event tells of a change: asks soon.
  void changed(const journal::Event& event);

  std::shared_ptr<const Shown> now() const;

 private:
  void ask_status();
  void ask_points();
  void ask_client();
  void ask_pings();
  void ask_runs(const message::Body& services);
  void show(const std::function<void(Shown&)>& change);

  service::Surroundings& here_;
  std::string scheduler_;
  std::string health_monitor_;  // empty: the site has none
  bool asking_status_ = false;
  bool asking_client_ = false;
  bool asking_points_ = false;
  bool asking_pings_ = false;
  transport::Reactor::TimerId status_timer_ = 0;
  transport::Reactor::TimerId points_timer_ = 0;
  transport::Reactor::TimerId pings_timer_ = 0;
  transport::Reactor::TimerId status_soon_ = 0;
  transport::Reactor::TimerId points_soon_ = 0;
  transport::Reactor::TimerId client_soon_ = 0;
  mutable std::mutex mutex_;
  std::shared_ptr<const Shown> shown_ = std::make_shared<Shown>();
};

}  // namespace lockstep::gateway
