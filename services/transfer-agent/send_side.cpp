#include "services/transfer-agent/send_side.hpp"

#include <spdlog/spdlog.h>

#include "common/os/durable.hpp"
#include "services/transfer-agent/engines.hpp"
#include "services/transfer-agent/receive_side.hpp"
#include "services/transfer-agent/sets.hpp"

namespace lockstep::transfer {

namespace {

Result<component::Sources*> sources_of(const Agent& agent, const std::string& kind) {
  auto* component = agent.components.find(kind);
  if (component == nullptr || component->sources() == nullptr) {
    return make_error(ErrorCode::not_supported,
                      "this agent cannot send data sets of that component", kind);
  }
  return component->sources();
}

// What this side has of the base. Where the pin is gone the manifest still tells what changed; only
// which blocks of a large file did must then be read off the whole file. Returns what is missing of
// it, in words; empty where nothing is.
Result<std::string> add_base(const Agent& agent, component::Sources& sources, const Sent& base,
                             bool must_open, stream::SendJob& out) {
  if (!agent.disk.stat_at(os::kCwd, base.manifest)) return std::string("its manifest is gone");
  out.base_manifest = base.manifest;
  const auto held = sources.open(base.version);
  if (held) out.base = base.version;
  // What cannot be opened just now is not lost: later it may be.
  if (!held && must_open && held.error().code != ErrorCode::version_missing) return held.error();
  return held ? std::string() : std::string("its pin is gone");
}

}  // namespace

Result<Transferred> send_one(const Agent& agent, Book& book, const RecordStore& records,
                             const LinkWhenReady& link, const Job& job, std::stop_token stop,
                             ProgressBoard& board) {
  const message::Body& set = job.set();
  const component::SetId id{job.service(), job.set_name()};
  const auto version = version_of(id, set.at("version"));
  LOCKSTEP_TRY(auto* const sources, sources_of(agent, version.component));
  LOCKSTEP_TRY(const auto source, sources->open(version));

  LOCKSTEP_CHECK(os::make_directories(agent.disk, agent.manifest_directory(id.service, id.set)));
  const std::string manifest = agent.manifest_path(id.service, id.set, job.run);
  // Before the manifest: what a dead process leaves is then found by its row.
  LOCKSTEP_CHECK(book.put_sent({job.run, version, manifest}));

  stream::SendJob out;
  out.transfer = job.run;
  out.epoch = job.epoch.number;
  out.source = source.get();
  out.manifest = manifest;
  const auto base_run = base_of(set);
  if (base_run) {
    const bool must = fails_without_base(set);
    std::string missing;
    LOCKSTEP_TRY(const auto base, book.find_sent(*base_run, id.set));
    if (base) {
      LOCKSTEP_TRY(missing, add_base(agent, *sources, *base, must, out));
    } else {  // received, when the roles were the other way round
      LOCKSTEP_TRY(const BaseHere here, find_base(agent, book, records, id, *base_run, must));
      missing = here.missing;
      if (here.kept) {
        const Sent kept{*base_run, here.kept->version, here.kept->manifest};
        LOCKSTEP_TRY(missing, add_base(agent, *sources, kept, must, out));
      }
    }
    if (must && !missing.empty()) return base_lost(id, *base_run, "of the sender " + missing);
  }
  out.bandwidth = job.instruction.at("bandwidth").get<std::uint64_t>();
  out.compress = job.instruction.at("compress").get<bool>() ? stream::Compress::automatic
                                                            : stream::Compress::off;
  out.stall = job.stall();
  out.deadline = job.deadline;
  out.stop = stop;
  out.carry = engine_for(agent, job, version.component, board);
  out.progress = [&](const stream::Progress& progress) { board.put(id.set, shown(progress)); };
  LOCKSTEP_TRY(auto sent, stream::send_set({agent.disk, agent.clock}, link(), out));

  Transferred done{id.set, sent.summary, sent.bytes_sent, sent.bytes_resent, {}, {}};
  if (sent.incremental) done.base = base_run;
  if (!sent.carried.empty()) done.caveats.push_back(sent.carried);
  if (!sent.base_refused.empty()) {
    done.caveats.push_back("Everything was sent, for want of a base: " + sent.base_refused);
    spdlog::error("{} of run {}: {}", id.set, job.run, done.caveats.back());
  }
  if (!sent.resume_refused.empty()) {
    done.caveats.push_back("the transfer began again: " + sent.resume_refused);
  }
  return done;
}

}  // namespace lockstep::transfer
