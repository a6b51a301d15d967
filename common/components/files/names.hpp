// SortedNames: the names of one directory, sorted bytewise, in memory that does not grow with the
// directory: what is beyond the budget is sorted in runs in a scratch file and merged as it is
// read.
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

// What all directories of one walk share: how many names they may hold in memory at a time, and one
// scratch file, so that neither memory nor descriptors grow with the depth of the tree.
struct NameBudget {
  std::size_t left = 50'000;
  os::Fd file = {};
  std::uint64_t end = 0;  // of what is in use of the file
};

struct Name {
  std::string text;
  unsigned char type = 0;  // DT_*; DT_UNKNOWN is possible
};

class SortedNames {
 public:
  // Reads all names of `directory`. `scratch` is a directory for the scratch file, which has no
  // name there; `where` names the directory in errors.
  static Result<SortedNames> read(os::Disk& disk, int directory, const std::string& scratch,
                                  NameBudget& budget, Side side, const std::string& where);
  SortedNames(SortedNames&& other) noexcept;
  SortedNames& operator=(SortedNames&&) = delete;
  ~SortedNames();

  // The next name in order, or nothing at the end.
  Result<std::optional<Name>> next();

 private:
  struct Run {               // a sorted part of the scratch file
    std::uint64_t from = 0;  // what is not in `buffer` yet
    std::uint64_t end = 0;
    std::string buffer;
    std::size_t position = 0;
    std::string head;  // the run's next name; empty at its end
  };

  SortedNames(os::Disk& disk, NameBudget& budget, Side side, std::string where);
  Result<void> spill(const std::string& scratch);
  Result<void> advance(Run& run);
  bool later(std::size_t a, std::size_t b) const;

  os::Disk* disk_;
  NameBudget* budget_;
  Side side_;
  std::string where_;
  // Each is the name, NUL and its type: NUL sorts before whatever else a longer name has there.
  std::vector<std::string> names_;
  std::size_t position_ = 0;
  std::size_t taken_ = 0;   // of the budget
  std::uint64_t from_ = 0;  // where the runs begin in the budget's file
  std::vector<Run> runs_;
  std::vector<std::size_t> heap_;
};

// A file for reading and writing without a name, in the directory `scratch`.
Result<os::Fd> open_scratch(os::Disk& disk, const std::string& scratch);

}  // namespace lockstep::files
