#pragma once

#include <limits>

#include "kernels/cpu/top_k.h"
#include "model_spec/ops/gate.h"

namespace fathom::kernels::cpu {

// Minus infinity for the experts of all but the topk_group best groups of consecutive experts.
template <class S>
void drop_groups(const model_spec::Gate<std::int64_t>& op, std::vector<S>& choice) {
  const std::int64_t size = op.experts / op.groups;
  assert(size >= 2 && op.experts % op.groups == 0);
  std::vector<S> scores;
  for (std::int64_t g = 0; g < op.groups; ++g) {
    const std::span<const S> group(choice.data() + g * size, static_cast<std::size_t>(size));
    const auto best = largest(group, 2);
    scores.push_back(group[best[0]] + group[best[1]]);
  }
  const auto order = largest<S>(scores, op.groups);
  for (std::int64_t i = op.topk_group; i < op.groups; ++i) std::fill_n(choice.begin() + order[i] * size, size, S(-std::numeric_limits<float>::infinity()));
}

// logits[tokens, experts], bias[1, experts] -> ids, weights [tokens, topk], best first; weights sum to route_scale.
template <class S, class Logits, class Bias, class Ids, class Weights>
void gate(const model_spec::Gate<std::int64_t>& op, float route_scale, const Logits& logits, const Bias& bias, Ids& ids, Weights& weights) {
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    std::vector<S> score, choice;
    for (std::int64_t e = 0; e < op.experts; ++e) {
      score.push_back(S(1.0f) / (S(1.0f) + exponential(-S(logits.get(t, e)))));
      choice.push_back(score.back() + S(bias.get(0, e)));
    }
    drop_groups(op, choice);
    const auto chosen = largest<S>(choice, op.topk);
    S sum(0.0f);
    for (const std::int64_t e : chosen) sum = sum + score[e];
    for (std::int64_t i = 0; i < op.topk; ++i) {
      ids.set_integer(t, i, chosen[i]);
      weights.set(t, i, score[chosen[i]] / sum * S(route_scale));
    }
  }
}

}  // namespace fathom::kernels::cpu
