#include "common/os/failpoint.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

#include "common/os/fd.hpp"

namespace lockstep::os {

namespace {

struct Death {
  std::string name;  // empty: none
  long at = 1;
  bool stops = false;  // goes on by SIGCONT
  long passed = 0;

  bool comes(const std::string& now) { return !name.empty() && name == now && ++passed == at; }
};

struct Plan {
  Death given;            // by the environment
  std::string file;       // where one may be told later; empty: nowhere
  std::string list_file;  // empty: names are not listed
  std::mutex guard;       // of what follows
  std::string told_text;  // of `file`, when it was read last
  Death told;             // what it says
};

Death death_of(std::string text) {
  Death death;
  while (text.ends_with('\n')) text.pop_back();
  constexpr std::string_view kStop = "stop ";
  if (text.starts_with(kStop)) {
    death.stops = true;
    text.erase(0, kStop.size());
  }
  if (const auto colon = text.rfind(':'); colon != std::string::npos) {
    death.at = std::strtol(text.c_str() + colon + 1, nullptr, 10);
    text.resize(colon);
  }
  death.name = std::move(text);
  return death;
}

Plan* read_plan() {
  const char* wanted = std::getenv("LOCKSTEP_FAILPOINT");
  const char* file = std::getenv("LOCKSTEP_FAILPOINT_FILE");
  const char* list = std::getenv("LOCKSTEP_FAILPOINT_LIST");
  if (wanted == nullptr && file == nullptr && list == nullptr) return nullptr;
  static Plan plan;
  if (wanted != nullptr) plan.given = death_of(wanted);
  if (file != nullptr) plan.file = file;
  if (list != nullptr) plan.list_file = list;
  return &plan;
}

void append_line(const std::string& file, const std::string& name) {
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!fd) return;
  const std::string line = name + "\n";
  // One write with O_APPEND: several processes may share the file.
  if (::write(fd.get(), line.data(), line.size()) < 0) {
    // A sweep then misses a name, nothing else.
  }
}

std::string text_of(const std::string& file) {
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return {};
  std::array<char, 256> text{};
  const auto got = ::read(fd.get(), text.data(), text.size());
  return got > 0 ? std::string(text.data(), static_cast<std::size_t>(got)) : std::string();
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

}  // namespace

void failpoint(const char* name) {
  static Plan* const plan = read_plan();
  if (plan == nullptr) return;
  const std::scoped_lock lock(plan->guard);
  if (!plan->list_file.empty()) append_line(plan->list_file, name);
  if (plan->given.comes(name)) die();
  if (plan->file.empty()) return;
  if (std::string text = text_of(plan->file); text != plan->told_text) {
    plan->told = death_of(text);
    plan->told_text = std::move(text);
  }
  if (plan->told.comes(name)) {
    ::unlink(plan->file.c_str());
    if (!plan->told.stops) die();
    // To this thread: it would run on while another one is woken to stop the process.
    ::raise(SIGSTOP);
  }
}

}  // namespace lockstep::os
