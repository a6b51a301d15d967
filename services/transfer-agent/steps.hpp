// Steps: requests turned into tasks and their outcomes into replies.
//
// A step that was done is answered from its stored reply; one that is at work goes on once, and who
// asked last is answered; a higher attempt stops the lower one and begins when that has ended.
// Failures are not stored: asked again, the step is tried again.
//
// Thread rule: the reactor's thread, but for what Work does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/journal/journal.hpp"
#include "common/transport/reactor.hpp"
#include "common/transport/server.hpp"
#include "services/transfer-agent/job.hpp"
#include "services/transfer-agent/tasks.hpp"

namespace lockstep::transfer {

class Steps {
 public:
  // On a thread of its own. Gives the body of `done`.
  using Work = std::function<Result<message::Body>(const message::Envelope&, std::stop_token,
                                                   ProgressBoard&)>;
  struct Kind {
    bool takes_long = false;        // answered by accepted and progress before its end
    bool stores_its_reply = false;  // in the transaction of its effect; else it is stored here
    bool outside_run = false;       // its task must not be one of the run's: it stops those
  };

  // `after`: called after every end, for events to be sent. `broken`: the journal takes nothing any
  // more, and the process must end.
  Steps(transport::Reactor& reactor, transport::Server& server, journal::Journal& journal,
        Tasks& tasks, std::function<void()> after, std::function<void(const Error&)> broken);
  ~Steps();

  void serve(const std::string& type, std::set<transport::Role> roles, Kind kind, Work work);

 private:
  struct Active;
  using Key = std::tuple<std::string, std::string, int>;

  void begin(transport::Request request, Kind kind, const Work& work);
  bool answered(const transport::Request& request);
  bool fenced(const transport::Request& request);
  void finish(const std::shared_ptr<Active>& active, Result<message::Body> outcome);
  void report();

  transport::Reactor& reactor_;
  transport::Server& server_;
  journal::Journal& journal_;
  Tasks& tasks_;
  std::function<void()> after_;
  std::function<void(const Error&)> broken_;
  std::map<Key, std::shared_ptr<Active>> of_runs_;  // by run, step, attempt
  std::set<std::shared_ptr<Active>> active_;
  transport::Reactor::TimerId timer_ = 0;
};

}  // namespace lockstep::transfer
