#include "common/service/identity_follower.hpp"

#include "common/service/identity_body.hpp"
#include "common/service/identity_site.hpp"

namespace lockstep::service {

namespace {

constexpr Nanos kWhileUnknown = milliseconds(200);
constexpr Nanos kWhileKnown = seconds(2);

}  // namespace

IdentityFollower::IdentityFollower(Surroundings& here, std::string party)
    : here_(here), party_(std::move(party)) {
  if (party_.empty()) current_ = first_decision(here.site);
}

IdentityFollower::~IdentityFollower() {
  if (timer_) here_.reactor.cancel(*timer_);
}

void IdentityFollower::follow() {
  if (!party_.empty()) ask();
}

void IdentityFollower::take(const identity::Decision& decision) {
  if (current_ && decision.number <= current_->number) return;
  current_ = decision;
  if (on_change) on_change(decision);
}

message::Epoch IdentityFollower::epoch() const {
  return current_ ? epoch_of(*current_) : message::Epoch{};
}

Result<identity::Decision> IdentityFollower::known() const {
  if (current_) return *current_;
  return make_error(ErrorCode::unreachable, "the identity epoch is not known here yet", party_);
}

void IdentityFollower::ask() {
  message::Envelope envelope;
  envelope.type = "identity.show";
  const transport::RequestOptions options{seconds(1), seconds(2), seconds(3)};
  here_.client.request(
      party_, std::move(envelope), options, {}, [this](const Result<message::Body>& end) {
        if (end && !end->at("decided").is_null()) {
          take(decision_from(end->at("decided")));
        }
        timer_ = here_.reactor.after(current_ ? kWhileKnown : kWhileUnknown, [this] {
          timer_.reset();
          ask();
        });
      });
}

}  // namespace lockstep::service
