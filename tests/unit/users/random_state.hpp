// Random directories, so small that names and ids meet often.
#pragma once

#include <random>
#include <string>

#include "common/users/state.hpp"

namespace lockstep::test {

class RandomStates {
 public:
  // `units`: LDAP-like trees of names, too.
  RandomStates(unsigned seed, bool units) : random_(seed), units_(units) {}

  users::State next() {
    users::State state;
    std::set<users::Name> taken;
    const int count = below(12);
    for (int i = 0; i < count; ++i) {
      users::Record record;
      record.kind = static_cast<users::Kind>(units_ ? below(4) : 1 + below(3));
      record.name = std::string(1, static_cast<char>('a' + below(6))) + (below(2) ? ",ou=x" : "");
      record.id = record.kind == users::Kind::unit ? "unit:" + record.name
                                                   : "id" + std::to_string(below(14));
      if (!taken.emplace(record.kind, record.name).second) continue;
      if (record.kind != users::Kind::unit) fill(record);
      state.emplace(record.id, record);  // a second of that id is left out
    }
    for (auto& [id, record] : state) {
      if (record.kind != users::Kind::group && record.kind != users::Kind::role) continue;
      for (const auto& [member, other] : state) {
        if (member != id && below(3) == 0) record.members.insert(member);
      }
    }
    return state;
  }

 private:
  int below(int end) { return static_cast<int>(random_() % static_cast<unsigned>(end)); }
  void fill(users::Record& record) {
    record.locked = below(4) == 0;
    for (int i = below(3); i > 0; --i) record.passwords.insert("{X}" + std::to_string(below(3)));
    for (const char* name : {"mail", "phone", "own"}) {
      for (int i = below(3); i > 0; --i) {
        record.attributes[name].insert(std::string("v\xff\n", 3) + std::to_string(below(3)));
      }
    }
  }

  std::mt19937 random_;
  bool units_;
};

}  // namespace lockstep::test
