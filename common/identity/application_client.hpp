// Which of the two clients is the application's: the one whose cluster applications are to use.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>

namespace lockstep::identity {

// As a client sees its cluster. A claim under an identity epoch older than the newest decided one
// is no claim: such a cluster counts as secondary.
enum class Identity : std::uint8_t { primary, secondary, unknown };
enum class Health : std::uint8_t { healthy, degraded, failed, unreachable };

struct Sight {
  Identity identity = Identity::unknown;
  Health health = Health::unreachable;
};

enum class Choice : std::uint8_t {
  first,
  second,
  newer,   // both claim to be the primary: the one of the higher epoch; loudly
  before,  // nothing says otherwise: whichever it was
  none,    // both say they are not: applications wait
};

// If the client of the primary sees the secondary identity or a failed cluster, and the client of
// the secondary sees the primary identity, the application's client is the secondary's. Otherwise
// it stays the primary's: no fault of a cluster changes it, only a user's word. Symmetrical:
// exchanging the arguments exchanges first and second.
Choice application_client(const Sight& first, const Sight& second);

const char* identity_name(Identity identity);
const char* health_name(Health health);

}  // namespace lockstep::identity
