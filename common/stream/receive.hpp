// Receiving one data set's version from the peer and sealing it (docs/stream.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "common/component/target.hpp"
#include "common/stream/channel.hpp"
#include "common/stream/manifest.hpp"
#include "common/stream/resume_log.hpp"
#include "common/stream/send.hpp"

namespace lockstep::stream {

struct ReceiveJob {
  std::string transfer;  // the run's id; must be the sender's
  std::uint64_t epoch = 0;
  // Target::stage for this run and attempt: with the base or without, new or resumed. Called once,
  // or again after a refused resumption (the old staging was abandoned before).
  std::function<Result<std::unique_ptr<component::Staging>>(bool with_base, bool resume)> stage;
  // Target::find: the version named for the run if a crash came between seal and its record.
  std::function<Result<std::optional<component::Version>>()> find_sealed;
  // An engine may bring what would travel whole to where the staging says (Staging::carried_to):
  // the sender has it do so, or, where `carry` is given, this side, before the sender starts.
  bool may_be_carried = false;
  Carry carry;
  // Where given, asked once: whether there is room for so many bytes of content more. Its error
  // ends the transfer, before the room is used up. Not asked of a transfer of a few seconds.
  std::function<Result<void>(std::uint64_t bytes)> room;
  ResumeLog* log = nullptr;
  std::string manifest;                      // absolute path of the manifest to write; its
                                             // directory exists. "<manifest>.part" meanwhile
  std::string base_manifest;                 // of the base as this side has it; empty: none
  std::uint64_t window = 16 << 20;           // bytes under way, at least 4 MiB
  std::uint64_t checkpoint_bytes = 1 << 30;  // Staging::checkpoint after this much ...
  Nanos checkpoint_time = seconds(10);       // ... or this long
  Nanos stall = seconds(60);
  Nanos deadline = seconds(86400);
  std::stop_token stop;
  std::function<void(const Progress&)> progress;
};

struct ReceiveOutcome {
  ManifestSummary summary;
  component::Version version;  // sealed
  bool incremental = false;
  std::uint64_t bytes_received = 0;  // on the wire, repeats included, earlier processes included
  std::uint64_t bytes_again =
      0;  // of these, what had been received before (and was ignored or applied anew)
  std::uint64_t packs = 0;
  std::uint64_t resumed_from = 0;  // the pack after which this process went on; 0: from the start
  std::string carried;             // how an engine carried the content that this side had it bring
  std::string resume_refused;      // why packs that had come came again
  std::string base_refused;  // why this side's base was not used, where its manifest is damaged
};

// Blocks until the version is sealed, its manifest durable in its place, and the sender told. On
// success the log's row is complete and stays, so that a sender that missed the end can ask again.
// On an error that resumption may cure (peer lost, stalled, cancelled, deadline) staging and log
// stay; on any other the staging is abandoned and the log cleared. Errors: target-write, no-space
// (this side), whatever the sender failed with, stream-digest, stream-hostile, stream-protocol,
// stream-peer-lost, stalled, deadline, cancelled. Thread rule: any thread.
Result<ReceiveOutcome> receive_set(const Tools& tools, Link& link, const ReceiveJob& job);

}  // namespace lockstep::stream
