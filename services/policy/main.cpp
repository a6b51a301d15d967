// lockstep-policy: checks, versions and keeps the policies of a site.
#include "common/service/service.hpp"
#include "services/policy/handlers.hpp"

namespace {

using namespace lockstep;

Result<std::shared_ptr<void>> set_up(service::Surroundings& here) {
  auto book = std::make_shared<policy_service::Book>(here.journal, here.clock);
  here.snapshot = [book] { return policy_service::snapshot(*book); };
  policy_service::serve(here.server, {*book, here.site, [&here] { here.events.flush(); },
                                      [&here](const Error& error) { here.fail(error); }});
  return std::shared_ptr<void>{book};
}

}  // namespace

int main(int argc, char** argv) {
  return service::run(argc, argv, transport::Role::policy, policy_service::migrations(), set_up);
}
