#include "common/components/hbase/bridge.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "common/components/hbase/helper_source.hpp"
#include "common/components/hdfs/java_flags.hpp"
#include "common/os/durable.hpp"
#include "common/os/processes.hpp"

namespace lockstep::hbase {

namespace {

// An answer tells of every file of a snapshot, some 400 bytes each.
constexpr std::size_t kLongest = std::size_t{512} << 20U;
constexpr auto kLastWords = std::chrono::seconds(5);

Trouble trouble_of(const std::string& kind) {
  static const std::map<std::string, Trouble> kKinds{
      {"unreached", Trouble::unreached}, {"missing", Trouble::missing},
      {"exists", Trouble::exists},       {"denied", Trouble::denied},
      {"kerberos", Trouble::kerberos},   {"hostile", Trouble::hostile},
      {"late", Trouble::late},           {"unsupported", Trouble::unsupported}};
  const auto found = kKinds.find(kind);
  return found == kKinds.end() ? Trouble::other : found->second;
}

bool may_be_repeated(const nlohmann::json& request) {
  const std::string& op = request.at("op").get_ref<const std::string&>();
  return op != "snapshot" && op != "clone" && op != "restore";
}

}  // namespace

struct Bridge::Child {
  os::Fd socket;
  std::unique_ptr<os::Process> process;
  std::mutex sending;
  std::mutex mutex;
  std::condition_variable_any moved;
  std::uint64_t last_id = 0;
  std::map<std::uint64_t, std::optional<nlohmann::json>> waiting;
  bool ended = false;
  std::jthread reader;

  ~Child() {
    // The end of its input ends it.
    if (socket) ::shutdown(socket.get(), SHUT_RDWR);
    if (reader.joinable()) reader.join();
    if (process == nullptr) return;
    const auto until = std::chrono::steady_clock::now() + kLastWords;
    while (!process->poll() && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (!process->poll()) {
      process->signal(SIGKILL);
      (void)process->wait();
    }
  }

  void read() {
    std::string buffer;
    std::array<char, 65536> chunk{};
    for (;;) {
      const ssize_t got = ::recv(socket.get(), chunk.data(), chunk.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 || buffer.size() > kLongest) break;
      const std::size_t from = buffer.size();
      buffer.append(chunk.data(), static_cast<std::size_t>(got));
      std::size_t begin = 0;
      for (std::size_t end = buffer.find('\n', from); end != std::string::npos;
           end = buffer.find('\n', begin)) {
        take(std::string_view(buffer).substr(begin, end - begin));
        begin = end + 1;
      }
      buffer.erase(0, begin);
    }
    const std::lock_guard lock(mutex);
    ended = true;
    moved.notify_all();
  }

  void take(std::string_view line) {
    nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
    if (!answer.is_object() || !answer.contains("id") || !answer["id"].is_number_unsigned()) return;
    const std::lock_guard lock(mutex);
    const auto found = waiting.find(answer["id"].get<std::uint64_t>());
    if (found == waiting.end()) return;  // nobody waits for it any more
    found->second = std::move(answer);
    moved.notify_all();
  }

  bool send(const std::string& line) {
    const std::lock_guard lock(sending);
    for (std::size_t sent = 0; sent < line.size();) {
      const ssize_t count =
          ::send(socket.get(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      sent += static_cast<std::size_t>(count);
    }
    return true;
  }
};

Error to_error(const Failure& failure, ErrorCode side, std::string_view act,
               const std::string& where) {
  const std::string what = "cannot " + std::string(act) + ": " + failure.text;
  switch (failure.trouble) {
    case Trouble::stopped:
      return make_error(ErrorCode::cancelled, what, where);
    case Trouble::unreached:
      return make_error(ErrorCode::unreachable, what, where,
                        "is HBase up, and does `hbase.classpath` begin with the directory of its "
                        "hbase-site.xml?");
    case Trouble::denied:
      return make_error(ErrorCode::permission, what, where,
                        "the user of `hbase:` needs ADMIN on the tables and HBase's directory");
    case Trouble::kerberos:
      return make_error(ErrorCode::not_built_yet, what, where,
                        "this version works with clusters of simple authentication");
    case Trouble::hostile:
      return make_error(ErrorCode::stream_hostile, what, where);
    case Trouble::unsupported:
      return make_error(ErrorCode::not_supported, what, where);
    default:
      return make_error(side, what, where);
  }
}

Bridge::Bridge(const component::Surroundings& surroundings, Settings settings)
    : at_(surroundings),
      settings_(std::move(settings)),
      log_(surroundings.state_directory + "/hbase-helper.log") {}

Bridge::~Bridge() {
  ahead_.request_stop();
  if (ahead_.joinable()) ahead_.join();
}

void Bridge::start_ahead() {
  ahead_ = std::jthread([this](std::stop_token stop) {
    // Whoever asks next is told what went wrong.
    (void)ask({{"op", "about"}}, seconds(60), stop);
  });
}

Reply<std::shared_ptr<Bridge::Child>> Bridge::running() {
  const std::lock_guard lock(mutex_);
  if (child_) {
    const std::lock_guard guard(child_->mutex);
    if (!child_->ended) return child_;
  }
  child_.reset();
  const std::string source = at_.state_directory + "/LockstepHBase.java";
  if (auto written = os::write_durably(at_.disk, source, kHelperSource, {}); !written) {
    return Failure{Trouble::lost, written.error().text()};
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return Failure{Trouble::lost, "no socket pair could be made"};
  }
  auto child = std::make_shared<Child>();
  child->socket = os::Fd{ends[0]};
  const os::Fd theirs{ends[1]};
  os::Command command;
  command.argv = {settings_.java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx512m"};
  const auto& flags = hdfs::java_flags();
  command.argv.insert(command.argv.end(), flags.begin(), flags.end());
  command.argv.insert(command.argv.end(), {"-cp", settings_.classpath, source});
  command.environment["HADOOP_USER_NAME"] = settings_.user;
  command.output_file = log_;
  command.conversation = theirs.get();
  auto process = at_.processes.start(command);
  if (!process) return Failure{Trouble::lost, process.error().text()};
  child->process = std::move(*process);
  child->reader = std::jthread([raw = child.get()] { raw->read(); });
  child_ = child;
  return child;
}

Reply<nlohmann::json> Bridge::ask(const nlohmann::json& request, Nanos patience,
                                  std::stop_token stop) {
  auto answer = ask_once(request, patience, stop);
  if (answer || answer.error().trouble != Trouble::lost || !may_be_repeated(request)) return answer;
  return ask_once(request, patience, stop);
}

Reply<nlohmann::json> Bridge::ask_once(const nlohmann::json& request, Nanos patience,
                                       std::stop_token stop) {
  LOCKSTEP_TRY(const std::shared_ptr<Child> child, running());
  nlohmann::json sent = request;
  std::unique_lock lock(child->mutex);
  const std::uint64_t id = ++child->last_id;
  child->waiting[id];
  sent["id"] = id;
  lock.unlock();
  const bool gone =
      !child->send(sent.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  lock.lock();
  const bool moved =
      gone || child->moved.wait_for(lock, stop, std::chrono::nanoseconds(patience.count),
                                    [&] { return child->ended || child->waiting[id].has_value(); });
  std::optional<nlohmann::json> answer = std::move(child->waiting[id]);
  child->waiting.erase(id);
  if (answer) {
    if (answer->contains("result")) return std::move((*answer)["result"]);
    const nlohmann::json error = answer->value("error", nlohmann::json::object());
    return Failure{trouble_of(error.value("kind", "")), error.value("message", "no reason given")};
  }
  if (gone || child->ended) {
    return Failure{Trouble::lost, "the helper program ended; its last words are in " + log_};
  }
  if (!moved && stop.stop_requested()) return Failure{Trouble::stopped, "asked to stop"};
  return Failure{Trouble::late, "HBase did not answer within " + to_duration(patience)};
}

Reply<std::string> Bridge::root() {
  {
    const std::lock_guard lock(mutex_);
    if (!root_.empty()) return root_;
  }
  LOCKSTEP_TRY(const nlohmann::json about, ask({{"op", "about"}}, seconds(60)));
  const std::string root = about.value("root", "");
  if (!root.starts_with('/')) return Failure{Trouble::other, "hbase.rootdir is no directory"};
  const std::lock_guard lock(mutex_);
  root_ = root;
  return root;
}

}  // namespace lockstep::hbase
