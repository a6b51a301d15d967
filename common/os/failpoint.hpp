// Failpoints: named places at which a test ends the process as if it had been killed, or stops it.
//
// LOCKSTEP_FAILPOINT=name:n (n from 1, default 1) ends the process by SIGKILL to itself when
// failpoint(name) is reached for the n-th time. Without any of the variables the cost is one load.
// LOCKSTEP_FAILPOINT_FILE=FILE does the same for a process that runs: FILE, put in place by rename,
// holds "name:n", passings count from then on, and the process removes FILE before it ends itself.
// "stop name:n" there stops the process (SIGSTOP) at that place instead: whoever wrote it may
// change the surroundings and send SIGCONT. LOCKSTEP_FAILPOINT_LIST=FILE appends each name at each
// passing, so that a sweep knows them.
#pragma once

namespace lockstep::os {

void failpoint(const char* name);

}  // namespace lockstep::os
