// Promotion: makes a cluster the primary by a user's word (docs/operations.md). Each stage stands
// in the journal when it is done; after a death at any place the start, or the same command again,
// goes on from there, and each stage done twice has the effect of one.
//
// Failback and switchover are the same from the decision on; what comes before it, so that no write
// is lost, is in way_back.cpp. Until the decision they can go back, and do so by themselves.
//
// Thread rule: the reactor's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/health-monitor/agreement.hpp"
#include "services/health-monitor/promotion_store.hpp"
#include "services/health-monitor/site_hooks.hpp"
#include "services/health-monitor/watch.hpp"

namespace lockstep::health {

class Promotion {
 public:
  Promotion(service::Surroundings& here, service::IdentitySite& site, Agreement& agreement,
            Watch& watch, SiteHooks& hooks)
      : here_(here), site_(site), agreement_(agreement), watch_(watch), hooks_(hooks) {}
  Promotion(const Promotion&) = delete;
  Promotion& operator=(const Promotion&) = delete;

  // Goes on with what a death interrupted.
  Result<void> resume();
  // `promote`: answers the request at its end.
  void promote(const transport::Request& request);

 private:
  void join(const transport::Request& request);
  void plan(const transport::Request& request, const identity::Decision& newest);
  void planned(const transport::Request& request, const identity::Decision& newest,
               const message::Body& points);
  Result<Job> job_for(const transport::Request& request, const identity::Decision& newest,
                      const message::Body& points) const;
  void go_on();
  void next(Stage stage);
  void decide();
  void isolate();
  void stand_down();
  void activate();
  void activate_next(std::size_t index);
  void identify();
  void switch_client(MonoNanos until);
  void start_application();
  void end();
  void fail(const Error& error);
  void give_up(const Error& error);
  bool keep(bool given_up = false);
  void tell_stage();
  message::Body body() const;
  std::map<std::string, std::string> environment() const;
  void ask(const std::string& party, const std::string& type, message::Body body, Nanos patience,
           std::function<void(Result<message::Body>)> then);

  // way_back.cpp
  Result<void> may_go_back(const Job& job, const identity::Decision& newest) const;
  void confirm();
  void set_aside();
  void catch_up(std::size_t index);
  void stop_writers();
  void carry(std::size_t index);
  void carry_users();
  void run_service(std::size_t index, std::function<void(const message::Body&)> then);
  void go_back(const Error& error);

  service::Surroundings& here_;
  service::IdentitySite& site_;
  Agreement& agreement_;
  Watch& watch_;
  SiteHooks& hooks_;
  std::optional<Job> job_;
  bool running_ = false;
  std::vector<transport::Request> watchers_;
};

}  // namespace lockstep::health
