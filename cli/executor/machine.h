// The machine that models run on.
#pragma once

#include <optional>
#include <string>

namespace fathom::cli {

std::string cpu_name();                   // empty if the system does not say
std::optional<double> available_bytes();  // of memory, likewise
std::string gpu_driver();                 // NVIDIA's version of its kernel module, "580.159.03"; empty, likewise

}  // namespace fathom::cli
