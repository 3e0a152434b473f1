#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// One token a row: softmax of logits / temperature, divided by exponential noise, largest wins (temperature 0: the largest logit).
// logits fp32[tokens, vocab]; id int32[tokens]. tokens: sampled rows.
template <class N>
struct Sample {
  N tokens{}, vocab{};

  static constexpr std::string_view name = "sample";
  static constexpr auto fields() { return std::tuple{Field{"tokens", "tokens", &Sample::tokens}, Field{"vocab", "entries", &Sample::vocab}}; }
};

template <class N>
Cost<N> cost(const Sample<N>& op) {
  Cost<N> c;
  c.vector_flops = 6 * op.tokens * op.vocab;  // temperature, maximum, difference, exponential, noise, comparison
  c.hbm_read_bytes = 4 * op.tokens * op.vocab;
  c.hbm_write_bytes = 4 * op.tokens;
  return c;
}

}  // namespace fathom::model_spec
