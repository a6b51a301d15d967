// lockstep-transfer-agent: moves pinned content between clusters, keeps and gives back points.
#include <malloc.h>

#include "services/transfer-agent/book.hpp"
#include "services/transfer-agent/service.hpp"

namespace {

// Packs are a megabyte each, made, sent and freed hundreds of times a second by this process and by
// ZeroMQ. As the C library comes, their memory goes back to the kernel and comes anew, page by page
// and cleared: a fifth of the processor time of a transfer of large files (mallopt(3)). Little is
// kept: each of the C library's arenas, one for every few threads, keeps as much.
void keep_freed_memory() {
  constexpr int kMapped = 8 << 20;   // only what is larger is mapped for itself
  constexpr int kTrimmed = 4 << 20;  // that much may stay free in an arena before any goes back
  ::mallopt(M_MMAP_THRESHOLD, kMapped);
  ::mallopt(M_TRIM_THRESHOLD, kTrimmed);
}

}  // namespace

int main(int argc, char** argv) {
  keep_freed_memory();
  return lockstep::service::run(argc, argv, lockstep::transport::Role::transfer_agent,
                                lockstep::transfer::migrations(), lockstep::transfer::set_up);
}
