// Catalog: the recovery points there are, as the clusters' registrars tell. The table is a cache;
// the records in the clusters are what counts.
//
// Thread rule: the reactor's thread.
#pragma once

#include <functional>
#include <string>

#include "common/service/service.hpp"
#include "services/scheduler/store.hpp"

namespace lockstep::scheduler {

class Catalog {
 public:
  using Then = std::function<void(Result<void>)>;

  Catalog(service::Surroundings& here, Store& store) : here_(here), store_(store) {}

  // Asks every cluster's registrar, again and again until each has answered once.
  void rebuild();
  // Asks the registrar of one cluster; gives up after `patience`.
  void refresh(const std::string& cluster, Nanos patience, Then then);
  // Asks all at the same time; `then` when each has answered or been given up.
  void refresh_all(Nanos patience, std::function<void()> then);

 private:
  void rebuild(const std::string& cluster);

  service::Surroundings& here_;
  Store& store_;
};

}  // namespace lockstep::scheduler
