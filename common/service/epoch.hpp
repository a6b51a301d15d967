// The identity epoch of a command against the one that a site holds. Pure.
#pragma once

#include "common/error/error.hpp"
#include "common/message/envelope.hpp"

namespace lockstep::service {

enum class EpochVerdict {
  current,        // the one held
  newer,          // to be learned before the command is done
  older,          // refused
  contradicting,  // the same number by another promotion: refused, loudly
  none,           // {0, ""}: given under no epoch, as a user's command is
};
EpochVerdict compare_epochs(const message::Epoch& held, const message::Epoch& given);

// Error: epoch-old where `given` is older or contradicts. Whether a command under no epoch, or a
// newer one, is taken is the receiver's to say; both pass.
Result<void> check_epoch(const message::Epoch& held, const message::Epoch& given);

}  // namespace lockstep::service
