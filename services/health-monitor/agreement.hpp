// Agreement: has the next identity epoch decided by two of the three sites, of which this process
// is one, or by a person's word alone.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "common/identity/proposal.hpp"
#include "common/service/identity_site.hpp"

namespace lockstep::health {

class Agreement {
 public:
  using Done = std::function<void(Result<identity::Decision>)>;

  Agreement(service::Surroundings& here, service::IdentitySite& site) : here_(here), site_(site) {}

  // Ends when this site and the new primary's have taken the decision, or the latter does not
  // answer; the others are told, and whoever is away learns later. A decision that was made before
  // ends well at once. Errors: guard (too few sites agree, or another promotion was decided under
  // that number), unreachable.
  void propose(const identity::Decision& wanted, Done done);

 private:
  struct Try;
  using TryPtr = std::shared_ptr<Try>;

  void begin(const TryPtr& attempt);
  void ask_promises(const TryPtr& attempt);
  void ask_acceptances(const TryPtr& attempt);
  void look(const TryPtr& attempt);
  void ask(const TryPtr& attempt, const std::string& site, const std::string& type,
           const message::Body& body);
  void tell(const TryPtr& attempt, const identity::Decision& decision);

  service::Surroundings& here_;
  service::IdentitySite& site_;
};

}  // namespace lockstep::health
