// Read faults: the error of a broken disk in the middle of a file, for tests of whole processes.
//
// LOCKSTEP_READ_FAULT=<end of a path>:<offset>, as in `/invoices/0017.pdf:8192`: whoever reads that
// byte of a file whose path ends so gets EIO. Without the variable the cost is one load.
// Thread rule: any thread.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lockstep::os {

// EIO where the variable says so, else 0.
int read_fault(int fd, std::uint64_t offset, std::size_t size);

}  // namespace lockstep::os
