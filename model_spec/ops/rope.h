#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// (a, b) -> (a cos - b sin, a sin + b cos) for each pair, in place. x bf16[tokens, heads, dims]; cos, sin fp32[tokens, dims / 2].
// Pairs are neighbours (MLA, interleaved) or half a vector apart (the indexer).
template <class N>
struct Rope {
  N tokens{}, heads{}, dims{};
  bool interleaved = true;

  static constexpr std::string_view name = "rope";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Rope::tokens}, Field{"heads", "heads", &Rope::heads}, Field{"dims", "elements", &Rope::dims},
                      Field{"interleaved", "switch", &Rope::interleaved}};
  }
};

template <class N>
Cost<N> cost(const Rope<N>& op) {
  Cost<N> c;
  c.vector_flops = 3 * op.tokens * op.heads * op.dims;
  c.hbm_read_bytes = 2 * op.tokens * op.heads * op.dims + 4 * op.tokens * op.dims;
  c.hbm_write_bytes = 2 * op.tokens * op.heads * op.dims;
  return c;
}

}  // namespace fathom::model_spec
