// Forecast: how much a transfer will send, counted by a second walk of the version that reads
// metadata alone. For people who wait, and for a receiver that may have no room for it.
#pragma once

#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "common/component/source.hpp"
#include "common/os/disk.hpp"

namespace lockstep::stream {

struct Forecast {
  std::uint64_t bytes = 0;  // of content, uncompressed
  // True where it may be less: of files that changed, only the blocks that changed are sent.
  bool at_most = false;
};

// `base_manifest`: empty where the transfer has no base. Errors: source-read and the like,
// point-damaged (the base's manifest), cancelled.
Result<Forecast> forecast(os::Disk& disk, component::Source& source,
                          const std::string& base_manifest, const std::stop_token& stop);

// The same on a thread of its own, which ends with the object. Thread rule: one thread.
class Forecaster {
 public:
  // `disk` and `source` outlive it.
  Forecaster(os::Disk& disk, component::Source& source, std::string base_manifest);
  // Once the walk is over. Where it failed: never; who sends will meet the reason.
  std::optional<Forecast> result() const;

 private:
  mutable std::mutex mutex_;
  std::optional<Forecast> result_;
  std::jthread thread_;
};

}  // namespace lockstep::stream
