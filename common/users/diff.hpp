// What makes one directory's user data that of another: additions, changes, renames, removals,
// memberships, locks; in an order in which a store can carry them out one by one.
//
// Thread rule: values; pure functions.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/users/state.hpp"

namespace lockstep::users {

// Which attributes are carried over; the others are those of the secondary and left alone.
struct Scope {
  std::optional<std::set<std::string>> only;  // nothing: all
  std::set<std::string> own;                  // never, even where `only` names them

  bool covers(const std::string& attribute) const {
    return !own.contains(attribute) && (!only || only->contains(attribute));
  }
};

// Of a kind of store: LDAP knows attributes in any case, and an entry is none without its classes.
Scope scope_for(const std::string& store, std::optional<std::set<std::string>> only,
                std::set<std::string> own);

struct Change {
  enum class What {
    adopt,   // the record `id` has the wanted name already: its id becomes `to`
    leave,   // `values` are members of it no more
    remove,  // with its memberships
    rename,  // from `name` to `to`
    add,     // `record`
    set,     // `attribute` has these `values`; none: it goes
    passwords,
    lock,
    unlock,
    join,  // `values` are members of it, too
  };
  What what = What::set;
  Kind kind = Kind::user;
  std::string id;
  std::string name;
  std::string to = {};
  std::string attribute = {};
  Values values = {};
  std::optional<Record> record = {};
};
using Changes = std::vector<Change>;

const char* what_name(Change::What what);

// What takes `present` to `wanted`, less what the scope leaves alone. Records are the same by kind
// and id; one of another id that has the wanted name is adopted. Requires: check() was content with
// both.
Changes diff(const State& present, const State& wanted, const Scope& scope);

// Carries out in order. Error: internal, where a change does not fit the state (a name taken, a
// record not there): what diff() made of that state always fits.
Result<State> carry_out(State state, const Changes& changes);

// What stops a directory from being emptied by a wrong one.
struct Guard {
  std::size_t removals = 50;  // more are refused
  std::size_t percent = 20;   // of the records that are there; more are refused
};
// Error: guard, with the number to allow.
Result<void> admit(const Guard& guard, const Changes& changes, std::size_t present);

}  // namespace lockstep::users
