#include "common/identity/proposal.hpp"

#include <algorithm>

namespace lockstep::identity {

namespace {

constexpr std::size_t kSites = 3;

bool knows(const Answer& one, const Answer& other) {
  const auto found = one.incarnations.find(other.site);
  return found != one.incarnations.end() && found->second == other.incarnation;
}

// Two answers count together when neither giver knows of a later life of the other: an answer of a
// record that was lost since has been forgotten by its site.
std::vector<const Answer*> agreeing_pair(const std::map<std::string, Answer>& answers) {
  for (auto one = answers.begin(); one != answers.end(); ++one) {
    for (auto other = std::next(one); other != answers.end(); ++other) {
      if (knows(one->second, other->second) && knows(other->second, one->second)) {
        return {&one->second, &other->second};
      }
    }
  }
  return {};
}

}  // namespace

bool Proposal::usable(const Answer& answer) {
  if (answer.decided) {
    overtaken_ = *answer.decided;
    phase_ = Phase::overtaken;
    return false;
  }
  if (answer.granted) return true;
  highest_ = std::max(highest_, answer.promised.round);
  silent(answer.site);
  return false;
}

void Proposal::promised(const Answer& answer) {
  if (phase_ != Phase::promises || !usable(answer)) return;
  granted_[answer.site] = answer;
  const auto pair = agreeing_pair(granted_);
  if (pair.empty()) {
    give_up_if_hopeless();
    return;
  }
  const Accepted* newest = nullptr;
  for (const Answer* one : pair) {
    if (one->accepted && (newest == nullptr || newest->ballot < one->accepted->ballot)) {
      newest = &*one->accepted;
    }
  }
  if (newest != nullptr) wanted_ = Decision{newest->decision};
  granted_.clear();
  refused_.clear();
  phase_ = Phase::accepting;
}

void Proposal::accepted(const Answer& answer) {
  if (phase_ != Phase::accepting || !usable(answer)) return;
  granted_[answer.site] = answer;
  if (agreeing_pair(granted_).empty()) {
    give_up_if_hopeless();
  } else {
    phase_ = Phase::decided;
  }
}

void Proposal::silent(const std::string& site) {
  if (phase_ != Phase::promises && phase_ != Phase::accepting) return;
  refused_[site] = true;
  give_up_if_hopeless();
}

void Proposal::give_up_if_hopeless() {
  const std::size_t open = kSites - std::min(kSites, refused_.size());
  if (open < 2 || granted_.size() + refused_.size() >= kSites) phase_ = Phase::outbid;
}

}  // namespace lockstep::identity
