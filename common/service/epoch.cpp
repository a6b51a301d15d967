#include "common/service/epoch.hpp"

namespace lockstep::service {

EpochVerdict compare_epochs(const message::Epoch& held, const message::Epoch& given) {
  if (given.number == 0 && given.promotion.empty()) return EpochVerdict::none;
  if (given.number > held.number) return EpochVerdict::newer;
  if (given.number < held.number) return EpochVerdict::older;
  return given.promotion == held.promotion ? EpochVerdict::current : EpochVerdict::contradicting;
}

Result<void> check_epoch(const message::Epoch& held, const message::Epoch& given) {
  switch (compare_epochs(held, given)) {
    case EpochVerdict::older:
      return make_error(ErrorCode::epoch_old, "the command was given under identity epoch " +
                                                  std::to_string(given.number) +
                                                  "; this site holds " +
                                                  std::to_string(held.number));
    case EpochVerdict::contradicting:
      return make_error(ErrorCode::epoch_old,
                        "the command names another promotion for identity epoch " +
                            std::to_string(given.number) + " than this site holds",
                        given.promotion);
    default:
      return {};
  }
}

}  // namespace lockstep::service
