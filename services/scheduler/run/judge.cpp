#include "judge.hpp"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace lockstep::run {
namespace {

// A clock that NTP disciplines runs at most 0.1 % fast or slow (adjtimex(2): 500 ppm of frequency
// and 500 ppm of slew); reading two clocks one after the other may be torn apart by the scheduler.
constexpr Span kReadingTorn = 5 * kMillisecond;
constexpr Span kSlewPerMille = 1;

Verdict refuse(std::string code, std::string reason, std::string where) {
  Verdict verdict;
  verdict.code = std::move(code);
  verdict.reason = std::move(reason);
  verdict.where = std::move(where);
  return verdict;
}

std::string in_ms(Span span) {
  const Span tenths = (span + (span < 0 ? -50'000 : 50'000)) / 100'000;
  const Span whole = std::abs(tenths);
  return (tenths < 0 ? "-" : "") + std::to_string(whole / 10) + "." + std::to_string(whole % 10) +
         " ms";
}

bool one_boot(const std::vector<Evidence>& all) {
  const std::string* first = nullptr;
  for (const Evidence& member : all) {
    for (const Evidence::Look& look : member.looks) {
      if (look.clock.boot_id.empty()) return false;
      if (first == nullptr) first = &look.clock.boot_id;
      if (look.clock.boot_id != *first) return false;
    }
  }
  return first != nullptr;
}

// A pin that took its time counts at `requested` for the skew where nothing changed meanwhile: its
// agent proved that, or the set's own fence stood (that it held and enclosed the pin is judged
// before). Any other may show its latest part as it was when the pin was acknowledged.
Instant shown_until(const Evidence& member) {
  const bool unchanged = !member.pin.one_instant && (member.pin.quiet || member.raised);
  return unchanged ? member.pin.pinned.requested : member.pin.pinned.acknowledged;
}

Verdict complete(const std::vector<Evidence>& all) {
  for (const Evidence& member : all) {
    const std::string& name = member.member->name;
    if (!member.pinned) return refuse("pin-failed", "the set was not pinned", name);
    if (member.pin.pinned.requested > member.pin.pinned.acknowledged)
      return refuse("judge-clock", "the pin was acknowledged before it was requested", name);
    if (member.member->fenced && !member.raised)
      return refuse("fence-failed", "no fence was raised", name);
    if (member.raised && !member.lowered)
      return refuse("fence-failed", "nobody says when the fence was lowered", name);
    if (member.raised && !member.lower.held) {
      return refuse("fence-failed",
                    "the fence did not hold" +
                        (member.lower.detail.empty() ? "" : ": " + member.lower.detail),
                    name);
    }
  }
  Verdict good;
  good.good = true;
  return good;
}

Verdict clocks_stood(const std::vector<Evidence>& all) {
  for (const Evidence& member : all) {
    if (member.looks.empty())
      return refuse("judge-clock", "the host did not report its clock", member.member->agent);
    const Evidence::Look& first = member.looks.front();
    for (const Evidence::Look& look : member.looks) {
      if (look.clock.boot_id != first.clock.boot_id)
        return refuse("judge-clock", "the host was restarted during the run", member.member->agent);
      const Span moved = look.clock.offset - first.clock.offset;
      const Span allowed =
          kReadingTorn + std::max<Span>(0, look.at - first.at) / 1000 * kSlewPerMille;
      if (std::abs(moved) > allowed) {
        return refuse("judge-clock", "the clock stepped by " + in_ms(moved) + " during the run",
                      member.member->agent);
      }
    }
  }
  Verdict good;
  good.good = true;
  return good;
}

// max(raised + e) < min(requested - e) and max(acknowledged + e) < min(lowered - e).
Verdict fences_enclose(const std::vector<Evidence>& all) {
  constexpr Instant kLowest = std::numeric_limits<Instant>::min();
  constexpr Instant kHighest = std::numeric_limits<Instant>::max();
  Instant last_raised = kLowest;
  Instant first_requested = kHighest;
  Instant last_acknowledged = kLowest;
  Instant first_lowered = kHighest;
  const Evidence* unfenced = nullptr;
  for (const Evidence& member : all) {
    const Span e = clock_error(member, all);
    first_requested = std::min(first_requested, member.pin.pinned.requested - e);
    last_acknowledged = std::max(last_acknowledged, member.pin.pinned.acknowledged + e);
    if (member.raised) {
      last_raised = std::max(last_raised, member.raise.raised.acknowledged + e);
      first_lowered = std::min(first_lowered, member.lower.lowered.requested - e);
      continue;
    }
    if (unfenced != nullptr) {
      return refuse("fence-failed", "more than one set had no fence: " + unfenced->member->name,
                    member.member->name);
    }
    unfenced = &member;
  }
  if (unfenced != nullptr && !unfenced->pin.one_instant) {
    return refuse("fence-failed", "the set without a fence was not pinned at one instant",
                  unfenced->member->name);
  }
  if (last_raised != kLowest && last_raised >= first_requested)
    return refuse("fence-failed", "a pin was requested before the last fence stood", "");
  if (first_lowered != kHighest && last_acknowledged >= first_lowered)
    return refuse("fence-failed", "a fence was released before the last pin was acknowledged", "");
  Verdict good;
  good.good = true;
  return good;
}

// Without `fenced` a fence serves its own set alone: on one host, so without an error.
Verdict own_fences_enclose(const std::vector<Evidence>& all) {
  for (const Evidence& member : all) {
    if (!member.raised) continue;
    if (member.raise.raised.acknowledged >= member.pin.pinned.requested ||
        member.pin.pinned.acknowledged >= member.lower.lowered.requested)
      return refuse("fence-failed", "the fence did not enclose the pin", member.member->name);
  }
  Verdict good;
  good.good = true;
  return good;
}

Verdict referrers_first(const std::vector<Evidence>& all) {
  for (const Evidence& referrer : all) {
    for (const std::string& name : referrer.member->refers_to) {
      const auto referee = std::find_if(all.begin(), all.end(), [&](const Evidence& other) {
        return other.member->name == name;
      });
      if (referee == all.end())
        return refuse("judge-order", "it refers to a set that is not there: " + name,
                      referrer.member->name);
      if (referrer.pin.pinned.acknowledged + clock_error(referrer, all) >=
          referee->pin.pinned.requested - clock_error(*referee, all))
        return refuse("judge-order", "it was not pinned before " + name + ", to which it refers",
                      referrer.member->name);
    }
  }
  Verdict good;
  good.good = true;
  return good;
}

// How far `member`'s clock is ahead of `other`'s at the least, by exchanges before the pin, and
// after it.
Span least_apart(const Evidence& member, const Evidence& other) {
  Span most = 0;
  for (const Evidence::Look& look : member.looks) {
    for (const Evidence::Look& others : other.looks) {
      if (!look.clock.apart || !others.clock.apart || look.before_pin != others.before_pin)
        continue;
      if (look.clock.boot_id == others.clock.boot_id) continue;
      most = std::max(most, look.clock.apart->least - others.clock.apart->most);
    }
  }
  return most;
}

}  // namespace

std::string unfit(const HostClock& clock, const std::vector<std::string>& sources, Span max_error) {
  if (!clock.synchronised) return "the clock of the host is not synchronised";
  if (!sources.empty() &&
      std::find(sources.begin(), sources.end(), clock.source) == sources.end()) {
    return "the clock of the host follows " +
           (clock.source.empty() ? "it does not say what" : clock.source) +
           ", not the site's source " + sources.front();
  }
  if (max_error > 0 && clock.error > max_error) {
    return "the clock error of " + in_ms(clock.error) + " is more than the site's max_error of " +
           in_ms(max_error);
  }
  return "";
}

Span clock_error(const Evidence& member, const std::vector<Evidence>& all) {
  if (one_boot(all)) return 0;
  Span error = 0;
  for (const Evidence::Look& look : member.looks) error = std::max(error, look.clock.error);
  return error;
}

std::vector<Evidence> of_the_moment(std::vector<Evidence> all) {
  std::erase_if(all, [](const Evidence& member) { return member.member->beside; });
  return all;
}

Verdict judge_clocks(const Plan& plan, const std::vector<Evidence>& members) {
  const std::vector<Evidence> all = of_the_moment(members);
  Verdict good;
  good.good = true;
  if (one_boot(all)) return good;
  const Evidence* worst = nullptr;
  Span largest = 0;
  for (const Evidence& member : all) {
    for (const Evidence::Look& look : member.looks) {
      if (std::string why = unfit(look.clock, plan.clock_sources, plan.max_clock_error);
          !why.empty()) {
        return refuse("clock-unfit", std::move(why), member.member->agent);
      }
    }
    const Span error = clock_error(member, all);
    if (worst == nullptr || error > largest) {
      worst = &member;
      largest = error;
    }
  }
  if (worst != nullptr && 2 * largest >= plan.max_skew) {
    return refuse("clock-unfit",
                  "the clock error of " + in_ms(largest) + " leaves no room within max_skew of " +
                      in_ms(plan.max_skew),
                  worst->member->agent);
  }
  for (const Evidence& member : all) {
    for (const Evidence& other : all) {
      const Span apart = least_apart(member, other);
      const Span allowed = clock_error(member, all) + clock_error(other, all);
      if (apart > allowed) {
        return refuse("clock-unfit",
                      "the clock of the host is at least " + in_ms(apart) + " ahead of that of " +
                          other.member->agent + "; their errors allow " + in_ms(allowed),
                      member.member->agent);
      }
    }
  }
  return good;
}

Verdict judge(const Plan& plan, Instant moment, const std::vector<Evidence>& members) {
  const std::vector<Evidence> all = of_the_moment(members);
  if (all.empty()) return refuse("pin-failed", "the run has no data sets", "");
  for (const Verdict& verdict :
       {complete(members), clocks_stood(all), judge_clocks(plan, all),
        plan.consistency == Consistency::fenced ? fences_enclose(all) : own_fences_enclose(all)})
    if (!verdict.good) return verdict;
  if (plan.consistency == Consistency::ordered) {
    Verdict order = referrers_first(all);
    if (!order.good) return order;
  }

  Instant first = std::numeric_limits<Instant>::max();
  Instant last = std::numeric_limits<Instant>::min();
  Verdict verdict;
  const Evidence* latest = &all.front();
  for (const Evidence& member : all) {
    const Span e = clock_error(member, all);
    first = std::min(first, member.pin.pinned.requested - e);
    last = std::max(last, shown_until(member) + e);
    const Span distance = std::max(std::abs(member.pin.pinned.requested - moment),
                                   std::abs(shown_until(member) - moment));
    if (distance > verdict.lateness) {
      verdict.lateness = distance;
      latest = &member;
    }
  }
  verdict.skew = last - first;
  if (verdict.skew > plan.max_skew) {
    verdict.code = "judge-skew";
    verdict.reason = "the pins lie " + in_ms(verdict.skew) + " apart, more than max_skew of " +
                     in_ms(plan.max_skew);
  } else if (verdict.lateness > plan.max_lateness) {
    verdict.code = "judge-lateness";
    verdict.reason = "a pin lies " + in_ms(verdict.lateness) +
                     " from the moment, more than max_lateness of " + in_ms(plan.max_lateness);
    verdict.where = latest->member->name;
  } else {
    verdict.good = true;
  }
  return verdict;
}

}  // namespace lockstep::run
