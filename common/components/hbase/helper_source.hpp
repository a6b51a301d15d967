// The text of java/LockstepHBase.java, which CMake puts into the program.
#pragma once

#include <string_view>

namespace lockstep::hbase {

extern const std::string_view kHelperSource;

}  // namespace lockstep::hbase
