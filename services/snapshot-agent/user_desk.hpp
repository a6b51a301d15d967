// UserDesk: the snapshot-agent's messages of user data (docs/protocol.md, docs/users.md). Reads and
// changes the cluster's directory on a thread of its own, one job after the other.
//
// Thread rule: the reactor's thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "common/service/service.hpp"
#include "common/users/store.hpp"
#include "services/snapshot-agent/user_documents.hpp"

namespace lockstep::snapshot {

class UserDesk {
 public:
  // What the desk asks of its agent.
  struct Agent {
    // Learns a newer epoch. Error: epoch-old.
    std::function<Result<void>(const message::Epoch&)> admit;
    // Which cluster is the primary, and since which epoch; {0, ""}: not known yet.
    std::function<std::pair<std::uint64_t, std::string>()> primary;
  };

  UserDesk(service::Surroundings& here, std::unique_ptr<users::Store> store, Agent agent);
  // The job at work is stopped.
  ~UserDesk();
  UserDesk(const UserDesk&) = delete;
  UserDesk& operator=(const UserDesk&) = delete;

  void serve();

 private:
  using Answer = Result<message::Body>;
  struct Progress {
    std::atomic<std::size_t> done = 0;
    std::atomic<std::size_t> of = 0;
  };
  // On the desk's thread; the Answer's body is `done`'s.
  using Work = std::function<Answer(Progress&)>;
  // On the reactor's thread, before the answer leaves.
  using Then = std::function<void(Answer)>;
  struct Job {
    transport::Request request;
    std::shared_ptr<Progress> progress;
  };

  using Handler = void (UserDesk::*)(const transport::Request&);

  void when_known(const transport::Request& request, MonoNanos until, Handler handler);
  void read(const transport::Request& request);
  void send(const transport::Request& request);
  void send_chunk(const transport::Request& request, const std::string& transfer,
                  std::size_t offset, const message::Body& done);
  void take(const transport::Request& request);
  void apply(const transport::Request& request);
  void edit(const transport::Request& request);

  void begin(const transport::Request& request, Work work, Then then);
  message::Body chunk(const std::string& document, std::size_t offset) const;
  Result<void> tell(const char* event, const transport::Request& request, message::Body data);
  void tell_progress();

  service::Surroundings& here_;
  const std::string cluster_;
  std::unique_ptr<users::Store> store_;  // the desk's thread alone
  Agent agent_;
  UserDocuments documents_;
  std::list<Job> jobs_;
  std::mutex guard_;
  std::condition_variable_any more_;
  std::deque<std::function<void()>> work_;
  std::jthread worker_;
};

}  // namespace lockstep::snapshot
