// What a directory held before another's user data went into it: kept, for what only it had would
// be nowhere else. After a promotion the old primary's directory is made like the new one's by the
// first complete run, whether or not somebody thought of the users that only the old one had.
//
// Below <state>/user-data-before/<cluster>/:
//   epoch-<N>.jsonl         before the first application under an identity epoch
//   point-<transfer>.jsonl  before each application of a point's user data
// A document of user data (docs/users.md), mode 0600, the directory 0700. No one removes them but a
// person.
//
// Thread rule: any thread; one at a time of one directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/error/error.hpp"
#include "common/os/disk.hpp"
#include "common/users/state.hpp"

namespace lockstep::snapshot {

struct Aside {
  std::string state;        // of the site: where journals lie, too
  std::string cluster;      // whose directory
  std::uint64_t epoch = 0;  // under which it is applied
  std::string transfer;     // of this application
  bool of_point = false;
};

// `held`: what the directory holds, of a `store` of that kind. Durable when it returns: its path;
// nothing where this epoch's was kept before.
// Errors: permission, no-space, target-write.
Result<std::optional<std::string>> keep_aside(os::Disk& disk, const Aside& aside,
                                              const users::State& held, std::string_view store);

}  // namespace lockstep::snapshot
