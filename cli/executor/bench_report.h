// The result of `fathom bench` as a report.
#pragma once

#include "executor/bench.h"
#include "hardware_profiles/measurement.h"
#include "simulator/compare.h"
#include "simulator/report.h"

namespace fathom::cli {

using namespace simulator;

// An operator that was timed and what its time comes to, or the reason why it was not.
struct BenchRow {
  executor::BenchRecord record;
  hardware_profiles::Measurement measured;
  Speed speed;
  std::string reason;
};

struct BenchResult {
  std::vector<BenchRow> rows;  // in the order of the plan, those of a label together
  hardware_profiles::Measurements about;
  std::string system;              // whose peaks the floors are of
  std::int64_t points = 0;         // of the grid
  double seconds = 0;              // that it took
  std::vector<double> repeated{};  // operators that were timed again at the end: by which fraction the second time is longer
};

// Where something was measured, and whose peaks it is put beside.
Table device_table(const hardware_profiles::Measurements& about, const std::string& system);

Report report_of(const BenchResult&);
hardware_profiles::Measurements measurements_of(const BenchResult&);

}  // namespace fathom::cli
