#include "services/transfer-agent/receive_side.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "common/os/durable.hpp"
#include "common/stream/receive.hpp"
#include "services/transfer-agent/engines.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

namespace {

Result<component::Target*> target_of(const Agent& agent, const std::string& kind) {
  auto* component = agent.components.find(kind);
  if (component == nullptr || component->target() == nullptr) {
    return make_error(ErrorCode::not_supported,
                      "this agent cannot receive data sets into that component", kind);
  }
  return component->target();
}

// Somebody removed it from the store, whatever the record says.
bool is_gone(const Agent& agent, const component::Version& version) {
  auto* component = agent.components.find(version.component);
  if (component == nullptr || component->sources() == nullptr) return false;
  const auto opened = component->sources()->open(version);
  return !opened && opened.error().code == ErrorCode::version_missing;
}

// Whether a version of what the policy named before can be the base of what it names now.
bool serves(const component::Target& target, const component::DataSet& set,
            const component::Version& version) {
  return version.component == set.component && target.is_within_reach(set, version);
}

// What this side had sent itself, when the roles were the other way round: its pin serves as well,
// as long as it is held. Opening it settles one whose agent died before.
Result<BaseHere> pinned_base(const Agent& agent, Book& book, const component::SetId& id,
                             const std::string& run, bool must_open) {
  LOCKSTEP_TRY(const auto sent, book.find_sent(run, id.set));
  if (!sent) return BaseHere{{}, "nothing of it is here any more", false};
  auto* component = agent.components.find(sent->version.component);
  if (component == nullptr || component->sources() == nullptr) {
    return BaseHere{{}, "this agent has no component " + sent->version.component, false};
  }
  const auto held = component->sources()->open(sent->version);
  if (!held && must_open && held.error().code != ErrorCode::version_missing) return held.error();
  if (!held) return BaseHere{{}, "its pin is gone", false};
  if (component->target() != nullptr && !component->target()->may_start_from(sent->version)) {
    return BaseHere{{}, "its pin may hold other content by now than what was sent", true};
  }
  return BaseHere{KeptBase{sent->version, sent->manifest}, {}, false};
}

}  // namespace

Result<BaseHere> find_base(const Agent& agent, Book& book, const RecordStore& records,
                           const component::SetId& id, const std::string& run, bool must_open) {
  BaseHere found;
  LOCKSTEP_TRY(const auto row, book.find_received(run, id.set));
  if (row && row->version) {
    found.kept = KeptBase{*row->version, row->manifest};
  } else if (auto record = records.read({id.service, run})) {
    if (const auto* set = find_set(record->at("sets"), id.set)) {
      found.kept = KeptBase{version_in(*record, *set), manifest_in(*set)};
    }
  }
  if (!found.kept) {
    LOCKSTEP_TRY(found, pinned_base(agent, book, id, run, must_open));
  }
  if (found.kept && !agent.disk.stat_at(os::kCwd, found.kept->manifest)) {
    return BaseHere{{}, "its manifest is gone", false};
  }
  return found;
}

Result<Transferred> receive_one(const Agent& agent, Book& book, const RecordStore& records,
                                const LinkWhenReady& link, const Job& job, std::stop_token stop,
                                ProgressBoard& board) {
  LOCKSTEP_TRY(const auto dropped, book.tombstone(job.run));
  if (dropped)
    return make_error(ErrorCode::pin_dropped, "the run was dropped: " + *dropped, job.run);

  const auto target_set = data_set_of(job.service(), job.set(), End::to);
  const component::SetId& id = target_set.id;
  LOCKSTEP_TRY(auto* const target, target_of(agent, target_set.component));
  LOCKSTEP_CHECK(target->check(target_set, 0));
  LOCKSTEP_CHECK(os::make_directories(agent.disk, agent.manifest_directory(id.service, id.set)));

  LOCKSTEP_TRY(auto row, book.find_received(job.run, id.set));
  JournalResumeLog log(agent.journal, job.run, id.set);
  LOCKSTEP_TRY(const auto arrived, log.load());
  const bool sealed = arrived && arrived->complete;  // it needs no base any more
  std::optional<KeptBase> base;
  bool must_have_base = false;
  std::string without_base;
  if (const auto run = base_of(job.set())) {
    must_have_base = fails_without_base(job.set());
    LOCKSTEP_TRY(BaseHere here, find_base(agent, book, records, id, *run, must_have_base));
    base = std::move(here.kept);
    // Whether it is still there or not: nobody took it away, the policy names another place.
    const bool elsewhere = base && !serves(*target, target_set, base->version);
    if (elsewhere) {
      base.reset();
      must_have_base = false;
      without_base = "The set was kept elsewhere before: everything was sent.";
    }
    const bool gone = base && is_gone(agent, base->version);
    if (gone) {
      base.reset();
      here.missing = "its version is gone";
    }
    must_have_base = must_have_base && !here.never_was && !sealed;
    if (must_have_base && !base) return base_lost(id, *run, "of the receiver " + here.missing);
    if (gone) without_base = "The base's version was gone: everything was sent.";
  }
  Received received;
  if (row) {
    received = *row;
  } else {
    received.run = job.run;
    received.target = target_set;
    received.staging_attempt = job.attempt;
    received.manifest = agent.manifest_path(id.service, id.set, job.run);
  }
  received.base = base ? base_of(job.set()).value_or("") : "";
  // Before the staging: what a dead process leaves is then found by its row.
  LOCKSTEP_CHECK(book.put_received(received));

  component::Context context;
  context.run = job.run;
  context.stop = stop;
  std::vector<std::string> caveats;
  stream::ReceiveJob in;
  in.transfer = job.run;
  in.epoch = job.epoch.number;
  in.stage = [&](bool with_base, bool resume) -> Result<std::unique_ptr<component::Staging>> {
    if (must_have_base && !with_base) {
      return base_lost(id, base_of(job.set()).value_or(""),
                       "sender and receiver do not have the same of it, or a manifest is damaged");
    }
    if (!resume && received.staging_attempt != job.attempt) {
      // Begun anew: under this attempt's name, so that nothing of an earlier one is mixed in.
      received.staging_attempt = job.attempt;
      LOCKSTEP_CHECK(book.put_received(received));
    }
    context.attempt = received.staging_attempt;
    component::StageRequest request{target_set, {}, resume};
    if (with_base && base) request.base = base->version;
    LOCKSTEP_TRY(auto staging, target->stage(context, request));
    for (std::string& found : staging->caveats()) {
      spdlog::warn("{} of run {}: {}", id.set, job.run, found);
      caveats.push_back(std::move(found));
    }
    return staging;
  };
  in.find_sealed = [&] {
    context.attempt = received.staging_attempt;
    return target->find(context, target_set);
  };
  in.log = &log;
  in.manifest = received.manifest;
  if (base) in.base_manifest = base->manifest;
  in.stall = job.stall();
  in.deadline = job.deadline;
  in.stop = stop;
  in.may_be_carried = engine_of(job.set()) != Engine::stream;
  in.carry = engine_for(agent, job, target_set.component, board);
  // Of files compression and shared blocks may make room: there the write itself tells.
  if (!agent.components.find(target_set.component)->places_are_paths()) {
    in.room = [&](std::uint64_t bytes) { return target->check(target_set, bytes); };
  }
  in.progress = [&](const stream::Progress& progress) { board.put(id.set, shown(progress)); };
  LOCKSTEP_TRY(auto outcome, stream::receive_set({agent.disk, agent.clock}, link(), in));

  received.version = outcome.version;
  received.root = stream::to_hex(outcome.summary.root);
  received.entries = outcome.summary.entries;
  received.bytes = outcome.summary.bytes;
  LOCKSTEP_CHECK(book.put_received(received));

  Transferred done{id.set, outcome.summary, outcome.bytes_received, outcome.bytes_again, {}, {}};
  if (outcome.incremental) {
    done.base = base_of(job.set());
  } else if (!without_base.empty()) {
    done.caveats.push_back(without_base);
    spdlog::warn("{} of run {}: {}", id.set, job.run, without_base);
  }
  if (!outcome.carried.empty()) done.caveats.push_back(outcome.carried);
  if (!outcome.base_refused.empty()) {
    done.caveats.push_back("Everything was sent, for want of a base: " + outcome.base_refused);
    spdlog::error("{} of run {}: {}", id.set, job.run, done.caveats.back());
  }
  if (!outcome.resume_refused.empty()) {
    done.caveats.push_back("the transfer began again: " + outcome.resume_refused);
  }
  std::move(caveats.begin(), caveats.end(), std::back_inserter(done.caveats));
  return done;
}

}  // namespace lockstep::transfer
