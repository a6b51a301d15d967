// SiteHooks: the programs by which a site lets the health-monitor act on what is not Lockstep's
// (docs/operations.md, "Hooks"): each `<hooks>/<name>`, given a cluster, ends with 0 where it has
// done what its name says. They may be called again for the same thing.
//
// Thread rule: the reactor's thread; the programs run on threads of their own.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>
#include <thread>

#include "common/service/service.hpp"

namespace lockstep::health {

class SiteHooks {
 public:
  struct End {
    bool there = false;      // the site has such a hook
    bool succeeded = false;  // it ended with 0, in time
    std::string said;        // one sentence for a person
  };
  using Then = std::function<void(const End&)>;

  explicit SiteHooks(service::Surroundings& here) : here_(here) {}
  // Stops the programs under way; their `then` is not called.
  ~SiteHooks();
  SiteHooks(const SiteHooks&) = delete;
  SiteHooks& operator=(const SiteHooks&) = delete;

  bool has(const std::string& name) const;
  // `then` is called later, also where there is no such hook; it may be empty.
  void call(const std::string& name, const std::string& cluster,
            const std::map<std::string, std::string>& environment, Then then);

 private:
  service::Surroundings& here_;
  std::list<std::jthread> running_;
};

}  // namespace lockstep::health
