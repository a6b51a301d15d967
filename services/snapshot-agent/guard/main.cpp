// lockstep-fence-guard FIFO: undoes the fences of one run when the agent that raised them dies, or
// when they stand too long (guard/orders.hpp). Started by the snapshot-agent, never by hand.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "common/clock/clock.hpp"
#include "common/os/disk.hpp"
#include "common/os/fifo.hpp"
#include "common/os/processes.hpp"
#include "services/snapshot-agent/fence/cgroup.hpp"
#include "services/snapshot-agent/guard/orders.hpp"

namespace {

using namespace lockstep;

void say(const std::string& line) { std::fprintf(stderr, "fence-guard: %s\n", line.c_str()); }

void undo(const std::vector<snapshot::Watched::Due>& due, os::Disk& disk,
          os::Processes& processes) {
  for (const auto& fence : due) {
    auto done = snapshot::perform(fence.undo, disk, processes);
    say("undid the fence " + fence.id + ": " + fence.why +
        (done ? "" : "; it failed: " + done.error().text()));
  }
}

int serve(const std::string& path) {
  const auto disk = os::make_kernel_disk();
  const auto processes = os::make_system_processes();
  const auto clock = make_system_clock();
  // Neither is vital: without them the guard may be slow on a machine short of memory, and a fence
  // that would freeze it is refused by the agent.
  if (auto locked = os::lock_memory(); !locked) say("its memory could not be locked");
  if (auto moved = snapshot::move_to_root(*disk); !moved) say(moved.error().text());

  auto fifo = os::FifoReader::make(*disk, path);
  if (!fifo) {
    say(from_errno(ErrorCode::io, fifo.error().number, "make the fifo", path).text());
    return 1;
  }
  snapshot::Watched watched;
  bool greeted = false;  // the agent opens the fifo and says so at once
  while (true) {
    std::string line;
    const Nanos idle = greeted ? seconds(3600) : seconds(30);
    const Nanos wait = watched.next(clock->mono()).value_or(idle);
    auto got = fifo->next(wait, line);
    if (!got) {
      say(from_errno(ErrorCode::io, got.error().number, "read the fifo", path).text());
      break;
    }
    if (*got == os::FifoReader::Got::end) break;
    if (*got == os::FifoReader::Got::nothing && !greeted) break;
    if (*got == os::FifoReader::Got::line) {
      greeted = true;
      if (auto taken = watched.take(line, clock->mono()); !taken) say(taken.error().text());
    }
    undo(watched.due(clock->mono()), *disk, *processes);
  }
  undo(watched.all(), *disk, *processes);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    say("usage: lockstep-fence-guard FIFO");
    return 2;
  }
  // What stops the agent's group or session must not stop who cleans up after it.
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
  return serve(argv[1]);
}
