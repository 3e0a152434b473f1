// A machine made ready for one layout: rates, efficiencies and routed collectives, resolved once so that pricing a step is arithmetic.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "hardware_profiles/profile.h"
#include "hardware_profiles/topology.h"
#include "model_spec/plan.h"

namespace fathom::simulator {

using namespace model_spec;
using hardware_profiles::Calibration;
using hardware_profiles::Efficiency;
using hardware_profiles::HardwareProfile;

// Time of an exchange on this layout: fixed + bytes that a rank sends * seconds_per_byte (of the busiest link, at the measured fraction of its
// rate). Hop latencies are part of the measured fixed cost.
struct Wire {
  double seconds_per_byte = 0;
  double floor_seconds_per_byte = 0;  // at the links' nominal rate
  Seconds fixed{};
  std::string busiest;  // the link that bounds it
};

struct Machine {
  HardwareProfile profile;
  Calibration calibration;
  // By collective family and group: 0 the tensor-parallel group, 1 all ranks of the stage (send_recv: the next stage).
  std::array<std::array<std::optional<Wire>, 2>, family_count> wires;
  std::int64_t tp = 1;
  std::array<double, 2> overlapped_sm_share{};  // by Transport: share of the SMs that dispatch and combine keep busy while they overlap compute

  // Why the plan does not go on the machine at all: more GPUs than the cluster has, weights that it cannot multiply with. Empty if it does.
  std::string refusal;
};

// Throws Error{bad_file} naming the file and key of a rate or efficiency that the plan needs and the machine lacks.
Machine prepare(const HardwareProfile&, const Calibration&, const Plan&);

}  // namespace fathom::simulator
