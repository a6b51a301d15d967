// CapturesUsers: offered by Snapshots whose versions hold a cluster's user data (docs/users.md).
// What was read, and from when to when, is known once the pin is settled, and stands in the
// certificate beside the pin: user data is no part of what the fences hold and the skew counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/component/data_set.hpp"

namespace lockstep::component {

// The component of user data, and the name of the set in a service that pins it with its runs.
inline constexpr const char* kUserData = "users";
inline constexpr const char* kUserDataSet = "user-data";

struct UserCapture {
  std::string store;                             // "embedded", "ldap"
  std::string digest;                            // SHA-256 of the document, hexadecimal
  std::map<std::string, std::uint64_t> records;  // how many of each kind
  Interval captured;  // the content is that of an instant in it, on the host's clock
};

// Thread rule: any thread.
class CapturesUsers {
 public:
  virtual ~CapturesUsers() = default;
  // Of a version that settle() returned. Error: version-missing.
  virtual Result<UserCapture> capture_of(const Version& version) const = 0;
};

}  // namespace lockstep::component
