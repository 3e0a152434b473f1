#include "cli/service_curve.h"

#include <fmt/format.h>

#include "cli/tables.h"

namespace fathom::cli {
namespace {

double price_of(const Scenario& s, const HardwareProfile& profile) {
  if (s.prices.usd_per_gpu_hour) return *s.prices.usd_per_gpu_hour / s.prices.utilisation;
  if (!profile.price) throw Error(Failure::usage, fmt::format("{} has no price of a GPU-hour: give --price", profile.name));
  return profile.price->typical / s.prices.utilisation;
}

}  // namespace

ServiceCurve service_curve(const Scenario& s, const std::vector<Setting>& effective, CurvePhase phase) {
  const bool prefill = phase == CurvePhase::prefill;
  const std::string name = prefill ? "prefill" : "decode";
  const auto& p = prefill ? s.prefill : s.decode;
  const auto profile = hardware_profiles::find_profile(p.system);
  ServiceCurve c{.name = name,
                 .phase = phase,
                 .service = published_service(phase),
                 .profile = profile,
                 .calibration = calibration_of(s, profile),
                 .usd_per_gpu_hour = price_of(s, profile)};
  if (origin_of(effective, name + ".layout.ep") != "built in") c.service.layout = p.layout;
  const auto published = c.service.policy.overlap;
  c.service.policy = p.policy;
  if (origin_of(effective, name + ".policy.overlap") == "built in") c.service.policy.overlap = published;
  c.service.nextn_accepted = s.workload.nextn_accepted;
  if (prefill) c.service.batch = p.policy.chunked_prefill_tokens;
  else if (p.batch > 0) c.service.batch = p.batch;
  return c;
}

std::vector<CurvePoint> points_of(const ModelSpec& m, const ServiceCurve& c, const std::vector<std::int64_t>& positions) {
  return cost_curve(m, c.profile, c.calibration, c.phase, c.service, c.usd_per_gpu_hour, positions);
}

}  // namespace fathom::cli
