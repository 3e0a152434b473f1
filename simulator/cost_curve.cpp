#include "simulator/cost_curve.h"

#include <algorithm>
#include <cmath>

#include "model_spec/embedded.h"
#include "simulator/simulate.h"

namespace fathom::simulator {
namespace {

enum class Share { position_independent, attention, index };
Share share_of(const Op& op) {
  switch (family(op)) {
    case Family::index_logits:
    case Family::top_k: return Share::index;
    case Family::sparse_mla_prefill:
    case Family::sparse_mla_decode:
    case Family::dense_mha:
    case Family::dense_mqa: return Share::attention;
    default: return Share::position_independent;
  }
}

using Shares = std::array<double, 3>;  // seconds of a step, by Share

class Runner {
 public:
  Runner(const ModelSpec& m, const HardwareProfile& profile, const Calibration& calibration, const Layout& layout, const Policy& policy)
      : plan_(plan(m, layout, policy)), machine_(prepare(profile, calibration, plan_)) {}

  Shares step(const Batch& batch) {
    simulate(plan_, 0, machine_, batch, bound_, trace_);
    const auto micro_batches = static_cast<double>(trace_.steps.size() / bound_.steps.size());
    Shares sum{};
    for (const auto& block : trace_.blocks)
      for (auto i = block.first; i < block.first + block.count; ++i)
        sum[static_cast<std::size_t>(share_of(trace_.steps[i].op))] += trace_.steps[i].duration.value * static_cast<double>(block.repeats) * micro_batches;
    sum[0] = trace_.total.value - sum[1] - sum[2];  // what is left of the step, exchanges that compute hides excepted
    return sum;
  }

 private:
  Plan plan_;
  Machine machine_;
  BoundPlan bound_;
  Trace trace_;
};

// Prefill: the next `width` tokens of a prompt cost what the longer prompt takes more, launches apart (they belong to the step).
constexpr std::int64_t width = 1024;

CurvePoint prefill_point(Runner& service, const Service& s, std::int64_t p) {
  const auto sequences = std::max<std::int64_t>(1, s.batch / s.mean_context);
  const auto tokens = static_cast<double>(sequences * s.mean_context);
  const auto base = service.step(prefill(sequences, s.mean_context));
  const auto from = std::max<std::int64_t>(0, p - width / 2);
  const auto longer = service.step(prefill(1, from + width));
  const auto shorter = from > 0 ? service.step(prefill(1, from)) : Shares{};
  const auto marginal = [&](Share x) { return (longer[static_cast<std::size_t>(x)] - shorter[static_cast<std::size_t>(x)]) / static_cast<double>(width); };
  return {.position = p, .position_independent = base[0] / tokens, .attention = marginal(Share::attention), .index = marginal(Share::index)};
}

// Decode: this token's share of kernels that all sequences at its position would need.
CurvePoint decode_point(Runner& service, const Service& s, std::int64_t p) {
  const auto new_tokens = 1 + s.policy.mtp_depth;
  const auto tokens = static_cast<double>(s.batch) * (1 + s.nextn_accepted);  // that a step brings forward
  const auto base = service.step(decode(s.batch, s.mean_context, new_tokens));
  const auto own = service.step(decode(s.batch, p, new_tokens));
  return {.position = p, .position_independent = base[0] / tokens, .attention = own[1] / tokens, .index = own[2] / tokens};
}

// Least squares over the points from 8,192 on, where both models' curves are straight.
std::pair<double, double> line(const std::vector<std::pair<double, double>>& points) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (const auto& [x, y] : points) {
    if (x < 8192) continue;
    n += 1;
    sx += x;
    sy += y;
    sxx += x * x;
    sxy += x * y;
  }
  const double slope = (n * sxy - sx * sy) / (n * sxx - sx * sx);
  return {slope, (sy - slope * sx) / n};
}

}  // namespace

Service published_service(CurvePhase phase) {
  const Policy policy{.overlap = Overlap::two_batch};
  if (phase == CurvePhase::prefill) return {.layout = {.dp = 32, .ep = 32, .redundant_experts = 32}, .policy = policy, .batch = 16'384};
  return {.layout = {.dp = 144, .ep = 144, .redundant_experts = 32}, .policy = policy, .batch = 128};
}

std::vector<CurvePoint> cost_curve(const ModelSpec& m, const HardwareProfile& profile, const Calibration& calibration, CurvePhase phase, const Service& s,
                                   double usd_per_gpu_hour, const std::vector<std::int64_t>& positions) {
  if (s.layout.pp != 1) throw Error(Failure::usage, "the cost curve is of one pipeline stage: pp must be 1");
  auto policy = s.policy;
  if (!m.indexer) policy.cache = CacheFormat::bf16;
  std::vector<CurvePoint> best(positions.size());
  const auto run = [&](PrefillAttention form) {
    policy.prefill_attention = form;
    Runner service(m, profile, calibration, s.layout, policy);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      auto point = phase == CurvePhase::prefill ? prefill_point(service, s, positions[i]) : decode_point(service, s, positions[i]);
      const double to_usd = static_cast<double>(s.layout.tp) * usd_per_gpu_hour / 3600 * 1e6;
      for (auto* share : {&point.position_independent, &point.attention, &point.index}) *share *= to_usd;
      point.usd_per_million = point.position_independent + point.attention + point.index;
      if (best[i].usd_per_million == 0 || point.usd_per_million < best[i].usd_per_million) best[i] = point;
    }
  };
  // Where both forms give the model's result, a service runs the one that is cheaper at that position.
  run(PrefillAttention::mha);
  if (m.indexer && phase == CurvePhase::prefill) run(PrefillAttention::mqa);
  return best;
}

std::vector<PublishedPoint> published_curve(const std::string& model, CurvePhase phase) {
  const auto files = embedded::published();
  const auto file = std::ranges::find(files, "v32_cost_curves.toml", &embedded::File::name);
  std::vector<PublishedPoint> points;
  if (file == files.end()) return points;
  const auto root = parse_toml(file->text, "published/" + std::string(file->name));
  const auto* measurements = root.find("measurement");
  if (!measurements || !measurements->array()) return points;
  std::string listed, name;  // rows of one model stand together
  for (const auto& row : *measurements->array()) {
    const auto text = [&](const char* key) {
      const auto* v = row.find(key);
      return v ? std::get<std::string>(v->data) : std::string();
    };
    if (text("model") != listed) name = find_model(listed = text("model")).name;
    if (name != model || text("phase") != (phase == CurvePhase::prefill ? "prefill" : "decode")) continue;
    points.push_back({std::get<std::int64_t>(row.find("context")->data), std::get<double>(row.find("value")->data)});
  }
  std::ranges::sort(points, {}, &PublishedPoint::position);
  return points;
}

CurveError compare(const std::vector<CurvePoint>& ours, const std::vector<PublishedPoint>& theirs) {
  std::vector<std::pair<double, double>> a, b;
  for (const auto& p : ours) a.emplace_back(static_cast<double>(p.position), p.usd_per_million);
  for (const auto& p : theirs) b.emplace_back(static_cast<double>(p.position), p.usd_per_million);
  const auto [slope, intercept] = line(a);
  const auto [published_slope, published_intercept] = line(b);
  constexpr double context = 131'072;
  return {slope * context, published_slope * context, intercept, published_intercept};
}

}  // namespace fathom::simulator
