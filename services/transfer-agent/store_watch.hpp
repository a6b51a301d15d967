// StoreWatch: how the cluster's stores and the places in them are, as its registrar tells the
// health-monitor each second.
//
// The servers of a store may take their time to answer, or never do. Each store is therefore looked
// at by a thread of its own, and all places by another one; they begin when they are first asked
// for. look() waits a moment for them and then says what is known. Who has not told for kSilence
// how he is counts as unwell. Trouble of a store that may come right by itself (a fail-over) counts
// once it has lasted as long as the store says; until then the store is well, with that detail, and
// its places, which would meet the same trouble, are left out.
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
  using PlaceLook = std::function<component::Health(const component::DataSet&)>;
  struct Row {
    std::string name;  // a store's kind; a place's "service/set"
    component::Health health;
  };
  struct Told {
    std::vector<Row> rows;
    bool pending = false;  // something was never looked at to the end yet, and is left out
  };
  static constexpr Nanos kMoment = milliseconds(800);
  static constexpr Nanos kSilence = seconds(10);

  // `clock` must outlive it.
  StoreWatch(std::vector<Store> stores, PlaceLook place_look, const Clock& clock);
  StoreWatch(const StoreWatch&) = delete;
  StoreWatch& operator=(const StoreWatch&) = delete;
  ~StoreWatch();

  // The stores in their order, then those of `places` that are in no store that is in trouble.
  Told look(const std::vector<component::DataSet>& places);

 private:
  // Somebody who is looked at again and again.
  struct Subject {
    std::function<bool(std::unique_lock<std::mutex>&)> look;  // false: never again
    MonoNanos since;           // from then on without an answer: asked, or the last look begun
    bool known = false;        // there is one
    unsigned long wanted = 0;  // looks that were asked for
    unsigned long done = 0;    // up to which they were answered
    bool none = false;
    std::jthread thread;
  };
  struct Known {
    Store store;
    component::Health health;
    std::optional<MonoNanos> trouble_since;
    Subject subject;
    // Trouble that does not count yet.
    bool settling(MonoNanos now) const;
  };
  void ask(Subject& subject);
  void serve(Subject& subject, const std::stop_token& stop);
  bool look_at(Known& known, std::unique_lock<std::mutex>& lock);
  bool look_at_places(std::unique_lock<std::mutex>& lock);
  bool in_trouble(const std::string& kind) const;
  // Adds the row of a silent one; true where what is known of it counts.
  bool counts(const Subject& subject, const std::string& name, Told& told) const;

  const Clock& clock_;
  const PlaceLook place_look_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<component::DataSet> wanted_places_;
  std::vector<Row> places_;  // of the last look at them
  std::list<Known> stores_;
  Subject place_subject_;
};

}  // namespace lockstep::transfer
