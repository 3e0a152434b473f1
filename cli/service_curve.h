// The cost of a token by its position, in the service that a scenario describes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "simulator/cost_curve.h"

namespace fathom::cli {

using namespace simulator;

// One phase of the curve: the service it is for, and how it is priced.
struct ServiceCurve {
  std::string name;
  CurvePhase phase;
  Service service;
  HardwareProfile profile;
  Calibration calibration;
  double usd_per_gpu_hour;
};

// The published service (published_service) with what the scenario says otherwise. Throws Error{usage} if nobody says what a GPU-hour costs.
ServiceCurve service_curve(const Scenario&, const std::vector<Setting>& effective, CurvePhase);
// Precondition: the service's layout suits the model (check(model, layout)).
std::vector<CurvePoint> points_of(const ModelSpec&, const ServiceCurve&, const std::vector<std::int64_t>& positions);

inline constexpr std::string_view published_curve_note =
    "published: DeepSeek-V3.2 paper, figure 3; its batch and layout are not stated. No rate was fitted to it";

}  // namespace fathom::cli
