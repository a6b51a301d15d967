#include "common/components/hdfs/tries.hpp"

#include <algorithm>

#include "common/components/hdfs/address.hpp"

namespace lockstep::hdfs {

void Tries::left(const Failure& failure) {
  round_.push_back(host_of(namenodes_[turn_]) + ": " + failure.text);
  turn_ = (turn_ + 1) % namenodes_.size();
}

bool Tries::again(Failure& failure) {
  ++made_;
  if (!may_pass(failure)) return false;
  if (!round_.empty() && round_.size() < namenodes_.size()) return true;
  if (!pause()) {
    if (round_.size() > 1) failure.text = said();
    return false;
  }
  round_.clear();
  return true;
}

bool Tries::pause() {
  // 50 ms, 100 ms, ... 2 s
  const Nanos span{std::min<std::int64_t>(std::int64_t{50'000'000} << std::min(pauses_, 6),
                                          std::int64_t{2'000'000'000})};
  if (clock_.mono() + span > until_) return false;
  (void)clock_.wait_for(span, {});
  ++pauses_;
  return true;
}

std::string Tries::said() const {
  std::string out = std::string("none of the ") + kind_ + " serves";
  const char* before = " (";
  for (const std::string& one : round_) {
    out += before + one;
    before = "; ";
  }
  return out + ")";
}

}  // namespace lockstep::hdfs
