// RunState: what one run's pins on this agent have come to, and what each request for it is to get.
//
// Pure: values in, values out; no clock, socket, file or thread. The agent (agent.hpp) journals,
// acts and tells it what came of it. Standard library only.
//
// A run is open from its first arm until it is committed or over. Over is final: a tombstone stays,
// so that a late arm or pin of that run does nothing. Steps of one run never overlap, except that a
// drop may arrive at any time: it waits for the step under way, which is told to stop.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::snapshot {

enum class Ask { arm, raise, pin, lower, commit, keep, drop };

struct Question {
  Ask ask = Ask::arm;
  std::string step;  // as in the envelope: "pin", "pin.2"
  int attempt = 1;
  std::vector<std::string> sets;  // this agent's among those named (raise, pin)
  std::int64_t now = 0;           // UTC, nanoseconds
  std::optional<std::int64_t> deadline;
};

enum class Answer {
  act,            // do it
  again,          // it was done: answer as before
  accepted,       // it is under way: the answer will come
  wait_then_act,  // a drop: stop the step under way, then do it
  expired,        // commit: final
  refuse,         // with `why`
};

// Codes as in common/errors.yaml, so that this file needs nothing but text.
struct Decision {
  Answer answer = Answer::act;
  std::string code;
  std::string why;
};

enum class Over { no, dropped, expired, lost, failed };
const char* over_name(Over over);
std::optional<Over> over_from_name(const std::string& name);

struct SetState {
  bool wants_fence = false;  // its policy fences it
  bool fence_up = false;
  bool fence_was_up = false;
  bool pinned = false;
};

class RunState {
 public:
  // A run that this agent does not know yet.
  RunState() = default;

  // What is left of one that ended before: answers as it must for ever.
  static RunState ended(Over over);
  static RunState committed_before();

  Decision decide(const Question& question) const;

  // The step was begun, and what came of it. Exactly one of the latter two follows each begin().
  void begin(const Question& question);
  void done(const std::string& step);
  void failed(const std::string& step);

  // Facts, told after the step that made them.
  void armed(const std::map<std::string, SetState>& sets, std::int64_t moment, std::int64_t lease);
  void moment_moved(std::int64_t moment);
  void fence_raised(const std::string& set);
  void fence_lowered(const std::string& set);
  void pinned(const std::vector<std::string>& sets, std::int64_t now);
  void committed();
  void ended_as(Over over);

  // A drop is waiting for the step under way.
  void drop_asked() { drop_waits_ = true; }
  bool drop_waits() const { return drop_waits_; }

  // An uncommitted run whose lease has run out, and of which no step is under way.
  bool lease_over(std::int64_t now) const;
  std::int64_t lease_until() const { return lease_until_; }

  bool is_armed() const { return armed_; }
  bool is_committed() const { return committed_; }
  Over over() const { return over_; }
  bool busy() const { return !busy_.empty(); }
  const std::string& busy_with() const { return busy_; }
  const std::map<std::string, SetState>& sets() const { return sets_; }

 private:
  Decision decide_over(const Question& question) const;
  Decision decide_raise(const Question& question) const;
  Decision decide_pin(const Question& question) const;
  Decision decide_commit() const;

  bool armed_ = false;
  bool committed_ = false;
  Over over_ = Over::no;
  bool drop_waits_ = false;
  std::string busy_;                     // the step under way
  std::map<std::string, int> attempts_;  // highest seen, by step
  std::map<std::string, bool> done_;     // steps that are done
  std::map<std::string, SetState> sets_;
  std::int64_t lease_ = 0;
  std::int64_t lease_until_ = 0;
};

}  // namespace lockstep::snapshot
