// Verifying: a version is read again through its component and held against its manifest.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/component/source.hpp"
#include "common/stream/manifest.hpp"

namespace lockstep::stream {

struct VerifyOptions {
  unsigned sample = 100;           // percent of the regular files whose content is read, 0 to 100
  std::uint64_t seed = 0;          // another seed, another sample
  std::size_t max_problems = 100;  // after that many the rest is only counted
  std::stop_token stop;
  std::function<void(std::uint64_t entries, std::uint64_t bytes)> progress;
};

struct VerifyOutcome {
  std::uint64_t entries = 0;  // looked at
  std::uint64_t bytes = 0;    // of content read
  Digest256 root{};           // made anew; of files not read the manifest's content digest
  Digest256 expected_root{};  // the manifest's
  std::uint64_t problem_count = 0;
  std::vector<std::string> problems;  // sentences, each with its path
  bool ok() const { return problem_count == 0 && root == expected_root; }
};

// Errors are those of not being able to look (source-read at the root, point-damaged for the
// manifest, cancelled); a file that cannot be read or differs is a problem, and the rest is still
// looked at. Thread rule: any thread.
Result<VerifyOutcome> verify_version(os::Disk& disk, component::Source& source,
                                     const std::string& manifest, const VerifyOptions& options);

}  // namespace lockstep::stream
