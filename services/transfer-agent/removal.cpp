#include "services/transfer-agent/removal.hpp"

#include <spdlog/spdlog.h>

#include "common/os/durable.hpp"
#include "common/os/failpoint.hpp"
#include "services/transfer-agent/engines.hpp"
#include "services/transfer-agent/guards.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

constexpr const char* kAct = "delete";

journal::ReplyKey reply_key(const message::Envelope& envelope) {
  return {envelope.run, envelope.step, envelope.attempt};
}

// Of a request outside a run there is nothing to store a reply under.
void store_done(journal::Transaction& transaction, const message::Envelope& envelope,
                const Body& body) {
  if (!envelope.run.empty() && !envelope.step.empty()) {
    transaction.store_reply(reply_key(envelope), {true, body});
  }
}

}  // namespace

Result<void> Remover::drop_version(const component::Version& version) {
  auto* component = agent_.components.find(version.component);
  if (component == nullptr || component->target() == nullptr) {
    return make_error(ErrorCode::not_supported, "this agent keeps no data sets of that component",
                      version.component);
  }
  component::Context context;
  context.run = version.name;
  return component->target()->drop(context, version);
}

Result<bool> Remover::base_in_use(const std::string& id) {
  LOCKSTEP_TRY(const auto rows, book_.all_received());
  for (const auto& row : rows) {
    if (row.base == id && tasks_.busy(row.run)) return true;
  }
  return false;
}

Result<Body> Remover::delete_point(const message::Envelope& envelope) {
  if (!agent_.registrar) {
    return make_error(ErrorCode::identity_wrong,
                      "only the registrar of the cluster that keeps a point deletes it",
                      agent_.name);
  }
  LOCKSTEP_CHECK(epochs_.admit(envelope.epoch));
  RecordStore::Name name{envelope.body.value("service", ""),
                         envelope.body.at("id").get<std::string>()};
  if (name.service.empty()) {
    LOCKSTEP_TRY(name, records_.locate(name.id));
  }
  const Body answer{{"id", name.id}};
  std::optional<Body> record;
  LOCKSTEP_CHECK(epochs_.publish(envelope.epoch, [&]() -> Result<void> {
    LOCKSTEP_TRY(const auto all, records_.all(name.service, nullptr));
    std::vector<PointFacts> points;
    for (const auto& one : all) {
      PointFacts facts;
      facts.id = one.at("id").get<std::string>();
      LOCKSTEP_TRY(facts.moment, parse_rfc3339(one.at("moment").get<std::string>()));
      LOCKSTEP_TRY(facts.sealed_at, parse_rfc3339(one.at("sealed_at").get<std::string>()));
      LOCKSTEP_TRY(const auto verified, book_.find_verified(facts.id));
      facts.known_bad = verified && !verified->ok;
      if (facts.id == name.id) record = one;
      points.push_back(std::move(facts));
    }
    LOCKSTEP_TRY(const bool there, records_.exists(name));
    if (!record && there) {
      LOCKSTEP_TRY(PointFacts facts, damaged_point(name));
      points.push_back(std::move(facts));
    }
    LOCKSTEP_CHECK(may_delete(points, name.id, agent_.clock.utc(), agent_.lock,
                              envelope.body.at("even_newest").get<bool>()));
    LOCKSTEP_TRY(const bool in_use, base_in_use(name.id));
    if (in_use) {
      return make_error(ErrorCode::run_busy, "a transfer under way starts from this point",
                        name.id);
    }
    if (drills_.uses(name.id)) {
      return make_error(ErrorCode::run_busy, "a drill reads this point", name.id);
    }
    // The rows of its sets stand before the record goes: by them the versions are found afterwards.
    for (const auto& set : record ? record->at("sets") : Body::array()) {
      LOCKSTEP_TRY(const auto row, book_.find_received(name.id, set.at("name").get<std::string>()));
      if (row && row->version) continue;
      Received again;
      again.run = name.id;
      again.version = version_in(*record, set);
      again.target.id = again.version->id;
      again.target.component = again.version->component;
      again.manifest = manifest_in(set);
      LOCKSTEP_CHECK(book_.put_received(again));
    }
    LOCKSTEP_CHECK(agent_.journal.transact(
        "delete.intent", [&](journal::Transaction& transaction) -> Result<void> {
          Book::begin(transaction, kAct, {name.id, name.service});
          return {};
        }));
    return records_.remove(name);
  }));
  os::failpoint("delete.record_removed");
  if (!record) LOCKSTEP_CHECK(drop_nameless(name));
  LOCKSTEP_CHECK(finish_deletion(name, &envelope));
  spdlog::info("deleted point {} of {}", name.id, name.service);
  return answer;
}

// What the guards are to know of a point whose record says nothing: when it was written is the
// file's own time.
Result<PointFacts> Remover::damaged_point(const RecordStore::Name& name) {
  const std::string path = agent_.record_path(name.service, name.id);
  auto seen = agent_.disk.stat_at(os::kCwd, path);
  if (!seen) return from_errno(ErrorCode::source_read, seen.error().number, "look at", path);
  PointFacts facts;
  facts.id = name.id;
  facts.sealed_at = {seen->st_mtim.tv_sec * 1'000'000'000 + seen->st_mtim.tv_nsec};
  facts.known_bad = true;
  return facts;
}

// Of a point whose record could not be read: all of its name that lies where its service's sets do.
Result<void> Remover::drop_nameless(const RecordStore::Name& name) {
  LOCKSTEP_TRY(const auto targets, known_targets(name.service));
  for (const auto& target : targets) {
    LOCKSTEP_CHECK(remove_durably(agent_.disk,
                                  agent_.manifest_path(target.id.service, target.id.set, name.id)));
  }
  return drop_received(name.id, targets);
}

// The record is gone, so that the point is; what it named goes now.
Result<void> Remover::finish_deletion(const RecordStore::Name& name,
                                      const message::Envelope* asked_by) {
  LOCKSTEP_TRY(const auto rows, book_.received_of(name.id));
  for (const auto& row : rows) {
    if (row.version) LOCKSTEP_CHECK(drop_version(*row.version));
    os::failpoint("delete.version_dropped");
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, row.manifest));
  }
  return agent_.journal.transact(
      "delete.done", [&](journal::Transaction& transaction) -> Result<void> {
        Book::end(transaction, kAct, name.id);
        Book::forget_received(transaction, name.id);
        Book::forget_verified(transaction, name.id);
        Book::bury(transaction, name.id, name.service, "its point was deleted", agent_.clock.utc());
        transaction.emit("point.deleted", name.service,
                         {{"id", name.id}, {"service", name.service}});
        if (asked_by != nullptr) store_done(transaction, *asked_by, {{"id", name.id}});
        return {};
      });
}

Result<Body> Remover::drop_run(const message::Envelope& envelope) {
  LOCKSTEP_CHECK(epochs_.admit(envelope.epoch));
  const std::string service = envelope.body.at("service").get<std::string>();
  // Under the lock of publishing: a seal of the run is over, or will see the tombstone.
  LOCKSTEP_CHECK(epochs_.publish(envelope.epoch, [&]() -> Result<void> {
    LOCKSTEP_TRY(const bool sealed, records_.exists({service, envelope.run}));
    if (sealed) {
      return make_error(ErrorCode::guard, "the run is a recovery point; it is not dropped",
                        envelope.run, "`lockstep point delete` removes a point");
    }
    return agent_.journal.transact("drop.tombstone",
                                   [&](journal::Transaction& transaction) -> Result<void> {
                                     Book::bury(transaction, envelope.run, service,
                                                "the scheduler dropped it", agent_.clock.utc());
                                     return {};
                                   });
  }));
  tasks_.stop(envelope.run);
  tasks_.wait(envelope.run);
  call_off_engines(agent_, service, envelope.run, envelope.body.at("sets"));
  std::vector<component::DataSet> targets;
  for (const auto& set : envelope.body.at("sets")) {
    // Whole or partial, and also where the journal's row of it is gone.
    const std::string manifest =
        agent_.manifest_path(service, set.at("name").get<std::string>(), envelope.run);
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, manifest));
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, manifest + ".part"));
    if (set.at("to").at("cluster") == agent_.cluster) {
      targets.push_back(data_set_of(service, set, End::to));
    }
  }
  LOCKSTEP_CHECK(drop_received(envelope.run, targets));
  LOCKSTEP_TRY(const auto sent, book_.sent_of(envelope.run));
  LOCKSTEP_CHECK(drop_sent(sent, "drop.manifests"));
  const Body answer = Body::object();
  LOCKSTEP_CHECK(
      agent_.journal.transact("drop.done", [&](journal::Transaction& transaction) -> Result<void> {
        Book::forget_received(transaction, envelope.run);
        store_done(transaction, envelope, answer);
        return {};
      }));
  return answer;
}

// Stagings and versions of a run, of the sets that its rows name and of `also`.
Result<void> Remover::drop_received(const std::string& run,
                                    const std::vector<component::DataSet>& also) {
  LOCKSTEP_TRY(const auto rows, book_.received_of(run));
  std::vector<component::DataSet> targets = also;
  for (const auto& row : rows) {
    targets.push_back(row.target);
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, row.manifest));
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, row.manifest + ".part"));
  }
  for (const auto& target_set : targets) {
    auto* component = agent_.components.find(target_set.component);
    if (component == nullptr || component->target() == nullptr) continue;  // nothing was ever made
    LOCKSTEP_TRY(const auto versions, component->target()->list(target_set));
    for (const auto& version : versions) {
      if (version.name == run) LOCKSTEP_CHECK(drop_version(version));
    }
    os::failpoint("drop.set_dropped");
  }
  return {};
}

Result<void> Remover::drop_sent(const std::vector<Sent>& rows, const char* failpoint) {
  for (const auto& row : rows) {
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, row.manifest));
    LOCKSTEP_CHECK(os::remove_durably(agent_.disk, row.manifest + ".part"));
    os::failpoint("manifest.removed");
  }
  if (rows.empty()) return {};
  return agent_.journal.transact(failpoint, [&](journal::Transaction& transaction) -> Result<void> {
    for (const auto& row : rows) Book::forget_sent(transaction, row.run, row.version.id.set);
    return {};
  });
}

Result<Body> Remover::keep_run(const message::Envelope& envelope) {
  LOCKSTEP_CHECK(epochs_.admit(envelope.epoch));
  const std::string service = envelope.body.at("service").get<std::string>();
  LOCKSTEP_TRY(const auto older, book_.sent_before(service, envelope.run));
  LOCKSTEP_CHECK(drop_sent(older, "keep.manifests"));
  const Body answer = Body::object();
  LOCKSTEP_CHECK(
      agent_.journal.transact("keep.done", [&](journal::Transaction& transaction) -> Result<void> {
        store_done(transaction, envelope, answer);
        return {};
      }));
  return answer;
}

}  // namespace lockstep::transfer
