// StoreWatch: how the cluster's stores are, as its registrar tells the health-monitor each second.
//
// The servers of a store may take their time to answer, or never do. Each store is therefore looked
// at by a thread of its own, which begins when it is first asked for; look() waits a moment for
// them and then says what is known. A store that has not told for kSilence how it is counts as
// unwell; one that was never looked at to the end is left out until then.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/clock/clock.hpp"
#include "common/component/component.hpp"

namespace lockstep::transfer {

// Thread rule: any thread. The end of it waits for the looks that are under way.
class StoreWatch {
 public:
  // May take long; nothing: it is no store that could be unwell, and is not asked again.
  using Look = std::function<std::optional<component::Health>()>;
  struct Store {
    std::string kind;
    Look look;
  };
  struct Told {
    std::string kind;
    component::Health health;
  };
  static constexpr Nanos kMoment = milliseconds(800);
  static constexpr Nanos kSilence = seconds(10);

  // `clock` must outlive it.
  StoreWatch(std::vector<Store> stores, const Clock& clock);

  // In the order of the stores.
  std::vector<Told> look();

 private:
  struct One {
    Store store;
    std::optional<component::Health> known;
    MonoNanos since;           // `known` is from then; before there is one: asked first then
    unsigned long wanted = 0;  // looks that were asked for
    unsigned long done = 0;    // up to which they were answered
    bool none = false;
    std::jthread thread;
  };
  void serve(One& one, const std::stop_token& stop);

  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::list<One> stores_;
};

}  // namespace lockstep::transfer
