#include "failure.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace lockstep::run {
namespace {

using std::string_view_literals::operator""sv;

// The sender's rights, the words spoken or the place itself are wrong: time changes nothing.
constexpr std::array kStanding = {
    "permission"sv,
    "not-built-yet"sv,
    "not-supported"sv,
    "guard"sv,
    "message-schema"sv,
    "message-version"sv,
    "message-malformed"sv,
    "message-too-large"sv,
    "message-unknown-type"sv,
    "role-refused"sv,
    "policy-invalid"sv,
    "policy-conflict"sv,
    "policy-unknown"sv,
    "epoch-old"sv,
    "identity-wrong"sv,
    "wrong-filesystem"sv,
    "nested-mount"sv,
    "source-special"sv,
    "set-missing"sv,
    "target-overlaps"sv,
    "place-not-empty"sv,
    "sqlite-integrity"sv,
    "sqlite-not-a-database"sv,
    "base-lost"sv,
};

constexpr std::array kNoOtherRun = {
    "fence-too-long"sv, "clock-unfit"sv, "max-pending"sv,
    "run-aborted"sv,    "hook-failed"sv, "run-missed"sv,
    "judge-order"sv,  // of one moment's luck never, of a defect always
};

// The pins or the place for the copy are gone; a later run has its own.
constexpr std::array kNoMoreTries = {
    "pin-lost"sv,    "pin-expired"sv,  "pin-dropped"sv,    "version-missing"sv, "no-space"sv,
    "source-read"sv, "target-write"sv, "stream-hostile"sv, "seal-refused"sv,
};

constexpr std::array kSomebodyAway = {
    "unreachable"sv, "transport"sv, "stream-peer-lost"sv, "stalled"sv,
    "deadline"sv,    "cancelled"sv, "journal-full"sv,     "journal-write"sv,
};

template <std::size_t N>
bool among(const std::array<std::string_view, N>& codes, const std::string& code) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

}  // namespace

bool worth_another_run(const Failure& failure) {
  return !among(kStanding, failure.code) && !among(kNoOtherRun, failure.code);
}

Patience patience(const Failure& failure) {
  if (among(kSomebodyAway, failure.code)) return Patience::deadline;
  if (among(kStanding, failure.code) || among(kNoMoreTries, failure.code)) return Patience::none;
  return Patience::limited;
}

}  // namespace lockstep::run
