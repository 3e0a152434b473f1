#include "cli/executor/machine.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string_view>

namespace fathom::cli {
namespace {

// What follows "key   : " in a file of /proc, or nothing.
std::string value_in(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) {
      const auto start = line.find_first_not_of(" \t", line.find(':') + 1);
      return start == std::string::npos ? "" : line.substr(start);
    }
  return {};
}

}  // namespace

std::string cpu_name() { return value_in("/proc/cpuinfo", "model name"); }

// "MemAvailable:   123456 kB"
std::optional<double> available_bytes() {
  const auto kib = value_in("/proc/meminfo", "MemAvailable");
  return kib.empty() ? std::nullopt : std::optional(1024 * std::strtod(kib.c_str(), nullptr));
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.03  ..."
std::string gpu_driver() {
  std::istringstream words(value_in("/proc/driver/nvidia/version", "NVRM version"));
  for (std::string word; words >> word;)
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos) return word;
  return {};
}

}  // namespace fathom::cli
