// UserData: user data from the primary's directory to the secondary's, both ways (docs/users.md).
// push: the primary's agent reads and sends, the secondary's finds out what changes. reconcile:
// both are read through their agents, and what is to change is found out here. point: what a point
// holds is read from the registrar that keeps it, and goes into that cluster's directory.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/service/identity_follower.hpp"
#include "common/service/service.hpp"

namespace lockstep::scheduler {

extern const char* const kUserDataTable;  // of the scheduler's journal

class UserData {
 public:
  UserData(service::Surroundings& here, const service::IdentityFollower& identity)
      : here_(here), identity_(identity) {}
  ~UserData() {
    if (timer_) here_.reactor.cancel(*timer_);
  }
  UserData(const UserData&) = delete;
  UserData& operator=(const UserData&) = delete;

  // users.diff: what reconcile would change. Errors: not-found (no directories), unreachable, and
  // those of the agents.
  void diff(const transport::Request& request);
  // users.sync. Errors as above, guard, run-busy (one is under way).
  void sync(const transport::Request& request);
  // A job of its own after a complete run, where the clusters have directories: tried until it was
  // carried out, or refused by the guard. What became of it stands in the log and in the
  // secondary's events; the run is not touched by it.
  void sync_in_the_end();

  // Loads what is known of the last one.
  Result<void> start();
  // What became of the last one, dry runs apart: `users` of `status`. Nothing: the clusters have no
  // directories.
  std::optional<message::Body> outcome() const;

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;
  using Then = std::function<void(const message::Body&)>;

  void take_from_point(const JobPtr& job, std::size_t keeper);
  void point_part(const JobPtr& job, const config::Cluster& keeper, const message::Body& part);
  Result<JobPtr> plan(const message::Body& wish) const;
  void begin(const JobPtr& job);
  void again();
  void push(const JobPtr& job);
  void reconcile(const JobPtr& job);
  void compare(const JobPtr& job);
  void fetch(const JobPtr& job, const std::string& agent, std::string& into,
             std::function<void()> then);
  void fetch_rest(const JobPtr& job, const std::string& agent, const message::Body& part,
                  std::string& into, std::function<void()> then);
  void put(const JobPtr& job, std::size_t offset);
  void apply(const JobPtr& job, const std::string& digest);
  void end(const JobPtr& job, const Result<message::Body>& result);
  void note(const JobPtr& job, const Result<message::Body>& result);
  void ask(const JobPtr& job, const std::string& to, const std::string& type, message::Body body,
           Then then);
  void send(const JobPtr& job, const std::string& to, const std::string& type, message::Body body,
            std::function<void(const Result<message::Body>&)> end);

  service::Surroundings& here_;
  const service::IdentityFollower& identity_;
  message::Body outcome_ = message::Body::object();
  bool under_way_ = false;
  bool wanted_ = false;  // by a run that is complete
  std::optional<transport::Reactor::TimerId> timer_;
};

}  // namespace lockstep::scheduler
