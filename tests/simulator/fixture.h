// A machine of round numbers, so that expected times can be worked by hand: 100 TFLOPS BF16, 200 FP8, 10 vector, 1000 GB/s, every roof reached
// in full, 1 us a kernel; 8 GPUs a node, NVLink 100 GB/s, one NIC of 10 GB/s each, 5 us an exchange.
#pragma once

#include "simulator/machine.h"

namespace fathom::simulator {

inline HardwareProfile round_profile() {
  HardwareProfile p;
  p.name = p.origin = "round";
  p.matrix_rate = {teraflops(10), teraflops(100), teraflops(200), std::nullopt, std::nullopt};
  p.vector_rate = teraflops(10);
  p.hbm_bandwidth = gigabytes_per_second(1000);
  p.hbm_capacity = p.hbm_usable = gigabytes(100);
  p.reserved = gigabytes(4);
  p.price = hardware_profiles::Price{1, 3, 2, "invented"};
  p.cluster.nvlink = gigabytes_per_second(100);
  p.cluster.nic = gigabytes_per_second(10);
  return p;
}

inline Calibration round_calibration() {
  Calibration c;
  c.name = c.origin = "round";
  for (std::size_t f = 0; f < family_count; ++f) {
    Efficiency e;
    e.compute = e.memory = hardware_profiles::Curve(1.0);
    e.provenance = Provenance::published;
    e.fixed = is_collective(static_cast<Family>(f)) ? microseconds(5) : microseconds(1);
    c.entries[f][0] = e;
  }
  return c;
}

inline Machine round_machine(const Layout& layout) { return prepare(round_profile(), round_calibration(), plan(find_model("deepseek-v3.2"), layout, {})); }

}  // namespace fathom::simulator
