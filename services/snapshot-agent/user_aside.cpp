#include "services/snapshot-agent/user_aside.hpp"

#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"

namespace lockstep::snapshot {

Result<std::optional<std::string>> keep_aside(os::Disk& disk, const Aside& aside,
                                              const users::State& held, std::string_view store) {
  const std::string directory = aside.state + "/user-data-before/" + aside.cluster;
  const std::string name =
      aside.of_point ? "point-" + aside.transfer : "epoch-" + std::to_string(aside.epoch);
  const std::string path = directory + "/" + name + ".jsonl";
  if (os::exists(disk, path)) return std::optional<std::string>();
  LOCKSTEP_CHECK(os::make_directories(disk, directory));
  os::failpoint("users.aside");
  LOCKSTEP_CHECK(os::write_durably(disk, path, users::to_document(held, store), {}));
  return std::optional<std::string>(path);
}

}  // namespace lockstep::snapshot
