#include "common/identity/application_client.hpp"

namespace lockstep::identity {

namespace {

bool serves(const Sight& sight) {
  return sight.health == Health::healthy || sight.health == Health::degraded;
}

}  // namespace

Choice application_client(const Sight& first, const Sight& second) {
  const bool first_claims = first.identity == Identity::primary;
  const bool second_claims = second.identity == Identity::primary;
  if (first_claims && second_claims) {
    if (serves(first) != serves(second)) return serves(first) ? Choice::first : Choice::second;
    return Choice::newer;
  }
  if (first_claims) return Choice::first;
  if (second_claims) return Choice::second;
  // Nobody claims it. One that is known not to be it leaves the other.
  const bool first_is_not = first.identity == Identity::secondary;
  const bool second_is_not = second.identity == Identity::secondary;
  if (first_is_not && second_is_not) return Choice::none;
  if (first_is_not) return Choice::second;
  if (second_is_not) return Choice::first;
  return Choice::before;
}

const char* identity_name(Identity identity) {
  switch (identity) {
    case Identity::primary:
      return "primary";
    case Identity::secondary:
      return "secondary";
    case Identity::unknown:
      return "unknown";
  }
  return "";
}

const char* health_name(Health health) {
  switch (health) {
    case Health::healthy:
      return "healthy";
    case Health::degraded:
      return "degraded";
    case Health::failed:
      return "failed";
    case Health::unreachable:
      return "unreachable";
  }
  return "";
}

}  // namespace lockstep::identity
