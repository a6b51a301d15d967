#include "services/transfer-agent/store_watch.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace lockstep::transfer {

namespace {

constexpr const char* kPlaces = "data sets";

std::string name_of(const component::DataSet& place) {
  return place.id.service + "/" + place.id.set;
}

}  // namespace

StoreWatch::StoreWatch(std::vector<Store> stores, PlaceLook place_look, const Clock& clock)
    : clock_(clock), place_look_(std::move(place_look)) {
  for (Store& store : stores) {
    Known& known = stores_.emplace_back();
    known.store = std::move(store);
    known.subject.look = [this, &known](auto& lock) { return look_at(known, lock); };
  }
  place_subject_.look = [this](auto& lock) { return look_at_places(lock); };
}

StoreWatch::~StoreWatch() {
  // All at once: each may be in the middle of a look.
  for (Known& known : stores_) known.subject.thread.request_stop();
  place_subject_.thread.request_stop();
}

bool StoreWatch::Known::settling(MonoNanos now) const {
  return !health.good && health.may_last && trouble_since &&
         now - *trouble_since < *health.may_last;
}

bool StoreWatch::in_trouble(const std::string& kind) const {
  return std::any_of(stores_.begin(), stores_.end(), [&](const Known& known) {
    return known.store.kind == kind && known.subject.known && !known.health.good;
  });
}

void StoreWatch::ask(Subject& subject) {
  // Who was not asked for a while has not been silent for it.
  if (subject.done == subject.wanted) subject.since = clock_.mono();
  ++subject.wanted;
  if (subject.thread.joinable()) return;
  subject.thread =
      std::jthread([this, &subject](const std::stop_token& stop) { serve(subject, stop); });
}

void StoreWatch::serve(Subject& subject, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [&subject] { return subject.done != subject.wanted; }) &&
         !stop.stop_requested()) {
    const unsigned long answered = subject.wanted;
    const MonoNanos begun = clock_.mono();
    subject.none = !subject.look(lock);
    subject.known = !subject.none;
    subject.since = begun;
    subject.done = answered;
    changed_.notify_all();
    if (subject.none) return;
  }
}

bool StoreWatch::look_at(Known& known, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  auto health = known.store.look();
  lock.lock();
  if (!health) return false;
  known.health = std::move(*health);
  if (known.health.good) known.trouble_since.reset();
  if (!known.health.good && !known.trouble_since) known.trouble_since = clock_.mono();
  return true;
}

bool StoreWatch::look_at_places(std::unique_lock<std::mutex>& lock) {
  const std::vector<component::DataSet> wanted = wanted_places_;
  std::vector<Row> rows;
  for (const component::DataSet& place : wanted) {
    if (in_trouble(place.component)) continue;
    lock.unlock();
    auto health = place_look_(place);
    lock.lock();
    rows.push_back({name_of(place), std::move(health)});
  }
  places_ = std::move(rows);
  return true;
}

bool StoreWatch::counts(const Subject& subject, const std::string& name, Told& told) const {
  if (subject.none) return false;
  const Nanos silent = clock_.mono() - subject.since;
  if (silent > kSilence) {
    const std::string span = std::to_string(silent.count / 1'000'000'000);
    told.rows.push_back({name, {false, "no answer for " + span + " s", {}}});
    return false;
  }
  told.pending = told.pending || !subject.known;
  return subject.known;
}

StoreWatch::Told StoreWatch::look(const std::vector<component::DataSet>& places) {
  std::unique_lock lock(mutex_);
  wanted_places_ = places;
  for (Known& known : stores_) ask(known.subject);
  if (!places.empty()) ask(place_subject_);
  changed_.notify_all();
  const auto answered = [](const Subject& one) { return one.none || one.done == one.wanted; };
  changed_.wait_for(lock, std::chrono::nanoseconds(kMoment.count), [&] {
    return answered(place_subject_) &&
           std::all_of(stores_.begin(), stores_.end(),
                       [&](const Known& known) { return answered(known.subject); });
  });
  Told told;
  for (const Known& known : stores_) {
    if (!counts(known.subject, known.store.kind, told)) continue;
    Row row{known.store.kind, known.health};
    row.health.good = row.health.good || known.settling(clock_.mono());
    told.rows.push_back(std::move(row));
  }
  if (places.empty() || !counts(place_subject_, kPlaces, told)) return told;
  for (const component::DataSet& place : places) {
    const auto row = std::find_if(places_.begin(), places_.end(),
                                  [&](const Row& one) { return one.name == name_of(place); });
    if (row != places_.end() && !in_trouble(place.component)) told.rows.push_back(*row);
  }
  return told;
}

}  // namespace lockstep::transfer
