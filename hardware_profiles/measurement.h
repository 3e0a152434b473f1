// Times of operators that were measured on one device, as data: what `fathom bench` writes and what calibrations are fitted to.
//   schema = 1   device, kernel_set, date = "YYYY-MM-DD"
//   [versions] driver, cuda, cublas_lt, fathom
//   [[measurement]] covers = ["q_b", ...], op = "gemm", sizes = { tokens = 32, ... }, n = 20, median_us, p10_us, p90_us
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model_spec/op.h"
#include "model_spec/units.h"

namespace fathom::hardware_profiles {

using namespace model_spec;

// One operator, alone on the device.
struct Measurement {
  std::vector<std::string> covers;  // labels of the steps that it stands for
  Op op;                            // as it ran: loads are those that came
  std::int64_t n = 0;               // times that the quantiles are of
  Seconds median{}, p10{}, p90{};
};

struct Versions {
  std::string driver, cuda, cublas_lt, fathom;  // "580.159.03", "13.0", "13.1.0", "0.1.0 (abcdef0)"
};

struct Measurements {
  std::string device, kernel_set, date;
  Versions versions;
  std::vector<Measurement> all;
};

// The file's text; reads back the same.
std::string write_measurements(const Measurements&);
// Throws Error{bad_file} with all problems.
Measurements read_measurements(std::string_view toml, const std::string& file);

}  // namespace fathom::hardware_profiles
