#include "common/identity/site.hpp"

#include <algorithm>

namespace lockstep::identity {

namespace {

Answer answer_of(const Record& record) {
  Answer answer;
  answer.site = record.site;
  answer.incarnation = record.incarnation;
  answer.incarnations = record.incarnations;
  answer.known = record.known;
  return answer;
}

// Whether the number after `after` is open here; fills in the refusal where it is not.
bool open_here(Record& record, const Decision& after, Answer& answer) {
  if (!record.known) return false;
  if (after.number > record.number()) decide(record, after);
  if (record.number() > after.number) {
    const auto same =
        std::find_if(record.decided.begin(), record.decided.end(),
                     [&](const Decision& held) { return held.number == after.number + 1; });
    answer.decided = same == record.decided.end() ? record.decided.back() : *same;
    return false;
  }
  return true;
}

// What both hold together. Requires that neither is behind in what it is bound to: an acceptance
// of a number that is decided here means nothing any more.
void merge(Record& record, const Lesson& lesson) {
  for (const Decision& decision : lesson.decided) decide(record, decision);
  const std::uint64_t their_number = lesson.decided.empty() ? 0 : lesson.decided.back().number;
  if (their_number != record.number()) return;
  record.vote.promised = std::max(record.vote.promised, lesson.vote.promised);
  if (lesson.vote.accepted &&
      (!record.vote.accepted || record.vote.accepted->ballot < lesson.vote.accepted->ballot)) {
    record.vote.accepted = lesson.vote.accepted;
  }
}

void become_known(Record& record) {
  record.known = true;
  record.lessons.clear();
}

}  // namespace

Answer prepare(Record& record, const Decision& after, const Ballot& ballot) {
  Answer answer = answer_of(record);
  if (!open_here(record, after, answer)) return answer;
  if (ballot <= record.vote.promised) {
    answer.promised = record.vote.promised;
    return answer;
  }
  record.vote.promised = ballot;
  answer.granted = true;
  answer.accepted = record.vote.accepted;
  return answer;
}

Answer accept(Record& record, const Decision& after, const Ballot& ballot,
              const Decision& decision) {
  Answer answer = answer_of(record);
  if (!open_here(record, after, answer)) return answer;
  if (ballot < record.vote.promised || decision.number != after.number + 1) {
    answer.promised = record.vote.promised;
    return answer;
  }
  record.vote.promised = ballot;
  record.vote.accepted = Accepted{ballot, decision};
  answer.granted = true;
  return answer;
}

Taken decide(Record& record, const Decision& decision) {
  auto at = std::lower_bound(
      record.decided.begin(), record.decided.end(), decision.number,
      [](const Decision& held, std::uint64_t number) { return held.number < number; });
  if (at != record.decided.end() && at->number == decision.number) {
    if (at->promotion == decision.promotion) return Taken::held;
    const bool noted =
        std::find(record.clashes.begin(), record.clashes.end(), decision) != record.clashes.end();
    if (!noted) record.clashes.push_back(decision);
    return Taken::clash;
  }
  const bool newest = at == record.decided.end();
  record.decided.insert(at, decision);
  if (!newest) return Taken::behind;
  record.vote = {};
  return Taken::fresh;
}

Record begin_record(const std::string& site, const std::string& incarnation) {
  Record record;
  record.site = site;
  record.incarnation = incarnation;
  return record;
}

Lesson teach(Record& record, const std::string& asker, const std::string& incarnation) {
  record.incarnations[asker] = incarnation;
  Lesson lesson;
  lesson.site = record.site;
  lesson.incarnation = record.incarnation;
  lesson.known = record.known;
  lesson.incarnations = record.incarnations;
  lesson.founders = record.founders;
  if (record.known) {
    lesson.decided = record.decided;
    lesson.vote = record.vote;
  }
  return lesson;
}

bool learn(Record& record, const Lesson& lesson, const std::vector<std::string>& others,
           const Decision& first) {
  record.incarnations[lesson.site] = lesson.incarnation;
  if (record.known) {
    for (const Decision& decision : lesson.decided) decide(record, decision);
    return false;
  }
  record.lessons[lesson.site] = lesson;

  const auto founder = lesson.founders.find(record.site);
  if (lesson.known && founder != lesson.founders.end() && founder->second == record.incarnation) {
    record.founders = lesson.founders;
    for (const auto& [site, incarnation] : lesson.incarnations) {
      if (site != record.site) record.incarnations.try_emplace(site, incarnation);
    }
    for (const Decision& decision : lesson.decided) decide(record, decision);
    become_known(record);
    return true;
  }
  std::vector<const Lesson*> told;
  for (const std::string& other : others) {
    const auto found = record.lessons.find(other);
    if (found != record.lessons.end()) told.push_back(&found->second);
  }
  if (told.size() < others.size()) return false;
  const auto knows = [](const Lesson* one) { return one->known; };
  if (std::all_of(told.begin(), told.end(), knows)) {
    for (const Lesson* one : told) merge(record, *one);
    // The one whose decisions came first may have been behind the other.
    for (const Lesson* one : told) merge(record, *one);
    become_known(record);
    return true;
  }
  if (std::none_of(told.begin(), told.end(), knows)) {
    record.founders = {{record.site, record.incarnation}};
    for (const Lesson* one : told) record.founders[one->site] = one->incarnation;
    decide(record, first);
    become_known(record);
    return true;
  }
  return false;
}

void force_known(Record& record, const Decision& first) {
  if (record.known) return;
  const auto lessons = record.lessons;
  for (int pass = 0; pass < 2; ++pass) {
    for (const auto& [site, lesson] : lessons) {
      if (lesson.known) merge(record, lesson);
    }
  }
  if (record.decided.empty()) decide(record, first);
  become_known(record);
}

}  // namespace lockstep::identity
