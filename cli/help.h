#pragma once

#include <string>

#include "cli/flags.h"

namespace fathom::cli {

std::string program_help();                        // examples first, then the verbs
std::string verb_help(const Verb&);                // 80 columns
std::string completion(const std::string& shell);  // bash, zsh, fish; Error{usage} for another

}  // namespace fathom::cli
