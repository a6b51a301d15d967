// Proposal: one try to have the next identity epoch decided, from promises to a decision.
//
// Thread rule: a value; one thread.
#pragma once

#include "common/identity/site.hpp"

namespace lockstep::identity {

class Proposal {
 public:
  enum class Phase {
    promises,   // every site is asked to prepare()
    accepting,  // every site is asked to accept() decision()
    decided,    // decision() is decided; every site is to be told. It may be another's.
    overtaken,  // the number was decided before: overtaken_by()
    outbid,     // too few can still agree to this ballot: try again above highest()
  };

  // `wanted` is for the number after `after`, the newest decision that the proposer knows. `ballot`
  // was never used before.
  Proposal(Decision wanted, Decision after, Ballot ballot)
      : wanted_(std::move(wanted)), after_(std::move(after)), ballot_(std::move(ballot)) {}

  Phase phase() const { return phase_; }
  const Decision& after() const { return after_; }
  const Ballot& ballot() const { return ballot_; }
  // What is to be accepted. While promises are gathered: what was wanted. Where a site had accepted
  // another's decision before, that one has to be carried to its end.
  const Decision& decision() const { return wanted_; }
  const Decision& overtaken_by() const { return *overtaken_; }
  std::uint64_t highest_round() const { return highest_; }

  void promised(const Answer& answer);
  void accepted(const Answer& answer);
  // A site that will not answer any more.
  void silent(const std::string& site);

 private:
  bool usable(const Answer& answer);
  void give_up_if_hopeless();

  Decision wanted_;
  Decision after_;
  Ballot ballot_;
  Phase phase_ = Phase::promises;
  std::map<std::string, Answer> granted_;  // of this phase
  std::map<std::string, bool> refused_;
  std::optional<Decision> overtaken_;
  std::uint64_t highest_ = 0;
};

}  // namespace lockstep::identity
