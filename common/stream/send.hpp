// Sending one data set's version to the peer (docs/stream.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "common/clock/clock.hpp"
#include "common/component/carries.hpp"
#include "common/component/source.hpp"
#include "common/stream/channel.hpp"
#include "common/stream/forecast.hpp"
#include "common/stream/manifest.hpp"

namespace lockstep::stream {

// What both jobs need of their surroundings. Must outlive the call.
struct Tools {
  os::Disk& disk;
  const Clock& clock;
};

enum class Compress {
  off,
  automatic,
  always
};  // automatic: where a sample and the wire show that it pays

struct Progress {
  std::uint64_t entries = 0;  // walked (sender), changed entries applied (receiver)
  std::uint64_t bytes = 0;    // of content sent or applied, uncompressed
  // Of both sides, what `bytes` will be in the end; known some time after the start of a transfer
  // that lasts.
  std::optional<Forecast> expected = {};
};

// Has an engine bring the content to `to`, `whole` where both sides have no base; ends with an
// error soon after `stop` is asked for.
using Carry = std::function<Result<component::Carried>(const std::string& to, bool whole,
                                                       std::stop_token stop)>;

struct SendJob {
  std::string transfer;                    // the run's id
  std::uint64_t epoch = 0;                 // number of the identity epoch
  component::Source* source = nullptr;     // the version
  std::string manifest;                    // absolute path of the manifest to write; its
                                           // directory exists. "<manifest>.part" meanwhile
  std::string base_manifest;               // of the base as this side wrote it; empty: none
  std::optional<component::Version> base;  // where the base is still held: for changed_extents
  std::uint64_t bandwidth = 0;             // bytes a second on the wire; 0: no limit
  Compress compress = Compress::automatic;
  unsigned compress_threads = 2;
  Nanos stall = seconds(60);        // nothing moved for this long: stalled
  Nanos deadline = seconds(86400);  // for the whole call, reconnecting included
  // A transfer that lasts longer has what it will send counted (forecast.hpp); 0: at once.
  Nanos forecast_after = seconds(10);
  // Where this side has an engine bring what would travel whole: to where the receiver says
  // (Staging::carried_to). Called on a thread of its own, and again where the receiver does not
  // know what came of it.
  Carry carry;
  std::stop_token stop;
  std::function<void(const Progress&)> progress;  // a few times a second, from one thread
};

struct SendOutcome {
  ManifestSummary summary;         // of the version: root, entries, bytes
  bool incremental = false;        // both sides had the base
  std::uint64_t bytes_sent = 0;    // on the wire, headers and repeats included, also what the
                                   // receiver had got from an earlier process of this side
  std::uint64_t bytes_resent = 0;  // of these, what was sent more than once
  std::uint64_t packs = 0;
  std::uint64_t reconnects = 0;
  std::string carried;         // how an engine carried the content, or why it did not
  std::string resume_refused;  // why a resumption was refused, where it was; then all was sent anew
  std::string base_refused;    // why this side's base was not used, where its manifest is damaged
};

// Blocks until the receiver has sealed the version and said so. Errors: source-read and the like
// (this side), whatever the receiver failed with (told by it), stream-peer-lost, stalled, deadline,
// cancelled, stream-digest, stream-protocol. The link is used until the end and stays the caller's.
// Thread rule: any thread; several sets at once in several threads.
Result<SendOutcome> send_set(const Tools& tools, Link& link, const SendJob& job);

}  // namespace lockstep::stream
