// Processes: starting programs (hooks, guards, a host's services) behind one seam.
//
// fork is used for fork-and-exec alone: a child of a process with ZeroMQ sockets must not touch
// them.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/clock/moment.hpp"
#include "common/error/error.hpp"

namespace lockstep::os {

struct Command {
  std::vector<std::string> argv;                   // argv[0] is a path, or is looked up in PATH
  std::map<std::string, std::string> environment;  // in addition to, or over, the caller's own
  std::string directory;                           // working directory; empty: the caller's
  std::string output_file;  // stdout and stderr appended there; empty: inherited
  // A descriptor (of a socket) that becomes stdin and stdout; stderr alone goes to output_file
  // then. The caller's own copy stays open: close it once the child was started.
  int conversation = -1;
  bool detach = false;  // setsid: outlives the caller
  // The kernel sends the child SIGKILL when the calling thread ends (PR_SET_PDEATHSIG). Start such
  // children from a thread that lives as long as the process.
  bool die_with_parent = false;
};

struct Finished {
  int exit_status = 0;  // as a shell tells it: 128 + signal
  bool timed_out = false;
  std::string output;  // stdout and stderr together, at most 64 KiB (the end)
};

// A child. Destroying it neither kills nor forgets the process; wait() or kill first.
class Process {
 public:
  virtual ~Process() = default;
  virtual pid_t pid() const = 0;
  // Nothing while it runs.
  virtual std::optional<int> poll() = 0;
  virtual int wait() = 0;
  virtual void signal(int number) = 0;  // of one that has ended: nothing happens
};

class Processes {
 public:
  virtual ~Processes() = default;
  virtual Result<std::unique_ptr<Process>> start(const Command& command) = 0;
  // Runs to the end, captures the output; on time-out or stop: SIGTERM to its process group, after
  // two seconds SIGKILL.
  virtual Result<Finished> run(const Command& command, Nanos timeout, std::stop_token stop) = 0;
};

std::unique_ptr<Processes> make_system_processes();

}  // namespace lockstep::os
