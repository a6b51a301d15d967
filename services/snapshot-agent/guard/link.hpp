// GuardLink: the agent's end of its guard (guard/orders.hpp). One guard serves one run; it is
// started at arm and ends when this object, or the process, does.
//
// Thread rule: any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "common/os/fifo.hpp"
#include "services/snapshot-agent/fence/undo.hpp"
#include "services/snapshot-agent/tools.hpp"

namespace lockstep::snapshot {

class GuardLink {
 public:
  // Starts the guard and waits until it listens. Error: fence-failed.
  static Result<std::unique_ptr<GuardLink>> start(const Tools& tools, const std::string& run);
  ~GuardLink();

  pid_t pid() const { return process_->pid(); }

  // Told before the fence goes up; from then on the guard undoes it if this process dies, or when
  // `timeout` has passed. Error: fence-failed (the guard is gone).
  Result<void> watch(const std::string& id, Nanos timeout, const Undo& undo);
  // Told after the fence was taken down.
  Result<void> forget(const std::string& id);

 private:
  GuardLink(std::unique_ptr<os::Process> process, os::FifoWriter writer);
  Result<void> send(const std::string& line);

  std::unique_ptr<os::Process> process_;
  std::mutex mutex_;
  std::unique_ptr<os::FifoWriter> writer_;
};

}  // namespace lockstep::snapshot
