#include "common/transport/gate.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>

#include "common/transport/listen.hpp"

namespace lockstep::transport {

namespace {

// What epoll tells of: a connection's number doubled, with 1 added for the side of libzmq.
constexpr std::uint64_t kListener = 0;
constexpr std::uint64_t kStop = 1;
constexpr std::size_t kOneTurnIn = 1024;
constexpr std::size_t kLeastTurnIn = 256;  // or turns would get ever smaller as all want theirs
constexpr std::size_t kOneTurnOut = std::size_t{64} * 1024;
constexpr Nanos kHeld = seconds(30);
constexpr std::size_t kMostHeld = 1000;
constexpr Nanos kTick = milliseconds(20);
constexpr int kTickMillis = 20;

bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Bytes read; 0: none wait; nothing: the connection has ended.
std::optional<std::size_t> read_some(int from, char* room, std::size_t most) {
  const ::ssize_t size = ::recv(from, room, most, MSG_DONTWAIT);
  if (size > 0) return static_cast<std::size_t>(size);
  if (size < 0 && would_block()) return 0;
  return std::nullopt;
}

// False: the connection has ended. What was not taken stays.
bool write_some(int to, std::string& what) {
  if (what.empty()) return true;
  const ::ssize_t size = ::send(to, what.data(), what.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (size < 0) return would_block();
  what.erase(0, static_cast<std::size_t>(size));
  return true;
}

void watch_for(int poll, int act, int descriptor, std::uint64_t number, std::uint32_t what) {
  ::epoll_event wish{};
  wish.events = what;
  wish.data.u64 = number;
  ::epoll_ctl(poll, act, descriptor, &wish);
}

std::string name_from(const ::sockaddr_un& address, ::socklen_t size) {
  const auto head = offsetof(::sockaddr_un, sun_path);
  return size > head ? std::string(address.sun_path, size - head) : std::string();
}

std::string own_name(int descriptor) {
  ::sockaddr_un address{};
  ::socklen_t size = sizeof address;
  auto* generic = static_cast<::sockaddr*>(static_cast<void*>(&address));
  return ::getsockname(descriptor, generic, &size) == 0 ? name_from(address, size) : std::string();
}

std::string peer_name(int descriptor) {
  ::sockaddr_un address{};
  ::socklen_t size = sizeof address;
  auto* generic = static_cast<::sockaddr*>(static_cast<void*>(&address));
  return ::getpeername(descriptor, generic, &size) == 0 ? name_from(address, size) : std::string();
}

}  // namespace

Result<std::unique_ptr<Gate>> Gate::open(const std::string& endpoint, const std::string& inside,
                                         const Limits& limits) {
  LOCKSTEP_TRY(os::Fd listener, listen_at(endpoint));
  std::unique_ptr<Gate> made(new Gate(std::move(listener), inside, limits));
  const auto watch = [&made](int descriptor, std::uint64_t number) {
    ::epoll_event wish{};
    wish.events = EPOLLIN;
    wish.data.u64 = number;
    return ::epoll_ctl(made->poll_.get(), EPOLL_CTL_ADD, descriptor, &wish) == 0;
  };
  if (!made->poll_ || !made->stop_ || !watch(made->listener_.get(), kListener) ||
      !watch(made->stop_.get(), kStop)) {
    return make_error(ErrorCode::transport,
                      std::string("cannot watch an endpoint: ") + std::strerror(errno), endpoint);
  }
  made->thread_ = std::thread([gate = made.get()] { gate->serve(); });
  return made;
}

Gate::Gate(os::Fd listener, std::string inside, const Limits& limits)
    : clock_(make_system_clock()),
      inside_(std::move(inside)),
      limits_(limits),
      listener_(std::move(listener)),
      poll_(::epoll_create1(EPOLL_CLOEXEC)),
      stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      all_(limits.all, clock_->mono()),
      room_(kOneTurnOut) {}

Gate::~Gate() {
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

bool Gate::look(int inner, const std::function<void(int)>& look) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(peer_name(inner));
  if (found == names_.end()) return false;
  look(found->second.descriptor);
  return true;
}

bool Gate::hold(int inner) {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(peer_name(inner));
  if (found == names_.end()) return false;
  to_hold_.push_back(found->second.id);
  return true;
}

void Gate::serve() {
  std::array<::epoll_event, 128> events{};
  MonoNanos ticked = clock_->mono();
  while (true) {
    const int count =
        ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), kTickMillis);
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == kStop) return;
      if (event.data.u64 == kListener) {
        accept();
      } else {
        turn(event.data.u64, event.events);
      }
    }
    if (const MonoNanos now = clock_->mono(); now - ticked >= kTick) {
      ticked = now;
      tick();
    }
  }
}

void Gate::accept() {
  for (int i = 0; i < 64; ++i) {
    os::Fd outer{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (outer) {
      add(std::move(outer));
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // Whoever is at the door waits; until the next tick, or this thread would spin.
      watch_for(poll_.get(), EPOLL_CTL_MOD, listener_.get(), kListener, 0);
      accepting_ = false;
      return;
    } else if (errno != ECONNABORTED && errno != EINTR) {
      return;
    }
  }
}

// One for which something cannot be had is closed: it comes back by itself.
void Gate::add(os::Fd outer) {
  if (open_.size() >= limits_.most_connections) return;
  const int on = 1;
  ::setsockopt(outer.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // of no meaning on ipc
  auto inner = connect_to_abstract(inside_);
  if (!inner) return;
  auto one = std::make_unique<Connection>(Connection{
      .outer = std::move(outer),
      .inner = std::move(*inner),
      .name = {},
      .allowance = Allowance(limits_.each, clock_->mono()),
      .in = {},
      .out = {},
      .since = {},
  });
  one->name = own_name(one->inner.get());
  const Id id = next_++;
  watch_for(poll_.get(), EPOLL_CTL_ADD, one->outer.get(), id * 2, 0);
  watch_for(poll_.get(), EPOLL_CTL_ADD, one->inner.get(), id * 2 + 1, 0);
  {
    const std::lock_guard lock(mutex_);
    names_[one->name] = {one->outer.get(), id};
  }
  ask(id, *open_.emplace(id, std::move(one)).first->second);
}

// False: it is over.
bool Gate::carry_in(Connection& one) {
  if (one.in.empty()) {
    const MonoNanos now = clock_->mono();
    const std::size_t own = one.allowance.left(now);
    const std::size_t most = std::min({own, all_.left(now), kOneTurnIn});
    if (own < kLeastTurnIn && !one.behind) {
      one.behind = true;
      one.since = now;
    }
    if (most < kLeastTurnIn) {
      one.resting = true;
      return true;
    }
    const auto size = read_some(one.outer.get(), room_.data(), most);
    if (!size) return false;
    one.allowance.take(*size);
    all_.take(*size);
    if (*size < most) one.behind = false;
    one.in.assign(room_.data(), *size);
  }
  return write_some(one.inner.get(), one.in);
}

// False: it is over. What the subscriber did not take by then is lost to it, as it is where libzmq
// closes the connection itself.
bool Gate::carry_out(Connection& one) {
  if (!one.out.empty()) return write_some(one.outer.get(), one.out);
  const auto size = read_some(one.inner.get(), room_.data(), room_.size());
  if (!size) return false;
  one.out.assign(room_.data(), *size);
  return write_some(one.outer.get(), one.out);
}

void Gate::turn(std::uint64_t number, std::uint32_t what) {
  const Id id = number / 2;
  const auto found = open_.find(id);
  if (found == open_.end()) return;  // ended in this round
  Connection& one = *found->second;
  const bool inside = number % 2 == 1;
  // Of libzmq's side what it said last is read first; an outsider that is gone needs nothing more.
  bool live = inside || (what & (EPOLLHUP | EPOLLERR)) == 0;
  const bool readable = (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
  const bool writable = (what & EPOLLOUT) != 0;
  if (live && (inside ? readable : writable)) live = carry_out(one);
  if (live && (inside ? writable : readable)) {
    live = carry_in(one);
    if (!one.resting) last_ = id;
  }
  if (live) {
    ask(id, one);
  } else {
    remove(id);
  }
}

void Gate::ask(Id id, Connection& one) const {
  const std::uint32_t outer = (one.in.empty() && !one.resting ? EPOLLIN : 0U) |
                              (one.out.empty() ? 0U : static_cast<std::uint32_t>(EPOLLOUT));
  const std::uint32_t inner = (one.out.empty() ? EPOLLIN : 0U) |
                              (one.in.empty() ? 0U : static_cast<std::uint32_t>(EPOLLOUT));
  if (outer != one.asked_outer) {
    watch_for(poll_.get(), EPOLL_CTL_MOD, one.outer.get(), id * 2, outer);
  }
  if (inner != one.asked_inner) {
    watch_for(poll_.get(), EPOLL_CTL_MOD, one.inner.get(), id * 2 + 1, inner);
  }
  one.asked_outer = outer;
  one.asked_inner = inner;
}

void Gate::tick() {
  if (!accepting_) {
    accepting_ = true;
    watch_for(poll_.get(), EPOLL_CTL_MOD, listener_.get(), kListener, EPOLLIN);
  }
  const MonoNanos now = clock_->mono();
  std::vector<Id> to_hold;
  {
    const std::lock_guard lock(mutex_);
    to_hold.swap(to_hold_);
  }
  for (const Id id : to_hold) put_aside(id, now);
  while (!held_.empty() && (held_.front().until <= now || held_.size() > kMostHeld)) {
    held_.pop_front();
  }
  // In turn, from behind the one that was last let in: where little is left for all, it is not
  // always the same who get it.
  std::vector<Id> turns;
  const auto from = open_.upper_bound(last_);
  for (auto it = from; it != open_.end(); ++it) turns.push_back(it->first);
  for (auto it = open_.begin(); it != from; ++it) turns.push_back(it->first);
  for (const Id id : turns) {
    Connection& one = *open_.at(id);
    if (!one.resting) continue;
    if (one.behind && now - one.since >= limits_.patience) {
      ++disconnected_;
      put_aside(id, now);
      continue;
    }
    if (std::min(one.allowance.left(now), all_.left(now)) < kLeastTurnIn) continue;
    one.resting = false;
    ask(id, one);
  }
}

void Gate::put_aside(Id id, MonoNanos now) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  os::Fd& outer = found->second->outer;
  ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, outer.get(), nullptr);
  {
    const std::lock_guard lock(mutex_);
    names_.erase(found->second->name);
  }
  held_.push_back({std::move(outer), now + kHeld});
  open_.erase(found);
}

void Gate::remove(Id id) {
  const auto found = open_.find(id);
  {
    const std::lock_guard lock(mutex_);
    names_.erase(found->second->name);
  }
  open_.erase(found);
}

}  // namespace lockstep::transport
