// USD per million tokens against token position: the marginal cost of a token at position p inside a running service.
#pragma once

#include <string>
#include <vector>

#include "simulator/scenario.h"

namespace fathom::simulator {

using hardware_profiles::Calibration;
using hardware_profiles::HardwareProfile;

enum class CurvePhase : std::uint8_t { prefill, decode };

// The service that a token joins, fixed before any comparison. published_service: DeepSeek's own deployment (prefill on 4 nodes, EP32 with 32
// redundant experts and 16K tokens a GPU; decode on 18 nodes, EP144 with 288 physical experts; two micro-batches overlapped; mean context
// 4,989 tokens: open-infra-index 2025-02, day 6; 128 requests a GPU: profile-data 2025-02). Whether drafts are verified is not published.
struct Service {
  Layout layout;
  Policy policy;
  std::int64_t batch = 0;  // prefill: tokens a rank and step; decode: sequences a rank
  std::int64_t mean_context = 4989;
  double nextn_accepted = 0;  // drafts accepted a step, of policy.mtp_depth
};
Service published_service(CurvePhase);

struct CurvePoint {
  std::int64_t position = 0;
  double usd_per_million = 0;
  double position_independent = 0;  // share of the step that every token has
  double attention = 0, index = 0;  // this token's own core attention; index scores and top-k
};

// cost(p) = (share of the step that does not depend on position + this token's attention, index and cache time) * price of a GPU.
std::vector<CurvePoint> cost_curve(const ModelSpec&, const HardwareProfile&, const Calibration&, CurvePhase, const Service&, double usd_per_gpu_hour,
                                   const std::vector<std::int64_t>& positions);

// A published curve (hardware_profiles/published), and how far a prediction is from it.
struct PublishedPoint {
  std::int64_t position = 0;
  double usd_per_million = 0;
};
std::vector<PublishedPoint> published_curve(const std::string& model, CurvePhase);  // empty if none is known
struct CurveError {
  double slope = 0, published_slope = 0;          // USD per million tokens and 128K positions, least squares over positions >= 8192
  double intercept = 0, published_intercept = 0;  // of the same line at position 0
};
CurveError compare(const std::vector<CurvePoint>&, const std::vector<PublishedPoint>&);

}  // namespace fathom::simulator
