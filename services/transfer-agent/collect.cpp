// After a start: what nobody will ask for any more is removed.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/message/bytes.hpp"
#include "common/os/durable.hpp"
#include "common/os/whole_file.hpp"
#include "services/transfer-agent/removal.hpp"

namespace lockstep::transfer {

namespace {
constexpr std::string_view kManifest = ".manifest";

// Once each: a set has several where the policy has named one place after another.
void add_target(component::DataSet target, std::vector<component::DataSet>& targets) {
  const bool known =
      std::any_of(targets.begin(), targets.end(), [&](const component::DataSet& one) {
        return one.id == target.id && one.component == target.component &&
               one.place.location == target.place.location;
      });
  if (!known) targets.push_back(std::move(target));
}

// The targets that a point's certificate names in `cluster`: known also when the journal is new.
void add_targets(const message::Body& record, const std::string& cluster,
                 std::vector<component::DataSet>& targets) {
  for (const auto& set : record.at("certificate").at("sets")) {
    const auto& to = set.at("to");
    if (to.at("cluster") != cluster) continue;
    component::DataSet target;
    target.id = {record.at("service").get<std::string>(), set.at("name").get<std::string>()};
    target.component = to.at("component").get<std::string>();
    target.place.location = message::unshow(to.at("location").get<std::string>());
    add_target(std::move(target), targets);
  }
}
}  // namespace

// Whether a run's traces of a set belong to something: a point, or a transfer that may go on.
Result<bool> Remover::known(const component::SetId& id, const std::string& run) {
  LOCKSTEP_TRY(const bool point, records_.exists({id.service, run}));
  if (point) return true;
  LOCKSTEP_TRY(const auto received, book_.find_received(run, id.set));
  if (received) return true;
  LOCKSTEP_TRY(const auto sent, book_.find_sent(run, id.set));
  return sent.has_value();
}

Result<void> Remover::collect(const component::DataSet& target_set) {
  auto* component = agent_.components.find(target_set.component);
  if (component == nullptr || component->target() == nullptr) return {};
  LOCKSTEP_TRY(const auto versions, component->target()->list(target_set));
  for (const auto& version : versions) {
    LOCKSTEP_TRY(const bool wanted, known(target_set.id, version.name));
    if (wanted) continue;
    spdlog::warn("removed what run {} left of {}/{}: nothing refers to it", version.name,
                 target_set.id.service, target_set.id.set);
    LOCKSTEP_CHECK(drop_version(version));
  }
  return {};
}

Result<void> Remover::collect_manifests() {
  const std::string top = agent_.root + "/.lockstep/manifests";
  LOCKSTEP_TRY(const auto services, names_in(agent_.disk, top));
  for (const auto& service : services) {
    LOCKSTEP_TRY(const auto sets, names_in(agent_.disk, top + "/" + service));
    for (const auto& set : sets) {
      const std::string directory = agent_.manifest_directory(service, set);
      LOCKSTEP_TRY(const auto files, names_in(agent_.disk, directory));
      for (const auto& file : files) {
        const std::string run = file.substr(0, file.find(kManifest));
        LOCKSTEP_TRY(const bool wanted, known({service, set}, run));
        if (!wanted) LOCKSTEP_CHECK(os::remove_durably(agent_.disk, directory + "/" + file));
      }
    }
  }
  return {};
}

Result<std::vector<component::DataSet>> Remover::known_targets(const std::string& service) {
  std::vector<component::DataSet> targets;
  LOCKSTEP_TRY(const auto received, book_.all_received());
  for (const auto& row : received) {
    if (service.empty() || row.target.id.service == service) add_target(row.target, targets);
  }
  LOCKSTEP_TRY(const auto points, records_.all(service, nullptr));
  for (const auto& record : points) add_targets(record, agent_.cluster, targets);
  return targets;
}

Result<void> Remover::recover() {
  // Before rows go.
  LOCKSTEP_TRY(const auto targets, known_targets(""));
  LOCKSTEP_TRY(const auto deletions, book_.unfinished("delete"));
  for (const auto& one : deletions) {
    const RecordStore::Name name{one.service, one.run};
    LOCKSTEP_CHECK(records_.remove(name));
    LOCKSTEP_CHECK(finish_deletion(name, nullptr));
  }
  LOCKSTEP_TRY(const auto received, book_.all_received());
  for (const auto& row : received) {
    LOCKSTEP_TRY(const bool sealed, records_.exists({row.target.id.service, row.run}));
    LOCKSTEP_TRY(const auto dropped, book_.tombstone(row.run));
    if (sealed || !dropped) continue;
    LOCKSTEP_CHECK(drop_received(row.run, {}));
    LOCKSTEP_CHECK(agent_.journal.transact("collect.dropped",
                                           [&](journal::Transaction& transaction) -> Result<void> {
                                             Book::forget_received(transaction, row.run);
                                             return {};
                                           }));
  }
  for (const auto& target_set : targets) LOCKSTEP_CHECK(collect(target_set));
  return collect_manifests();
}

}  // namespace lockstep::transfer
