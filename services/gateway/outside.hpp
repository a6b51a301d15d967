// Outside: what is served by HTTP: the status page at /, /metrics, /status.json, /health, and,
// where there is a health-monitor, which cluster applications are to use: /client, /client.json,
// /client/<cluster> (200 or 503). A port
// that is taken does not keep the gateway from its feed: it says so and tries again.
//
// Thread rule: the reactor's thread.
#pragma once

#include "common/service/service.hpp"
#include "services/gateway/http.hpp"
#include "services/gateway/metrics.hpp"

namespace lockstep::gateway {

class Outside {
 public:
  // All must outlive it.
  Outside(service::Surroundings& here, const Picture& picture, const Metrics& metrics,
          const Feed& feed, const ReplayCounts& replays);
  ~Outside();
  Outside(const Outside&) = delete;
  Outside& operator=(const Outside&) = delete;

  // Errors: of the token's file (missing, readable by others, empty).
  Result<void> start();

 private:
  void listen();
  Answers answers() const;

  service::Surroundings& here_;
  const Picture& picture_;
  const Metrics& metrics_;
  const Feed& feed_;
  const ReplayCounts& replays_;
  std::string token_;
  std::unique_ptr<Http> http_;
  transport::Reactor::TimerId again_ = 0;
  bool told_ = false;
};

}  // namespace lockstep::gateway
