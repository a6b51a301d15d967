#include "services/scheduler/policies.hpp"

#include <spdlog/spdlog.h>

#include "common/service/log.hpp"

namespace lockstep::scheduler {
namespace {

constexpr Nanos kSoon = milliseconds(20);
constexpr Nanos kAskAgain = seconds(2);

}  // namespace

Policies::Policies(service::Surroundings& here) : here_(here) {
  for (const auto& [name, party] : here.directory.parties)
    if (party.role == transport::Role::policy) name_ = name;
}

void Policies::follow() {
  if (name_.empty()) return;
  follower_ = transport::make_event_follower(
      here_.reactor, here_.directory, here_.clock, name_, transport::FollowFrom{},
      [this](const journal::Event& event) {
        if (event.type.starts_with("policy.")) refresh_soon();
      },
      [this](const message::Body&) { refresh_soon(); });
  refresh_soon();
}

void Policies::refresh_soon() {
  if (soon_) return;
  soon_ = true;
  here_.reactor.after(kSoon, [this] {
    soon_ = false;
    refresh([this](const Result<void>& done) {
      if (done) return;
      here_.reactor.after(kAskAgain, [this] { refresh_soon(); });
    });
  });
}

void Policies::refresh(Then then) {
  if (name_.empty()) {
    then(make_error(ErrorCode::not_found, "the site has no policy service", here_.site.file));
    return;
  }
  message::Envelope envelope;
  envelope.type = "policy.all";
  envelope.epoch = here_.epoch();
  transport::RequestOptions options;
  options.silence = seconds(1);
  options.stall = seconds(5);
  options.deadline = seconds(10);
  here_.client.request(name_, std::move(envelope), options, {},
                       [this, then = std::move(then)](const Result<message::Body>& end) {
                         if (!end) {
                           then(end.error());
                           return;
                         }
                         take(end.value());
                         then({});
                       });
}

void Policies::take(const message::Body& done) {
  std::map<std::string, HeldPolicy> fresh;
  for (const message::Body& one : done.at("policies")) {
    auto read = policy::from_body(one.at("policy"));
    if (!read) {  // a newer policy service may know more than this program does
      service::log_error(read.error());
      continue;
    }
    HeldPolicy held{std::move(read).value(), one.at("version").get<std::uint64_t>(),
                    one.at("paused").get<bool>()};
    fresh.emplace(one.at("service").get<std::string>(), std::move(held));
  }
  policies_ = std::move(fresh);
  known_ = true;
  if (on_change) on_change();
}

Result<HeldPolicy> Policies::find(const std::string& service) const {
  const auto found = policies_.find(service);
  if (found == policies_.end())
    return make_error(ErrorCode::policy_unknown, "there is no policy for this service", service);
  return found->second;
}

}  // namespace lockstep::scheduler
