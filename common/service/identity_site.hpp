// IdentitySite: one of the three sites of the agreement, for real. It keeps the site's record in
// the service's journal, answers `identity.*`, and learns from the other two sites
// (docs/protocol.md).
//
// The record is durable before any answer that follows from it leaves. Who is told of a newer
// decision (`raise`) has taken it before `identity.decide` is answered; after a restart it is told
// again.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/identity/site.hpp"
#include "common/service/service.hpp"

namespace lockstep::service {

// The journal's table; it belongs in the migrations of a service that is a site.
extern const char* const kIdentityTable;

inline constexpr const char* kControlSite = "control";
// The service that is the control device's site; empty: this site is not made for taking over.
std::string health_monitor_of(const config::Site& site);
// Epoch 1, as lockstep.yaml has it.
identity::Decision first_decision(const config::Site& site);

class IdentitySite {
 public:
  using Done = std::function<void(Result<void>)>;
  using Raise = std::function<void(const identity::Decision&, Done)>;

  // `own`: kControlSite or the cluster's name. Error: the journal's.
  static Result<std::unique_ptr<IdentitySite>> load(Surroundings& here, const std::string& own,
                                                    Raise raise);
  ~IdentitySite();
  IdentitySite(const IdentitySite&) = delete;
  IdentitySite& operator=(const IdentitySite&) = delete;

  // Registers the handlers and begins to ask the others.
  void serve();

  const identity::Record& record() const { return record_; }
  // The newest decision; none while the record is not known.
  std::optional<identity::Decision> current() const;
  // The parties that are the other two sites: site name -> party.
  const std::map<std::string, std::string>& others() const { return others_; }

  Result<identity::Answer> prepare(const identity::Decision& after, const identity::Ballot& ballot);
  Result<identity::Answer> accept(const identity::Decision& after, const identity::Ballot& ballot,
                                  const identity::Decision& decision);
  // `done` comes when the decision is durable here and was raised.
  void decide(const identity::Decision& decision,
              std::function<void(Result<identity::Taken>)> done);
  // The cluster's data sets were made live for that promotion, which is the newest decided. Error:
  // identity-wrong.
  Result<void> activate(const std::string& promotion);
  // What current() would be after force_known().
  std::optional<identity::Decision> if_forced() const;
  // A person's word: what is known here is all there is. Begins nothing where it is known.
  Result<void> force_known();

  // Called when the record became known, or a newer decision was taken.
  std::function<void()> on_change;

 private:
  IdentitySite(Surroundings& here, Raise raise) : here_(here), raise_(std::move(raise)) {}

  Result<void> keep(identity::Record next);
  void raise_newest(const Done& done);
  void ask_others();
  void ask(const std::string& site, const std::string& party);

  Surroundings& here_;
  Raise raise_;
  identity::Record record_;
  std::string stored_;  // the record as the journal has it
  identity::Decision first_;
  std::map<std::string, std::string> others_;
  std::set<std::string> asked_;
  std::uint64_t raised_ = 0;
  std::optional<transport::Reactor::TimerId> timer_;
};

}  // namespace lockstep::service
