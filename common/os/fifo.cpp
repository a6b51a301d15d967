#include "common/os/fifo.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace lockstep::os {

namespace {

constexpr std::size_t kLongest = 64 * 1024;  // what a pipe holds

int in_milliseconds(Nanos span) {
  constexpr std::int64_t kMilli = 1'000'000;
  const std::int64_t whole = (span.count + kMilli - 1) / kMilli;
  return whole < 0 ? 0 : whole > 3'600'000 ? 3'600'000 : static_cast<int>(whole);
}

Sys<short> wait_for(int fd, short events, Nanos timeout) {
  ::pollfd look{fd, events, 0};
  const int ready = ::poll(&look, 1, in_milliseconds(timeout));
  if (ready < 0 && errno != EINTR) return Errno{errno};
  return ready > 0 ? look.revents : short{0};
}

// SIGPIPE is raised in the thread that writes: held back there, and taken off before it is let in.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    ::sigemptyset(&pipe_);
    ::sigaddset(&pipe_, SIGPIPE);
    ::sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const ::timespec none{};
    if (!was_pending_) {
      while (::sigtimedwait(&pipe_, nullptr, &none) < 0 && errno == EINTR) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  ::sigset_t pipe_{};
  ::sigset_t before_{};
  bool was_pending_ = false;
};

}  // namespace

Sys<FifoReader> FifoReader::make(Disk& disk, const std::string& path) {
  if (auto made = disk.make_node(kCwd, path, S_IFIFO | 0600, 0); !made) return made.error();
  auto opened = disk.open(kCwd, path, O_RDONLY | O_NONBLOCK);
  if (!opened) return opened.error();
  return FifoReader(std::move(*opened));
}

bool FifoReader::take(std::string& line) {
  const std::size_t end = buffer_.find('\n');
  if (end == std::string::npos) return false;
  line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return true;
}

Sys<FifoReader::Got> FifoReader::next(Nanos timeout, std::string& line) {
  if (take(line)) return Got::line;
  auto ready = wait_for(fd_.get(), POLLIN, timeout);
  if (!ready) return ready.error();
  if (*ready == 0) return Got::nothing;
  std::array<char, 4096> bytes{};
  while (true) {
    const ssize_t count = ::read(fd_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return take(line) ? Got::line : Got::nothing;
    if (count < 0) return Errno{errno};
    // An end without a hang-up is a fifo that no writer has opened yet; poll does not wake for it.
    if (count == 0) return take(line) ? Got::line : Got::end;
    buffer_.append(bytes.data(), static_cast<std::size_t>(count));
    if (take(line)) return Got::line;
  }
}

Sys<FifoWriter> FifoWriter::open(Disk& disk, const std::string& path, Nanos timeout) {
  constexpr Nanos kStep = milliseconds(2);
  for (Nanos waited;; waited = waited + kStep) {
    auto opened = disk.open(kCwd, path, O_WRONLY | O_NONBLOCK);
    if (opened) {
      // From here on a full pipe may wait: the reader takes lines as they come.
      const int flags = ::fcntl(opened->get(), F_GETFL);
      if (flags < 0 || ::fcntl(opened->get(), F_SETFL, flags & ~O_NONBLOCK) != 0) {
        return Errno{errno};
      }
      return FifoWriter(std::move(*opened));
    }
    const int number = opened.error().number;
    if ((number != ENXIO && number != ENOENT) || waited >= timeout) return Errno{number};
    const ::timespec step{0, static_cast<long>(kStep.count)};
    ::nanosleep(&step, nullptr);
  }
}

Sys<void> FifoWriter::send(std::string_view line) {
  if (line.size() >= kLongest) return Errno{EMSGSIZE};
  const std::string whole = std::string(line) + "\n";
  const WithoutSigpipe quiet;
  std::size_t done = 0;
  while (done < whole.size()) {
    const ssize_t count = ::write(fd_.get(), whole.data() + done, whole.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Errno{errno};
    done += static_cast<std::size_t>(count);
  }
  return {};
}

Sys<bool> wait_changed(int fd, Nanos timeout) {
  auto ready = wait_for(fd, POLLPRI, timeout);
  if (!ready) return ready.error();
  return (*ready & POLLPRI) != 0;
}

Sys<void> lock_memory() {
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) return Errno{errno};
  return {};
}

}  // namespace lockstep::os
