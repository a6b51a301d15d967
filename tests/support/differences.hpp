// The independent comparator (tests/compare), from C++. Needs LOCKSTEP_SOURCE_DIR.
#pragma once

#include <string>

#include "tests/support/shell.hpp"

namespace lockstep::test {

// Content, all metadata, hard links, holes, xattrs, ACLs; empty where two trees are the same.
inline std::string differences(const std::string& left, const std::string& right) {
  return output_of("out=$(/usr/bin/python3 '" LOCKSTEP_SOURCE_DIR "/tests/compare/compare.py' '" +
                   left + "' '" + right + "' 2>&1) || echo \"$out\"");
}

}  // namespace lockstep::test
