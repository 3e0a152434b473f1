// A machine as data: peak rates, memory, links, price, every number with its source; and how near real kernels come to the peaks.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model_spec/dtype.h"
#include "model_spec/family.h"
#include "model_spec/trace.h"
#include "model_spec/units.h"

namespace fathom::hardware_profiles {

using namespace model_spec;

// A fraction of a roof as a function of log2(work): piecewise linear, held at both ends.
class Curve {
 public:
  Curve() = default;
  explicit Curve(double constant) : log2_x_{0}, fraction_{constant} {}
  Curve(std::vector<double> log2_x, std::vector<double> fraction);  // x increasing
  struct Value {
    double fraction;
    bool inside;
  };                                          // inside: within the measured domain
  [[nodiscard]] Value at(double work) const;  // work in FLOP or bytes, not its logarithm
  [[nodiscard]] bool empty() const { return fraction_.empty(); }

 private:
  std::vector<double> log2_x_, fraction_;
};

// How near the kernels of one family come to the roofs of this device, and what one of them costs whatever its size.
// Compute kernels: time = fixed + max(flops / (rate * compute), bytes / (bandwidth * memory)).
// Collectives: time = fixed + per_log2_rank * log2(ranks) + load on the busiest link / (capacity * link fraction of its tier).
struct Efficiency {
  Curve compute;      // fraction of the matrix rate, against FLOP of the operator
  Curve memory;       // fraction of HBM bandwidth, against bytes moved
  double nvlink = 1;  // collectives: fraction of the NVLink rate
  double nic = 1;     // collectives: fraction of the NIC rate
  Seconds fixed{};    // per kernel, inside a captured graph
  Seconds per_log2_rank{};
  double sm_share = 0;  // collectives: share of the SMs that it keeps busy while it runs
  Provenance provenance = Provenance::assumed;
  std::string source;  // who measured, on what, how many samples
  std::string transferred_from;
};

// Fractions laid over a profile: one per (family, arithmetic). Arithmetic matters only where one family multiplies in several.
struct Calibration {
  std::string name, kernel_set, date, versions, origin;
  std::array<std::array<std::optional<Efficiency>, arithmetic_count>, family_count> entries;
  // Null if neither the exact arithmetic nor a row without arithmetic (stored under fp32) exists.
  [[nodiscard]] const Efficiency* find(Family family, Arithmetic arithmetic) const;
};

// The cluster around a GPU. Rates are per GPU or per NIC and in one direction.
struct ClusterSpec {
  std::int64_t gpus_per_node = 8;  // GPUs behind one NVSwitch domain (72 in an NVL72 rack)
  BytesPerSecond nvlink{};         // per GPU
  Seconds nvlink_latency{};        // one hop GPU - NVSwitch
  std::int64_t nics_per_node = 8;
  BytesPerSecond nic{};              // per NIC
  Seconds nic_latency{};             // one hop NIC - leaf
  Seconds spine_latency{};           // one hop leaf - spine
  std::int64_t nodes_per_leaf = 32;  // rail-optimised: NIC i of these nodes meets on leaf i
  double oversubscription = 1;       // leaf to spine
  std::int64_t max_nodes = 0;        // 0: as many as asked for
};

struct Price {
  double low = 0, high = 0, typical = 0;
  std::string source;
};  // USD per GPU-hour

struct HardwareProfile {
  std::string name, description, origin;
  std::vector<std::string> aliases;
  std::array<std::optional<FlopsPerSecond>, arithmetic_count> matrix_rate;  // dense; absent: the arithmetic is refused
  std::optional<FlopsPerSecond> vector_rate;                                // FP32 outside matrix units
  std::optional<BytesPerSecond> hbm_bandwidth;
  Bytes hbm_capacity{};  // nominal
  Bytes hbm_usable{};    // as the driver reports it
  Bytes reserved{};      // what driver, framework and collective library keep
  std::optional<Bytes> l2;
  std::int64_t sm_count = 0;  // 0: not known
  std::optional<double> power_watts;
  std::optional<Price> price;
  ClusterSpec cluster;
  std::string calibration_name;
  std::map<std::string, std::string> sources;  // key of the file -> where its number comes from

  // The rate, or Error{bad_file} naming the file and the key that is missing.
  [[nodiscard]] FlopsPerSecond rate(Arithmetic) const;
  [[nodiscard]] FlopsPerSecond vector() const;
  [[nodiscard]] BytesPerSecond bandwidth() const;
};

HardwareProfile read_profile(std::string_view toml, const std::string& file);  // Error{bad_file} with all problems
Calibration read_calibration(std::string_view toml, const std::string& file);

struct ProfileSource {
  std::string name;
  std::vector<std::string> aliases;
  std::string description;
  std::string origin;
};                                                              // origin: "built in", or a path
std::vector<ProfileSource> list_profiles();                     // user's folder first, then built in
HardwareProfile find_profile(const std::string& name_or_path);  // Error{usage} with the nearest name
Calibration find_calibration(const std::string& name_or_path);  // same; "speed_of_light" is every roof at 1 with no fixed cost

}  // namespace fathom::hardware_profiles
