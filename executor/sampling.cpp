#include "executor/sampling.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace fathom::executor {

void keep_nucleus(const Sampling& sampling, kernels::cpu::Matrix& logits, std::int64_t r) {
  if (sampling.temperature <= 0 || sampling.top_p >= 1) return;
  const auto n = static_cast<std::size_t>(logits.columns());
  std::vector<std::int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::vector<double> weight(n);
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (std::size_t v = 0; v < n; ++v) most = std::max(most, double{logits.get(r, static_cast<std::int64_t>(v))});
  for (std::size_t v = 0; v < n; ++v) sum += weight[v] = std::exp((logits.get(r, static_cast<std::int64_t>(v)) - most) / sampling.temperature);
  std::ranges::stable_sort(order, std::greater{}, [&](std::int32_t v) { return weight[static_cast<std::size_t>(v)]; });
  double reached = 0;
  for (const auto v : order) {
    if (reached > 0 && reached >= sampling.top_p * sum) logits.set(r, v, -std::numeric_limits<float>::infinity());
    reached += weight[static_cast<std::size_t>(v)];
  }
}

}  // namespace fathom::executor
