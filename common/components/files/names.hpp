// SortedNames: the names of one directory, sorted bytewise, in memory that does not grow with the
// directory (sorted_strings.hpp).
//
// Thread rule: as SortedStrings.
#pragma once

#include <optional>
#include <string>

#include "common/components/files/sorted_strings.hpp"

namespace lockstep::files {

struct Name {
  std::string text;
  unsigned char type = 0;  // DT_*; DT_UNKNOWN is possible
};

class SortedNames {
 public:
  // Reads all names of `directory`. `scratch` is a directory for the scratch file; `where` names
  // the directory in errors, which are those of the side, and of the scratch file.
  static Result<SortedNames> read(os::Disk& disk, int directory, const std::string& scratch,
                                  SortBudget& budget, Side side, const std::string& where);

  // The next name in order, or nothing at the end.
  Result<std::optional<Name>> next();

 private:
  explicit SortedNames(SortedStrings sorted) : sorted_(std::move(sorted)) {}

  // Each is the name, NUL and its type: NUL sorts before whatever else a longer name has there.
  SortedStrings sorted_;
};

}  // namespace lockstep::files
