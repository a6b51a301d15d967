// Passes failpoints in a known order and says after each that it lives.
#include <cstdio>
#include <initializer_list>

#include "common/os/failpoint.hpp"

int main() {
  for (const char* name : {"first", "second", "first", "second"}) {
    lockstep::os::failpoint(name);
    std::printf("%s\n", name);
    std::fflush(stdout);
  }
}
