// Whether a process's memory tells what the program needs: under a sanitizer it is the sanitizer's.
#pragma once

namespace lockstep::test {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kMemoryIsMeasurable = false;
#else
inline constexpr bool kMemoryIsMeasurable = true;
#endif
#else
inline constexpr bool kMemoryIsMeasurable = true;
#endif

}  // namespace lockstep::test
