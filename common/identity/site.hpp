// A site's part in the agreement on identity epochs. Each number is one single-decree agreement
// (Paxos): a promise, then an acceptance, at two of the three sites; what two have accepted of one
// ballot is decided, and only decisions are acted upon.
//
// The caller keeps the record durable before it lets any answer out.
//
// Thread rule: pure functions of the record.
#pragma once

#include "common/identity/record.hpp"

namespace lockstep::identity {

// Every answer tells who gives it and whom it knows, so that answers of a life that was forgotten
// are not counted (proposal.hpp).
struct Answer {
  std::string site;
  std::string incarnation;
  Incarnations incarnations;
  bool known = false;
  bool granted = false;
  Ballot promised;                   // the highest, where it was refused
  std::optional<Accepted> accepted;  // of a promise: what the site had accepted before
  std::optional<Decision> decided;   // the number asked about, or a later one, is decided
};

// `after`: the decision before the number that is asked about; a site that has not heard of it
// takes it. Not granted: to a site that is not known, below a promise, for a number that is
// decided.
Answer prepare(Record& record, const Decision& after, const Ballot& ballot);
// `decision` is for the number after `after`.
Answer accept(Record& record, const Decision& after, const Ballot& ballot,
              const Decision& decision);

enum class Taken {
  fresh,   // the newest from now on
  held,    // it was held before
  behind,  // a number before the last one, not held before; kept
  clash,   // another promotion is held for that number: not taken, and kept as a clash
};
Taken decide(Record& record, const Decision& decision);

// A record at its first start, or after its loss.
Record begin_record(const std::string& site, const std::string& incarnation);

// Another site asks, and tells its life.
Lesson teach(Record& record, const std::string& asker, const std::string& incarnation);

// Takes what another site told. Returns true when the record becomes known by it:
// - both others know: what they hold, together, is held here too;
// - one knows that this very life was there when all began: it has nothing to remember;
// - both others are as new: all begin with `first`.
// `others`: the two other sites.
bool learn(Record& record, const Lesson& lesson, const std::vector<std::string>& others,
           const Decision& first);

// A person says that what was learned here is all there is to know. `first`: where nothing was.
void force_known(Record& record, const Decision& first);

}  // namespace lockstep::identity
