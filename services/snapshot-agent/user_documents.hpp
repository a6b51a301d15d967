// Documents of user data on their way through this agent, in chunks. They hold secrets: they stay
// in memory, few of them, and go when they are old.
//
// Thread rule: one thread.
#pragma once

#include <list>
#include <string>
#include <string_view>

#include "common/clock/clock.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::snapshot {

inline constexpr std::size_t kUsersChunk = 512 * 1024;
inline constexpr std::size_t kMostUserData = 64 * 1024 * 1024;

class UserDocuments {
 public:
  explicit UserDocuments(const Clock& clock) : clock_(clock) {}

  void put(const std::string& name, std::string document);
  // Appends what comes at `offset`; what is there already is passed over. Error: message-malformed
  // (a gap, too large).
  Result<std::size_t> append(const std::string& name, std::size_t offset, std::string_view bytes);
  // nullptr: not there, or not any more. Holds until the next call.
  const std::string* find(const std::string& name);
  void forget(const std::string& name);
  void forget_old();

 private:
  struct Held {
    std::string name;
    std::string document;
    MonoNanos used;
  };
  Held* held(const std::string& name);

  const Clock& clock_;
  std::list<Held> all_;  // the newest first
};

}  // namespace lockstep::snapshot
