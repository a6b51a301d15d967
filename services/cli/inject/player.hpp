// Player: plays a scenario against the services of a site.
//
// Thread rule: one thread; it runs a reactor of its own while it waits.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/clock/clock.hpp"
#include "common/config/site.hpp"
#include "services/cli/inject/scenario.hpp"

namespace lockstep::cli::inject {

struct Outcome {
  bool good = true;
  std::string where;  // the step that did not go as told: "file:line"
  std::string why;
  std::size_t steps = 0;     // that were played
  std::size_t messages = 0;  // that were sent
  // Messages broken by `broken`: sent, refused with the field's path, and those whose id was
  // spoilt, so that no answer could reach their sender.
  std::size_t broken = 0;
  std::size_t refused = 0;
  std::size_t unanswerable = 0;
};

// Begins with `injection.mark` to every service that the scenario reaches, which puts it into their
// events; ends with the same, and with a look whether each still is the process that it was (but
// for those that the scenario kills). `user`: who marks, and as whom messages go that name nobody.
// `say` is told of each step.
// Errors: guard (a service refuses to be injected), unreachable, key-*, transport. A scenario that
// went otherwise than told is an Outcome, not an error.
Result<Outcome> play(const config::Site& site, const Clock& clock, const std::string& user,
                     const Scenario& scenario, Values values,
                     const std::function<void(const std::string&)>& say);

}  // namespace lockstep::cli::inject
