#include "common/os/processes.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>

#include "common/os/fd.hpp"

extern char** environ;

namespace lockstep::os {

namespace {

constexpr std::size_t kKeepOutput = 64 * 1024;
constexpr Nanos kGrace = seconds(2);  // between SIGTERM and SIGKILL

int shell_status(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

MonoNanos now() {
  ::timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return {time.tv_sec * 1'000'000'000 + time.tv_nsec};
}

class ChildProcess final : public Process {
 public:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid() const override { return pid_; }

  std::optional<int> poll() override {
    const std::scoped_lock lock(guard_);
    return collect(WNOHANG);
  }

  int wait() override {
    // Waits without collecting and without the lock: poll() and signal() stay usable meanwhile.
    ::siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT) != 0 &&
           errno == EINTR) {
    }
    const std::scoped_lock lock(guard_);
    return collect(0).value_or(0);
  }

  void signal(int number) override { send(pid_, number); }
  void signal_group(int number) { send(-pid_, number); }

 private:
  std::optional<int> collect(int options) {
    if (!status_) {
      int status = 0;
      pid_t got = 0;
      do {
        got = ::waitpid(pid_, &status, options);
      } while (got < 0 && errno == EINTR);
      if (got == pid_) status_ = shell_status(status);
      if (got < 0) status_ = 255;  // somebody else collected it: how it ended is not known
    }
    return status_;
  }

  // Under the lock, and only while it is not collected: its number may belong to another then.
  void send(pid_t to, int number) {
    const std::scoped_lock lock(guard_);
    if (!status_) ::kill(to, number);
  }

  const pid_t pid_;
  std::mutex guard_;
  std::optional<int> status_;
};

// Everything the child needs, made before fork: between fork and exec only calls that are safe in a
// signal handler may be made, since another thread may have held any lock.
struct Prepared {
  std::vector<std::string> texts;
  std::vector<char*> argv;
  std::vector<char*> environment;
  std::string program;
};

std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  const char* path = ::getenv("PATH");
  std::string rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (std::size_t begin = 0; begin <= rest.size();) {
    const std::size_t end = std::min(rest.find(':', begin), rest.size());
    std::string candidate = rest.substr(begin, end - begin);
    candidate += (candidate.empty() ? "./" : "/") + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return name;
}

Prepared prepare(const Command& command) {
  Prepared out;
  out.program = find_program(command.argv.front());
  std::map<std::string, std::string> environment = command.environment;
  for (char** row = environ; *row != nullptr; ++row) {
    const std::string text = *row;
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos) {
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  out.texts = command.argv;
  for (const auto& [name, value] : environment) out.texts.push_back(name + "=" + value);
  for (std::size_t i = 0; i < out.texts.size(); ++i) {
    auto& list = i < command.argv.size() ? out.argv : out.environment;
    list.push_back(out.texts[i].data());
  }
  out.argv.push_back(nullptr);
  out.environment.push_back(nullptr);
  return out;
}

struct ChildSetup {
  int output = -1;  // becomes stdout and stderr; -1: inherited
  int report = -1;  // errno goes there when the program cannot be run
  bool own_group = false;
};

[[noreturn]] void become(const Prepared& prepared, const Command& command, const ChildSetup& setup,
                         pid_t parent) {
  int failed = 0;
  ::sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGQUIT}) {
    ::signal(number, SIG_DFL);
  }
  if (command.detach) ::setsid();
  if (setup.own_group) ::setpgid(0, 0);
  if (command.die_with_parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(255);  // it went before the wish was made
  }
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  if (setup.output >= 0) {
    ::dup2(setup.output, STDOUT_FILENO);
    ::dup2(setup.output, STDERR_FILENO);
  }
  if (command.conversation >= 0) {
    ::dup2(command.conversation, STDIN_FILENO);
    ::dup2(command.conversation, STDOUT_FILENO);
  }
  if (!command.directory.empty() && ::chdir(command.directory.c_str()) != 0) failed = errno;
  if (failed == 0) {
    ::execve(prepared.program.c_str(), prepared.argv.data(), prepared.environment.data());
    failed = errno;
  }
  if (::write(setup.report, &failed, sizeof(failed)) < 0) ::_exit(254);
  ::_exit(255);
}

Result<std::unique_ptr<ChildProcess>> spawn(const Command& command, int output, bool own_group) {
  if (command.argv.empty() || command.argv.front().empty()) {
    return make_error(ErrorCode::usage, "the command is empty");
  }
  const std::string& name = command.argv.front();
  Prepared prepared = prepare(command);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return from_errno(ErrorCode::io, errno, "make a pipe", name);
  }
  Fd report_read{ends[0]};
  Fd report_write{ends[1]};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return from_errno(ErrorCode::io, errno, "start a process", name);
  if (pid == 0) {
    become(prepared, command, ChildSetup{output, report_write.get(), own_group}, parent);
  }
  report_write.reset();
  if (own_group) ::setpgid(pid, pid);  // both do it: whoever comes first
  int failed = 0;
  ssize_t got = 0;
  do {
    got = ::read(report_read.get(), &failed, sizeof(failed));
  } while (got < 0 && errno == EINTR);
  auto child = std::make_unique<ChildProcess>(pid);
  if (got > 0) {  // else exec closed the pipe: the program runs
    (void)child->wait();
    const auto code = failed == EACCES   ? ErrorCode::permission
                      : failed == ENOENT ? ErrorCode::not_found
                                         : ErrorCode::io;
    return from_errno(code, failed, "run the program", name);
  }
  return child;
}

void keep_end(std::string& output) {
  if (output.size() > kKeepOutput) output.erase(0, output.size() - kKeepOutput);
}

// Reads what is there; false at the end of the file.
bool drain(int fd, std::string& output) {
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got > 0) {
      output.append(chunk.data(), static_cast<std::size_t>(got));
      if (output.size() > 2 * kKeepOutput) keep_end(output);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    return got < 0;
  }
}

class SystemProcesses final : public Processes {
 public:
  Result<std::unique_ptr<Process>> start(const Command& command) override {
    Fd output;
    if (!command.output_file.empty()) {
      output =
          Fd{::open(command.output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
      if (!output) {
        return from_errno(ErrorCode::io, errno, "open the output file", command.output_file);
      }
    }
    LOCKSTEP_TRY(auto child, spawn(command, output.get(), false));
    return std::unique_ptr<Process>(std::move(child));
  }

  Result<Finished> run(const Command& command, Nanos timeout, std::stop_token stop) override {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
      return from_errno(ErrorCode::io, errno, "make a pipe", "for the output of a program");
    }
    Fd reading{ends[0]};
    Fd writing{ends[1]};
    ::fcntl(reading.get(), F_SETFL, O_NONBLOCK);
    Fd stopped{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    LOCKSTEP_TRY(auto child, spawn(command, writing.get(), true));
    writing.reset();
    Fd ended{static_cast<int>(::syscall(SYS_pidfd_open, child->pid(), 0))};
    const std::stop_callback on_stop(stop, [&] { ::eventfd_write(stopped.get(), 1); });

    Finished finished;
    const MonoNanos deadline = now() + timeout;
    std::optional<MonoNanos> kill_at;
    bool reading_open = true;
    while (!child->poll()) {
      const MonoNanos next = kill_at.value_or(deadline);
      // Without pidfd_open (before Linux 5.3) the end is noticed by looking every 20 ms.
      const std::int64_t most = ended ? 60'000 : 20;
      const std::int64_t left =
          std::clamp<std::int64_t>((next - now()).count / 1'000'000 + 1, 0, most);
      std::array<::pollfd, 3> wanted{{{reading_open ? reading.get() : -1, POLLIN, 0},
                                      {ended.get(), POLLIN, 0},
                                      {kill_at ? -1 : stopped.get(), POLLIN, 0}}};
      ::poll(wanted.data(), wanted.size(), static_cast<int>(left));
      if (reading_open) reading_open = drain(reading.get(), finished.output);
      if (!kill_at && (stop.stop_requested() || now() >= deadline)) {
        finished.timed_out = true;
        child->signal_group(SIGTERM);
        kill_at = now() + kGrace;
      } else if (kill_at && now() >= *kill_at) {
        child->signal_group(SIGKILL);
        kill_at = now() + kGrace;
      }
    }
    // What the program itself wrote is in the pipe by now; a grandchild that still holds the other
    // end is not waited for.
    if (reading_open) drain(reading.get(), finished.output);
    keep_end(finished.output);
    finished.exit_status = child->wait();
    return finished;
  }
};

}  // namespace

std::unique_ptr<Processes> make_system_processes() { return std::make_unique<SystemProcesses>(); }

}  // namespace lockstep::os
