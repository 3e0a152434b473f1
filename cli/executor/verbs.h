// The verbs that fathom-executor runs.
#pragma once

#include "cli/request.h"

namespace fathom::cli {

Outcome run_model(const Request&);
Outcome run_checkpoint(const Request&);  // inspect, synth
Outcome run_bench(const Request&);
Outcome run_bench_step(const Request&);
Outcome run_doctor(const Request&);

}  // namespace fathom::cli
