// SortedStrings: byte strings, sorted, in memory that does not grow with their number: what is
// beyond the budget is sorted in runs in a scratch file and merged as it is read.
//
// Thread rule: one thread an object; objects that share a budget belong to one thread, and end in
// the reverse order of their making (as the directories on the way down a tree do).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/components/files/side.hpp"
#include "common/os/disk.hpp"

namespace lockstep::files {

// What several lists share: how many strings they may hold in memory at a time, and one scratch
// file, so that neither memory nor descriptors grow with the depth of a tree.
struct SortBudget {
  std::size_t left = 50'000;
  os::Fd file = {};
  std::uint64_t end = 0;  // of what is in use of the file
};

class SortedStrings {
 public:
  // `scratch` is a directory for the scratch file, which has no name there; `where` says in errors
  // what is sorted. What is added first may take all of the budget, and gives it back at the end.
  SortedStrings(os::Disk& disk, SortBudget& budget, std::string scratch, std::string where);
  SortedStrings(SortedStrings&& other) noexcept;
  SortedStrings& operator=(SortedStrings&&) = delete;
  ~SortedStrings();

  // At most 65,535 bytes, not empty. Errors: target-write, no-space, permission.
  Result<void> add(std::string text);
  // Nothing more comes.
  Result<void> finish();
  // The next in order, or nothing at the end; equal ones one after the other.
  Result<std::optional<std::string>> next();

 private:
  struct Run {               // a sorted part of the scratch file
    std::uint64_t from = 0;  // what is not in `buffer` yet
    std::uint64_t end = 0;
    std::string buffer;
    std::size_t position = 0;
    std::string head;  // the run's next; empty at its end
  };

  Result<void> spill();
  Result<void> advance(Run& run);
  bool later(std::size_t a, std::size_t b) const;

  os::Disk* disk_;
  SortBudget* budget_;
  std::string scratch_;
  std::string where_;
  std::vector<std::string> strings_;
  std::size_t most_;  // in memory while they are added
  std::size_t position_ = 0;
  std::size_t taken_ = 0;   // of the budget
  std::uint64_t from_ = 0;  // where the runs begin in the budget's file
  std::vector<Run> runs_;
  std::vector<std::size_t> heap_;
};

// A file for reading and writing without a name, in the directory `scratch`.
Result<os::Fd> open_scratch(os::Disk& disk, const std::string& scratch);

}  // namespace lockstep::files
