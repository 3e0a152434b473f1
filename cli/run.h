#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/request.h"

namespace fathom::cli {

struct Runner {
  std::string_view verb;  // its first word
  Outcome (*run)(const Request&);
};

// The whole program: reads the command line (without the program's name), runs the verb, writes, and returns the exit code.
// own: verbs that this program runs itself and `fathom` hands over (hand_over.cpp).
int run(const std::vector<std::string>& arguments, std::span<const Runner> own = {});

}  // namespace fathom::cli
