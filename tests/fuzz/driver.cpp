// libFuzzer's entry to one target, LOCKSTEP_FUZZ_TARGET. A broken property is an uncaught
// exception, which libFuzzer takes for a crash and keeps the input of.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/target.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lockstep::fuzz::LOCKSTEP_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
