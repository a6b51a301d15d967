#include "services/snapshot-agent/guard/link.hpp"

#include "services/snapshot-agent/guard/orders.hpp"

namespace lockstep::snapshot {

namespace {

constexpr Nanos kStart = seconds(5);

}  // namespace

GuardLink::GuardLink(std::unique_ptr<os::Process> process, os::FifoWriter writer)
    : process_(std::move(process)), writer_(std::make_unique<os::FifoWriter>(std::move(writer))) {}

Result<std::unique_ptr<GuardLink>> GuardLink::start(const Tools& tools, const std::string& run) {
  const std::string fifo = tools.state + "/guard-" + run;
  (void)tools.disk.unlink(os::kCwd, fifo);  // of an agent that died before its guard was up
  os::Command command;
  command.argv = {tools.guard_program, fifo};
  command.detach = true;
  command.output_file = tools.state + "/fence-guard.log";
  LOCKSTEP_TRY(std::unique_ptr<os::Process> process, tools.processes.start(command));
  auto writer = os::FifoWriter::open(tools.disk, fifo, kStart);
  (void)tools.disk.unlink(os::kCwd, fifo);
  if (!writer) {
    process->signal(9);
    (void)process->wait();
    return make_error(ErrorCode::fence_failed, "the guard of the fences did not start",
                      tools.guard_program, "see " + command.output_file);
  }
  std::unique_ptr<GuardLink> link(new GuardLink(std::move(process), std::move(*writer)));
  LOCKSTEP_CHECK(link->forget("hello"));
  return link;
}

GuardLink::~GuardLink() {
  writer_.reset();  // the guard sees the end, undoes what is left, and ends
  (void)process_->wait();
}

Result<void> GuardLink::send(const std::string& line) {
  const std::lock_guard lock(mutex_);
  if (auto sent = writer_->send(line); !sent) {
    return from_errno(ErrorCode::fence_failed, sent.error().number, "tell the guard of the fences");
  }
  return {};
}

Result<void> GuardLink::watch(const std::string& id, Nanos timeout, const Undo& undo) {
  return send(watch_line(id, timeout, undo));
}

Result<void> GuardLink::forget(const std::string& id) { return send(forget_line(id)); }

}  // namespace lockstep::snapshot
