// Rules: what happens to the messages that pass between two services. Pure.
#pragma once

#include <string>
#include <vector>

#include "common/clock/moment.hpp"

namespace lockstep::cli::inject {

enum class Fate { pass, drop, delay, duplicate, reorder };

// For messages of `type` ("snapshot.*" for all that begin so), in either direction: after `skip` of
// them, `times` of them.
struct Rule {
  std::string type;
  Fate fate = Fate::drop;
  int skip = 0;
  int times = 1;
  Nanos by = seconds(2);  // delay: so long; reorder: at most so long
};

class Rules {
 public:
  explicit Rules(std::vector<Rule> rules = {})
      : rules_(std::move(rules)), seen_(rules_.size(), 0) {}

  struct Decision {
    Fate fate = Fate::pass;
    Nanos by;
  };
  // Of the first rule whose turn it is.
  Decision decide(const std::string& type);

 private:
  std::vector<Rule> rules_;
  std::vector<int> seen_;
};

bool is_of(const std::string& pattern, const std::string& type);

}  // namespace lockstep::cli::inject
