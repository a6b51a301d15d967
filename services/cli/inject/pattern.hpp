// Pattern: what a scenario expects of a reply or an event, and the values that it writes into what
// it sends. Pure.
//
// A pattern is JSON. A map fits where each of its keys is there and fits; a list fits one of the
// same length; "*" fits whatever is there; "/.../" is a regular expression (ECMAScript) for a whole
// text; anything else fits its equal.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/clock/moment.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::cli::inject {

using message::Body;

// Where and how `value` does not fit: "/body/error/code: expected ..., found ...". Nothing where
// it does.
std::optional<std::string> mismatch(const Body& pattern, const Body& value,
                                    const std::string& pointer = {});

// The values that a scenario names as ${NAME}. A text that is nothing but one of them becomes the
// value itself, so that numbers stay numbers.
class Values {
 public:
  void set(const std::string& name, Body value) { values_[name] = std::move(value); }
  // ${NAME}; ${uuid:NAME}, made at its first use; ${now}, ${now+5s}, ${now-1h}.
  // Error: config-bad-value for a name that has no value.
  Result<Body> fill(const Body& wish, UtcNanos now);

 private:
  Result<Body> look_up(const std::string& name, UtcNanos now);

  std::map<std::string, Body> values_;
};

}  // namespace lockstep::cli::inject
