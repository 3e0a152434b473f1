#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// y[t, :] = table[id[t], :]. ids int32[tokens], table [vocab, hidden], y bf16[tokens, hidden].
// Bytes assume distinct ids, no two in one block of scales: the most that a batch can read.
template <class N>
struct Embedding {
  N tokens{}, hidden{}, vocab{};
  DType table = DType::bf16;

  static constexpr std::string_view name = "embedding";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Embedding::tokens}, Field{"hidden", "elements", &Embedding::hidden}, Field{"vocab", "rows", &Embedding::vocab},
                      Field{"table", "type", &Embedding::table}};
  }
};

template <class N>
Cost<N> cost(const Embedding<N>& op) {
  Cost<N> c;
  if (has_scales(op.table)) c.vector_flops = op.tokens * op.hidden;
  c.hbm_read_bytes = 4 * op.tokens + op.tokens * storage_bytes(op.table, N(1), op.hidden);
  c.hbm_write_bytes = 2 * op.tokens * op.hidden;
  return c;
}

}  // namespace fathom::model_spec
