// Ranks as threads of this process.
#pragma once

#include <functional>

#include "executor/communicator.h"

namespace fathom::executor {

// Runs run(world) once on each of `ranks` threads, of which rank 0's is the caller's own, and returns when all have ended. If one throws,
// the others' exchanges throw too, so that none waits for ever, and the first exception is thrown here. Ranks that disagree about an
// exchange (another one, another type, other sizes), or that wait for one that has given its communicator up, throw Error{device}.
void run_ranks(int ranks, const std::function<void(Communicator& world)>& run);

}  // namespace fathom::executor
