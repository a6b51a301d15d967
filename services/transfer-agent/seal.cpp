#include "services/transfer-agent/seal.hpp"

#include <spdlog/spdlog.h>

#include "common/os/failpoint.hpp"
#include "common/stream/manifest.hpp"
#include "services/transfer-agent/guards.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

using message::Body;

namespace {

constexpr const char* kAct = "seal";

Body sealed_body(const Body& record) {
  return {{"state", "sealed"},
          {"digest", record.at("digest")},
          {"sealed_at", record.at("sealed_at")},
          {"record", record}};
}

journal::ReplyKey reply_key(const message::Envelope& envelope) {
  return {envelope.run, envelope.step, envelope.attempt};
}

std::string certified_root(const Body& certificate, const std::string& set) {
  const Body* found = find_set(certificate.at("sets"), set);
  return found == nullptr ? std::string() : found->at("root").get<std::string>();
}

}  // namespace

// What lies here of a set: nothing where there is no sealed version with its manifest. The book's
// row may lack what a crash came before; version and manifest themselves are what counts.
Result<std::optional<KeptSet>> Sealer::kept_set(const std::string& run, const std::string& service,
                                                const Body& set) {
  const auto target_set = data_set_of(service, set, End::to);
  auto* component = agent_.components.find(target_set.component);
  if (component == nullptr || component->target() == nullptr) {
    return make_error(ErrorCode::not_supported, "this agent keeps no data sets of that component",
                      target_set.component);
  }
  component::Context context;
  context.run = run;
  LOCKSTEP_TRY(const auto version, component->target()->find(context, target_set));
  if (!version) return std::optional<KeptSet>{};
  const auto& id = target_set.id;
  const std::string manifest = agent_.manifest_path(id.service, id.set, run);
  auto summary = stream::read_manifest_summary(agent_.disk, manifest);
  if (!summary) {
    if (summary.error().code == ErrorCode::not_found) return std::optional<KeptSet>{};
    return summary.error();
  }
  return std::optional<KeptSet>(KeptSet{*version, component->target()->path_of(*version),
                                        stream::to_hex(summary->root), summary->entries,
                                        summary->bytes, manifest});
}

Result<Body> Sealer::seal(const message::Envelope& envelope) {
  if (!agent_.registrar) {
    return make_error(ErrorCode::identity_wrong,
                      "this agent is not its cluster's registrar, which keeps the records",
                      agent_.name);
  }
  if (auto admitted = epochs_.admit(envelope.epoch); !admitted) {
    if (admitted.error().code != ErrorCode::epoch_old) return admitted.error();
    return seal_under_old(envelope, admitted.error());
  }
  // No raise of the epoch and no other publishing from here to the record, or the tombstone.
  std::optional<Body> answer;
  LOCKSTEP_CHECK(epochs_.publish(envelope.epoch, [&]() -> Result<void> {
    LOCKSTEP_TRY(answer, decide(envelope));
    return {};
  }));
  return std::move(*answer);
}

// What was published before the epoch was raised stands; what was not never will be. Final, so that
// the run that was superseded does not stay in doubt.
Result<Body> Sealer::seal_under_old(const message::Envelope& envelope, const Error& why) {
  std::optional<Body> answer;
  LOCKSTEP_CHECK(epochs_.publish(epochs_.current(), [&]() -> Result<void> {
    const RecordStore::Name name{envelope.body.at("service").get<std::string>(), envelope.run};
    LOCKSTEP_TRY(const bool there, records_.exists(name));
    if (there) {
      LOCKSTEP_TRY(const Body record, records_.read(name));
      const auto key = reply_key(envelope);
      LOCKSTEP_CHECK(finish(record, &key));
      answer = sealed_body(record);
      return {};
    }
    LOCKSTEP_TRY(answer, refuse(envelope, why.what));
    return {};
  }));
  return std::move(*answer);
}

Result<Body> Sealer::decide(const message::Envelope& envelope) {
  const Body& body = envelope.body;
  const std::string service = body.at("service").get<std::string>();
  const RecordStore::Name name{service, envelope.run};
  LOCKSTEP_TRY(const bool there, records_.exists(name));
  if (there) {
    LOCKSTEP_TRY(const Body record, records_.read(name));
    const auto key = reply_key(envelope);
    LOCKSTEP_CHECK(finish(record, &key));
    return sealed_body(record);
  }
  LOCKSTEP_TRY(const auto tombstone, book_.tombstone(envelope.run));
  std::vector<SealFacts> facts;
  std::vector<KeptSet> kept;
  for (const auto& set : body.at("sets")) {
    SealFacts fact;
    fact.name = set.at("name").get<std::string>();
    fact.wanted_root = set.at("root").get<std::string>();
    fact.wanted_entries = set.at("entries").get<std::uint64_t>();
    fact.wanted_bytes = set.at("bytes").get<std::uint64_t>();
    fact.certified_root = certified_root(body.at("certificate"), fact.name);
    LOCKSTEP_TRY(auto found, kept_set(envelope.run, service, set));
    if (found) {
      fact.root = found->root;
      fact.entries = found->entries;
      fact.bytes = found->bytes;
      kept.push_back(std::move(*found));
    }
    facts.push_back(std::move(fact));
  }
  if (const auto why = seal_refusal(tombstone, facts)) return refuse(envelope, *why);
  LOCKSTEP_TRY(const Body record, make_record(envelope.run, body, kept, agent_.clock.utc(), key_));
  if (const auto problems = record_problems(record); !problems.empty()) {
    return refuse(envelope, problems.front());
  }
  return publish(envelope, record);
}

Result<Body> Sealer::refuse(const message::Envelope& envelope, const std::string& why) {
  spdlog::warn("refused to seal run {}: {}", envelope.run, why);
  const Body answer{{"state", "refused"}, {"why", why}};
  LOCKSTEP_CHECK(agent_.journal.transact(
      "seal.refused", [&](journal::Transaction& transaction) -> Result<void> {
        Book::bury(transaction, envelope.run, envelope.body.at("service").get<std::string>(), why,
                   agent_.clock.utc());
        transaction.store_reply(reply_key(envelope), {true, answer});
        return {};
      }));
  return answer;
}

Result<Body> Sealer::publish(const message::Envelope& envelope, const Body& record) {
  const std::string service = record.at("service").get<std::string>();
  LOCKSTEP_CHECK(agent_.journal.transact("seal.intent",
                                         [&](journal::Transaction& transaction) -> Result<void> {
                                           Book::begin(transaction, kAct, {envelope.run, service});
                                           return {};
                                         }));
  os::failpoint("seal.before_record");
  LOCKSTEP_CHECK(records_.write(record));
  os::failpoint("seal.after_record");
  const auto key = reply_key(envelope);
  LOCKSTEP_CHECK(finish(record, &key));
  spdlog::info("sealed point {} of {}, moment {}", envelope.run, service,
               record.at("moment").get<std::string>());
  return sealed_body(record);
}

// The record stands: the book says so, with the event and the reply in one transaction.
Result<void> Sealer::finish(const Body& record, const journal::ReplyKey* reply) {
  const std::string id = record.at("id").get<std::string>();
  const std::string service = record.at("service").get<std::string>();
  LOCKSTEP_TRY(const auto unfinished, book_.unfinished(kAct));
  bool was_unfinished = false;
  for (const auto& one : unfinished) was_unfinished = was_unfinished || one.run == id;
  return agent_.journal.transact(
      "seal.done", [&](journal::Transaction& transaction) -> Result<void> {
        Book::end(transaction, kAct, id);
        if (was_unfinished) {
          transaction.emit("point.sealed", service, {{"id", id}, {"service", service}});
        }
        if (reply != nullptr) transaction.store_reply(*reply, {true, sealed_body(record)});
        return {};
      });
}

Result<void> Sealer::recover() {
  LOCKSTEP_TRY(const auto unfinished, book_.unfinished(kAct));
  for (const auto& one : unfinished) {
    const RecordStore::Name name{one.service, one.run};
    LOCKSTEP_CHECK(records_.remove_part(name));
    LOCKSTEP_TRY(const bool there, records_.exists(name));
    if (there) {
      LOCKSTEP_TRY(const Body record, records_.read(name));
      LOCKSTEP_CHECK(finish(record, nullptr));
      continue;
    }
    // It never came to be; the scheduler asks again.
    LOCKSTEP_CHECK(agent_.journal.transact("seal.undone",
                                           [&](journal::Transaction& transaction) -> Result<void> {
                                             Book::end(transaction, kAct, one.run);
                                             return {};
                                           }));
  }
  return {};
}

}  // namespace lockstep::transfer
