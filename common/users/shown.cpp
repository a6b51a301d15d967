#include "common/users/shown.hpp"

#include "common/message/bytes.hpp"

namespace lockstep::users {

using message::Body;
using message::text_or_bytes;

Body counts_of(const Changes& changes) {
  using What = Change::What;
  Body out;
  for (const char* name : {"added", "removed", "renamed", "changed", "passwords", "locked",
                           "unlocked", "memberships", "adopted"}) {
    out[name] = 0;
  }
  std::set<std::string> changed;
  const auto count = [&out](const char* name, std::size_t by = 1) {
    out[name] = out[name].get<std::uint64_t>() + by;
  };
  std::map<std::string, int> renamed;
  for (const Change& change : changes) {
    switch (change.what) {
      case What::add:
        count("added");
        break;
      case What::remove:
        count("removed");
        break;
      case What::rename:  // one that passes by a third name is one
        if (renamed[change.id]++ == 0) count("renamed");
        break;
      case What::set:
        if (changed.insert(change.id).second) count("changed");
        break;
      case What::passwords:
        count("passwords");
        break;
      case What::lock:
        count("locked");
        break;
      case What::unlock:
        count("unlocked");
        break;
      case What::join:
      case What::leave:
        count("memberships", change.values.size());
        break;
      case What::adopt:
        count("adopted");
        break;
    }
  }
  return out;
}

Body changes_shown(const Changes& changes, const State& present, const State& wanted,
                   std::size_t limit) {
  constexpr std::size_t kMembers = 20;
  const auto name_of = [&](const std::string& id) {
    const auto in_wanted = wanted.find(id);
    if (in_wanted != wanted.end()) return in_wanted->second.name;
    const auto in_present = present.find(id);
    return in_present == present.end() ? id : in_present->second.name;
  };
  Body out = Body::array();
  for (const Change& change : changes) {
    if (out.size() == limit) break;
    Body shown{{"what", what_name(change.what)},
               {"kind", kind_name(change.kind)},
               {"name", text_or_bytes(change.name)}};
    if (change.what == Change::What::rename) shown["to"] = text_or_bytes(change.to);
    if (change.what == Change::What::set) shown["attribute"] = text_or_bytes(change.attribute);
    if (change.what == Change::What::join || change.what == Change::What::leave) {
      Body members = Body::array();
      for (const auto& id : change.values) {
        if (members.size() == kMembers) break;
        members.push_back(text_or_bytes(name_of(id)));
      }
      shown["members"] = std::move(members);
    }
    out.push_back(std::move(shown));
  }
  return out;
}

State without_secrets(State state) {
  for (auto& [id, record] : state) {
    if (!record.passwords.empty()) record.passwords = {"*"};
  }
  return state;
}

}  // namespace lockstep::users
