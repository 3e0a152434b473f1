// What the user asked for, once the command line has been read.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "simulator/scenario.h"

namespace fathom::cli {

using namespace simulator;

struct Request {
  std::string verb;                                                      // "estimate", "spec show"
  std::vector<std::string> words;                                        // the command line as it was typed, from the verb on
  std::vector<std::string> arguments;                                    // positional
  std::vector<Setting> settings;                                         // scenario settings given as flags, in order
  std::map<std::string, std::vector<std::string>, std::less<>> options;  // the other flags by first name without dashes; a switch has one empty value

  [[nodiscard]] bool has(std::string_view option) const { return options.contains(option); }
  [[nodiscard]] std::string option(std::string_view name, const std::string& fallback = {}) const {
    const auto found = options.find(name);
    return found == options.end() || found->second.empty() ? fallback : found->second.back();
  }
};

// Exit codes of the program.
enum class Exit : int { ok = 0, infeasible = 1, usage = 2, bad_file = 3, io = 4, device = 5, interrupted = 130 };

// What a verb gives back: data for stdout (or -o FILE), remarks for stderr.
struct Outcome {
  std::string data;  // empty: nothing is written
  Exit exit = Exit::ok;
  std::vector<std::string> remarks{};
  bool wrote_output = false;  // -o FILE is another file than the data, and has been written
};

}  // namespace fathom::cli
