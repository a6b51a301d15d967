// User data as messages and people see it: counts and names, never a password hash or a value.
//
// Thread rule: pure.
#pragma once

#include "common/message/envelope.hpp"
#include "common/users/diff.hpp"

namespace lockstep::users {

// Definitions.json, users_counts.
message::Body counts_of(const Changes& changes);
// Of each change what it is and of whom, at most `limit` of them. `present` and `wanted`: whose
// changes they are.
message::Body changes_shown(const Changes& changes, const State& present, const State& wanted,
                            std::size_t limit = 500);
// Each record's hashes become one `*`.
State without_secrets(State state);

}  // namespace lockstep::users
