// Promotion: makes a cluster the primary by a user's word (docs/operations.md). Each stage stands
// in the journal when it is done; after a death at any place the start, or the same command again,
// goes on from there, and each stage done twice has the effect of one.
//
// Thread rule: the reactor's thread.
#pragma once

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "services/health-monitor/agreement.hpp"
#include "services/health-monitor/promotion_store.hpp"
#include "services/health-monitor/watch.hpp"

namespace lockstep::health {

class Promotion {
 public:
  Promotion(service::Surroundings& here, service::IdentitySite& site, Agreement& agreement,
            Watch& watch)
      : here_(here), site_(site), agreement_(agreement), watch_(watch) {}
  ~Promotion();
  Promotion(const Promotion&) = delete;
  Promotion& operator=(const Promotion&) = delete;

  // Goes on with what a death interrupted.
  Result<void> resume();
  // `promote`: answers the request at its end.
  void promote(const transport::Request& request);

 private:
  void plan(const transport::Request& request, const identity::Decision& newest);
  void planned(const transport::Request& request, const identity::Decision& newest,
               const message::Body& points);
  void go_on();
  void next(Stage stage);
  void decide();
  void isolate();
  void stand_down();
  void activate();
  void activate_next(std::size_t index);
  void identify();
  void switch_client(MonoNanos until);
  void fail(const Error& error);
  bool keep(bool given_up = false);
  void tell_stage();
  message::Body body() const;
  void ask(const std::string& party, const std::string& type, message::Body body, Nanos patience,
           std::function<void(Result<message::Body>)> then);

  service::Surroundings& here_;
  service::IdentitySite& site_;
  Agreement& agreement_;
  Watch& watch_;
  std::optional<Job> job_;
  bool running_ = false;
  int activations_ = 0;  // attempts of the step, so that each is asked for anew
  std::vector<transport::Request> watchers_;
  std::jthread hook_;
};

}  // namespace lockstep::health
