#include "certificate.hpp"

#include <algorithm>

namespace lockstep::run {
namespace {

const char* promise(Consistency consistency) {
  switch (consistency) {
    case Consistency::fenced:
      return "All data sets show one instant: the writers of all of them but at most one were held "
             "from before the first pin to after the last, and the one left was pinned at one "
             "instant in between.";
    case Consistency::ordered:
      return "No reference dangles, as long as what is referred to is complete and durable before "
             "the reference is written, and is not removed.";
    case Consistency::bounded:
      return "All data sets were pinned within the skew stated and no further from the moment than "
             "the lateness stated.";
  }
  return "";
}

const char* reservation(Consistency consistency) {
  switch (consistency) {
    case Consistency::fenced:
      return "Anything of what writers had not yet handed to the store when they were held.";
    case Consistency::ordered:
      return "One instant for all data sets: what was removed or changed between the pins may show "
             "in one set and not in another.";
    case Consistency::bounded:
      return "Any order between changes in different data sets that lie within the skew.";
  }
  return "";
}

HostClock clock_of(const Evidence& member) {
  HostClock clock;
  clock.synchronised = !member.looks.empty();
  for (const Evidence::Look& look : member.looks) {
    clock.boot_id = look.clock.boot_id;
    clock.offset = look.clock.offset;
    clock.source = look.clock.source;
    if (look.clock.apart) clock.apart = look.clock.apart;
    clock.error = std::max(clock.error, look.clock.error);
    clock.synchronised = clock.synchronised && look.clock.synchronised;
  }
  return clock;
}

std::optional<UserCapture> users_of(const State& state, const std::string& set) {
  std::optional<UserCapture> users;
  for (const auto& [key, entry] : state.steps) {
    const auto* committed = std::get_if<Committed>(&entry.facts);
    if (committed == nullptr) continue;
    for (const Committed::Set& one : committed->sets)
      if (one.name == set && one.users) users = one.users;
  }
  return users;
}

}  // namespace

Certificate certify(const State& state) {
  Certificate certificate;
  certificate.promises = promise(state.plan.consistency);
  certificate.does_not_promise = reservation(state.plan.consistency);
  if (state.verdict) {
    certificate.skew = state.verdict->skew;
    certificate.lateness = state.verdict->lateness;
  }
  const StepState* transfer = state.find({Act::transfer, 0, state.plan.mover()});
  const auto* moved = transfer == nullptr ? nullptr : std::get_if<Transferred>(&transfer->facts);
  for (const Evidence& member : evidence(state)) {
    Certificate::Set set;
    set.name = member.member->name;
    set.agent = member.member->agent;
    set.pinned = member.pin.pinned;
    set.one_instant = member.pin.one_instant;
    set.quiet = member.pin.quiet;
    set.durable = member.pin.durable;
    set.method = member.pin.method;
    set.stage = member.stage;
    if (member.raised) {
      set.fence = Certificate::Fence{member.raise.kind, member.raise.raised, member.lower.lowered,
                                     member.lower.held, member.lower.detail};
    }
    set.clock = clock_of(member);
    set.refers_to = member.member->refers_to;
    set.caveats = member.pin.caveats;
    if (member.member->beside) set.users = users_of(state, set.name);
    if (moved != nullptr) {
      for (const Transferred::Set& one : moved->sets) {
        if (one.name != set.name) continue;
        set.moved = one;
        set.caveats.insert(set.caveats.end(), one.caveats.begin(), one.caveats.end());
      }
    }
    certificate.sets.push_back(std::move(set));
  }
  return certificate;
}

Version version_of(const State& state, const std::string& set) {
  Version version;
  for (const auto& [key, entry] : state.steps) {  // pins come before commits
    if (const auto* pinned = std::get_if<Pinned>(&entry.facts)) {
      for (const Pinned::Set& one : pinned->sets)
        if (one.name == set) version = one.version;
    }
    if (const auto* committed = std::get_if<Committed>(&entry.facts)) {
      for (const Committed::Set& one : committed->sets)
        if (one.name == set) version = one.version;
    }
  }
  return version;
}

}  // namespace lockstep::run
