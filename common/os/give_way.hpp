// Which threads others come before, where there is work for more of them than there are processors.
#pragma once

namespace lockstep::os {

// The calling thread, and those that it starts from then on, run at least at this nice value
// (setpriority(2): on Linux a thread's own). Never lowers it; where that is refused all stays as it
// was.
void give_way(int nice);

}  // namespace lockstep::os
