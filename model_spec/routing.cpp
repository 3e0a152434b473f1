#include "model_spec/routing.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fathom::model_spec {
namespace {

// Binomial coefficient.
double choose(double n, double k) {
  if (k < 0 || k > n) return 0;
  double r = 1;
  for (double i = 1; i <= k; ++i) r *= (n - k + i) / i;
  return r;
}

}  // namespace

double expected_maximum(std::int64_t n) {
  if (n <= 1) return 0;
  // E[max] = integral of x n phi(x) Phi(x)^(n-1): trapezoid over [-8, 8], far beyond where the integrand is anything.
  constexpr int steps = 320;
  constexpr double reach = 8, width = 2 * reach / steps;
  const auto count = static_cast<double>(n);
  double sum = 0;
  for (int i = 0; i <= steps; ++i) {
    const double x = -reach + width * i;
    const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    sum += x * count * density * std::pow(std::erfc(-x / std::numbers::sqrt2) / 2, count - 1);
  }
  return sum * width;
}

namespace {

// visit(probability, own): that a token may choose among `own` experts of a place, one of `places` with equal shares.
template <class Visit>
void each_share(const ModelSpec& m, std::int64_t places, Visit visit) {
  const auto n = static_cast<double>(places), groups = static_cast<double>(m.n_group), kept = static_cast<double>(m.topk_group);
  const auto experts = static_cast<double>(m.n_routed_experts);
  // A place smaller than a group: its group must be kept.
  if (n >= groups) return visit(kept / groups, experts / n);
  // A place of several groups: by how many of them are kept.
  const double own = groups / n;
  for (double j = 1; j <= std::min(own, kept); ++j) visit(choose(own, j) * choose(groups - own, kept - j) / choose(groups, kept), j * experts / groups);
}

// Variance of the rows that one token brings to a rank: of the experts that it may choose among, topk without replacement.
double rows_variance(const ModelSpec& m, std::int64_t ranks) {
  const auto k = static_cast<double>(m.num_experts_per_tok), mean = k / static_cast<double>(ranks);
  const auto open = static_cast<double>(m.n_routed_experts * m.topk_group) / static_cast<double>(m.n_group);
  double squares = 0;
  each_share(m, ranks, [&](double probability, double own) {
    const double share = own / open, rows = k * share;
    squares += probability * (rows * (1 - share) * (open - k) / std::max(open - 1, 1.0) + rows * rows);
  });
  return ranks > 1 ? squares - mean * mean : 0;
}

}  // namespace

double expected_places(const ModelSpec& m, std::int64_t places) {
  const auto open = static_cast<double>(m.n_routed_experts * m.topk_group) / static_cast<double>(m.n_group);
  if (places <= 1) return 1;
  // Probability that one of the topk distinct choices among the `open` experts of kept groups is among `own` of them.
  const auto touched = [&](double own) {
    double missed = 1;
    for (double i = 0; i < static_cast<double>(m.num_experts_per_tok); ++i) missed *= std::max(0.0, open - own - i) / (open - i);
    return 1 - missed;
  };
  double hit = 0;
  each_share(m, places, [&](double probability, double own) { hit += probability * touched(own); });
  return static_cast<double>(places) * hit;
}

RoutingConstants routing_constants(const ModelSpec& m, const Layout& l) {
  if (m.n_routed_experts == 0) return {};
  return {.rank_maximum = expected_maximum(l.ep) * std::sqrt(rows_variance(m, l.ep)),
          .expert_maximum = expected_maximum(local_experts(m, l)),
          .distinct_ranks = expected_places(m, l.ep)};
}

ExpertLoad expected_load(const ModelSpec& m, const Layout& l, const RoutingConstants& constants, std::int64_t tokens) {
  const auto t = static_cast<double>(tokens), k = static_cast<double>(m.num_experts_per_tok), ranks = static_cast<double>(l.ep);
  const auto local = static_cast<double>(local_experts(m, l)), hit = k / static_cast<double>(physical_experts(m, l));
  const double mean = t * k / ranks;
  const double rows = std::min(mean + constants.rank_maximum * std::sqrt(t), t * std::min(k, local));
  const double per_expert = rows / local;
  return {.capacity = tokens * std::min(m.num_experts_per_tok, local_experts(m, l)),
          .rows = rows,
          .active = std::min(local * (1 - std::pow(1 - hit, t)), rows),
          .largest = std::min(per_expert + constants.expert_maximum * std::sqrt(per_expert), t)};
}

}  // namespace fathom::model_spec
