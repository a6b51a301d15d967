#include "common/os/failpoint.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

namespace lockstep::os {

namespace {

struct Plan {
  std::string name;  // empty: none is to end the process
  long at = 1;
  std::string list_file;  // empty: names are not listed
  std::mutex guard;       // of what follows
  long passed = 0;
  std::set<std::string> listed;
};

Plan* read_plan() {
  const char* wanted = std::getenv("LOCKSTEP_FAILPOINT");
  const char* list = std::getenv("LOCKSTEP_FAILPOINT_LIST");
  if (wanted == nullptr && list == nullptr) return nullptr;
  static Plan plan;
  if (list != nullptr) plan.list_file = list;
  if (wanted != nullptr) {
    plan.name = wanted;
    if (const auto colon = plan.name.rfind(':'); colon != std::string::npos) {
      plan.at = std::strtol(plan.name.c_str() + colon + 1, nullptr, 10);
      plan.name.resize(colon);
    }
  }
  return &plan;
}

void append_line(const std::string& file, const std::string& name) {
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  const std::string line = name + "\n";
  // One write with O_APPEND: several processes may share the file.
  if (::write(fd, line.data(), line.size()) < 0) { /* a sweep then misses a name, nothing else */
  }
  ::close(fd);
}

}  // namespace

void failpoint(const char* name) {
  static Plan* const plan = read_plan();
  if (plan == nullptr) return;
  const std::scoped_lock lock(plan->guard);
  if (!plan->list_file.empty() && plan->listed.insert(name).second) {
    append_line(plan->list_file, name);
  }
  if (plan->name == name && ++plan->passed == plan->at) ::kill(::getpid(), SIGKILL);
}

}  // namespace lockstep::os
