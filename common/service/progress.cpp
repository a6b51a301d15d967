#include "common/service/progress.hpp"

namespace lockstep::service {

using message::Body;

void ProgressBoard::put(const std::string& set, const SetProgress& progress) {
  const std::scoped_lock lock(guard_);
  sets_[set] = progress;
}

Body ProgressBoard::body() const {
  const std::scoped_lock lock(guard_);
  Body sets = Body::array();
  for (const auto& [name, progress] : sets_) {
    Body set{{"name", name}, {"entries", progress.entries}, {"bytes", progress.bytes}};
    if (progress.bytes_expected) set["bytes_expected"] = *progress.bytes_expected;
    if (progress.bytes_expected && progress.at_most) set["at_most"] = true;
    sets.push_back(std::move(set));
  }
  return {{"sets", std::move(sets)}};
}

}  // namespace lockstep::service
