// What each verb does. They compute and give back text: run.cpp writes it.
#pragma once

#include "cli/request.h"

namespace fathom::cli {

// All layers of settings below and with the flags, in order. `remarks` gets what looks like a slip.
std::vector<Setting> all_settings(const Request&, std::vector<std::string>& remarks);

// The only positional argument, or Error{usage} that says it is missing.
std::string needed_argument(const Request&, std::string_view what);

Outcome run_estimate(const Request&);
Outcome run_vram(const Request&);
Outcome run_cost(const Request&);
Outcome run_spec(const Request&);      // list, show, check, import, init
Outcome run_profiles(const Request&);  // list, show, check
Outcome run_graph(const Request&);
Outcome run_trace(const Request&);
Outcome run_config(const Request&);  // show

// Becomes the program fathom-executor, beside this one or in PATH, with the same command line. Returns never; throws Error{io}.
Outcome hand_over(const Request&);

}  // namespace fathom::cli
