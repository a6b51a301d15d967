// What one site knows of the identity epochs: who is the primary under which number, and how far it
// has bound itself for the next one. Three sites keep such a record each: the control device and
// the registrar of either cluster.
//
// Thread rule: values.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lockstep::identity {

// One identity epoch, decided: by two of the three sites or, `alone`, by a person's word at fewer.
struct Decision {
  std::uint64_t number = 0;
  std::string promotion;  // UUIDv7 of what the user asked for
  std::string primary;    // the cluster that is the primary from here on
  std::string by;         // the user's key
  std::string at;         // instant, RFC 3339
  bool alone = false;     // --force-alone; said for ever
  bool operator==(const Decision&) const = default;
};

// One try to have a number decided. No two tries have the same ballot: the token is made for each.
struct Ballot {
  std::uint64_t round = 0;
  std::string token;
  auto operator<=>(const Ballot&) const = default;
};

struct Accepted {
  Ballot ballot;
  Decision decision;
  bool operator==(const Accepted&) const = default;
};

// How far the site is bound for the number after its last decision. An acceptance is no decision.
struct Vote {
  Ballot promised;  // nothing below this ballot is taken any more
  std::optional<Accepted> accepted;
  bool operator==(const Vote&) const = default;
};

// Site name -> which life of its record. A record that was lost and begun anew is another life,
// and what the earlier one had said counts no more together with who knows of the new one.
using Incarnations = std::map<std::string, std::string>;

// What a site is told by another one that it asks for what is known.
struct Lesson {
  std::string site;
  std::string incarnation;
  bool known = false;  // false: it has lost its record itself, or is as new
  std::vector<Decision> decided;
  Vote vote;
  Incarnations incarnations;
  Incarnations founders;
};

struct Record {
  std::string site;
  std::string incarnation;
  // False: made anew, by a first start or after a loss; it does not vote.
  bool known = false;
  std::vector<Decision> decided;  // by number, ascending; one for each number, for ever
  Vote vote;                      // for the number after the last decided
  Incarnations incarnations;      // of the other sites, as they last told
  // Of all three when all were new: who still lives that life has never forgotten anything.
  Incarnations founders;
  // Decisions of a number for which this site holds another one: two lone survivors acted. A person
  // has to look; the next promotion supersedes both.
  std::vector<Decision> clashes;
  std::string active;  // the promotion for which this cluster's data sets were made live
  std::map<std::string, Lesson> lessons;  // while not known: what the others told

  const Decision* last() const { return decided.empty() ? nullptr : &decided.back(); }
  // Whether this site's cluster, as the primary, may be used: in the first epoch, or once
  // activated.
  bool is_active() const {
    return last() != nullptr && (last()->number == 1 || last()->promotion == active);
  }
  std::uint64_t number() const { return decided.empty() ? 0 : decided.back().number; }
};

}  // namespace lockstep::identity
