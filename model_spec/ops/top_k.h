#pragma once

#include "model_spec/ops/field.h"
#include "model_spec/ops/pairs.h"

namespace fathom::model_spec {

// The topk largest of each row of scores (all of a shorter row); ties go to the smaller index; unused places hold -1.
// scores fp32, rows of C + i entries; indices int32[sequences * new_tokens, topk].
template <class N>
struct TopK {
  N sequences{}, new_tokens{}, cached_tokens{}, topk{};

  static constexpr std::string_view name = "top_k";
  static constexpr auto fields() {
    return std::tuple{Field{"sequences", "sequences", &TopK::sequences}, Field{"new_tokens", "tokens", &TopK::new_tokens},
                      Field{"cached_tokens", "tokens", &TopK::cached_tokens}, Field{"topk", "keys", &TopK::topk}};
  }
};

template <class N>
Cost<N> cost(const TopK<N>& op) {
  Cost<N> c;
  c.hbm_read_bytes = 4 * op.sequences * dense_pairs(op.new_tokens, op.cached_tokens);
  c.hbm_write_bytes = 4 * op.sequences * op.new_tokens * op.topk;
  return c;
}

}  // namespace fathom::model_spec
