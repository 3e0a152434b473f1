#pragma once

#include <string>
#include <vector>

namespace fathom::cli {

// The whole program: reads the command line (without the program's name), runs the verb, writes, and returns the exit code.
int run(const std::vector<std::string>& arguments);

}  // namespace fathom::cli
