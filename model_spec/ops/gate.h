#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// Group-limited routing (noaux_tc): s = sigmoid(logits), c = s + bias; a group scores the sum of its two largest c; keep topk_group groups,
// then the topk largest c; weights are the unbiased s of the chosen, normalised and scaled. Ties go to the smaller id.
// logits fp32[tokens, experts] (the router's product is a Gemm before this), bias fp32[experts]; ids int32 and weights fp32 [tokens, topk].
template <class N>
struct Gate {
  N tokens{}, experts{}, groups{}, topk_group{}, topk{};

  static constexpr std::string_view name = "gate";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Gate::tokens}, Field{"experts", "experts", &Gate::experts}, Field{"groups", "groups", &Gate::groups},
                      Field{"topk_group", "groups", &Gate::topk_group}, Field{"topk", "experts", &Gate::topk}};
  }
};

template <class N>
Cost<N> cost(const Gate<N>& op) {
  Cost<N> c;
  // per expert: negation, exponential, sum, reciprocal, bias; per group: one sum; per choice: sum, normalisation, scale
  c.vector_flops = op.tokens * (5 * op.experts + op.groups + 3 * op.topk);
  c.hbm_read_bytes = 4 * op.tokens * op.experts + 4 * op.experts;
  c.hbm_write_bytes = 8 * op.tokens * op.topk;
  return c;
}

}  // namespace fathom::model_spec
