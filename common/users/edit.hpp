// What a person asks of the embedded store (`lockstep users edit`), by names.
//
// Thread rule: pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/users/state.hpp"

namespace lockstep::users {

struct Edit {
  enum class How { change, add, remove };
  How how = How::change;
  Kind kind = Kind::user;
  std::string name;
  std::string id;  // of what is added
  std::string rename;
  std::map<std::string, Values> set;  // no values: the attribute goes
  std::optional<bool> locked;
  std::optional<Values> passwords;
  Values join;   // names of groups and roles that it is to be a member of
  Values leave;  // ... no more. A name that is both a group and a role: "group:NAME", "role:NAME"
};

// The state afterwards. Errors: not-found, guard (the name is taken), usage.
Result<State> edit(State state, const Edit& edit);

}  // namespace lockstep::users
