// Tries: the tries of one operation, at which of the NameNodes, and when the next may be made.
//
// A NameNode that stands by, starts, is in safe mode or does not answer is left for the next of the
// list; once all had their turn there is a pause, from 50 ms to 2 s. Trouble beyond the NameNode (a
// DataNode's) leaves the turn where it is.
//
// Thread rule: one thread; each operation has its own.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/components/hdfs/answers.hpp"

namespace lockstep::hdfs {

// Whether another try may end otherwise.
inline bool may_pass(const Failure& failure) {
  return failure.trouble == Trouble::lost || failure.trouble == Trouble::unreached ||
         failure.trouble == Trouble::wait;
}

class Tries {
 public:
  // Requires addresses, which outlive this, and `first` to be one of them.
  // `kind`: what they are, for who reads the failure.
  Tries(const Clock& clock, const std::vector<std::string>& namenodes, std::size_t first,
        MonoNanos until, const char* kind = "NameNodes")
      : clock_(clock), namenodes_(namenodes), until_(until), kind_(kind), turn_(first) {}

  std::size_t turn() const { return turn_; }  // whom to ask
  bool is_first() const { return made_ == 0; }

  // The one whose turn it is serves: it keeps the turn, whatever comes of the rest of the try.
  void served() { round_.clear(); }
  // The one whose turn it was answered with what may pass: the turn is the next one's.
  void left(const Failure& failure);
  // After a try that failed. True: a time for another has come. False: it failed for good, or all
  // have been asked and the time has passed; `failure` then says what each of several answered.
  bool again(Failure& failure);

 private:
  bool pause();
  std::string said() const;

  const Clock& clock_;
  const std::vector<std::string>& namenodes_;
  MonoNanos until_;
  const char* kind_;
  std::size_t turn_;
  int made_ = 0;
  int pauses_ = 0;
  std::vector<std::string> round_;  // what those answered that were asked since the last pause
};

}  // namespace lockstep::hdfs
