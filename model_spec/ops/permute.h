#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

// Rows sorted by expert: y[r, :] = x[source[r], :]. x type[tokens, hidden], source int32[rows], y type[rows, hidden].
// tokens: rows of x that are read, each at least once.
template <class N>
struct Permute {
  Expected<N> tokens{}, rows{};
  N hidden{};
  DType type = DType::fp8_row;

  static constexpr std::string_view name = "permute";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Permute::tokens}, Field{"rows", "rows", &Permute::rows}, Field{"hidden", "elements", &Permute::hidden},
                      Field{"type", "type", &Permute::type}};
  }
};

template <class N>
Cost<N> cost(const Permute<N>& op) {
  Cost<N> c;
  c.hbm_read_bytes = storage_bytes(op.type, N(op.tokens), op.hidden) + 4 * op.rows;
  c.hbm_write_bytes = storage_bytes(op.type, N(op.rows), op.hidden);
  c.gathered_bytes = storage_bytes(op.type, N(op.rows), op.hidden);
  return c;
}

// y[t, :] = sum over the rows r of token t of w[r] * x[r, :], in a fixed order. x bf16[rows, hidden], w fp32[rows], the token of
// each row int32[rows], y bf16[tokens, hidden].
template <class N>
struct Unpermute {
  Expected<N> tokens{}, rows{};
  N hidden{};

  static constexpr std::string_view name = "unpermute";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &Unpermute::tokens}, Field{"rows", "rows", &Unpermute::rows}, Field{"hidden", "elements", &Unpermute::hidden}};
  }
};

template <class N>
Cost<N> cost(const Unpermute<N>& op) {
  Cost<N> c;
  c.vector_flops = 2 * op.rows * op.hidden;
  c.hbm_read_bytes = 2 * op.rows * op.hidden + 8 * op.rows;
  c.hbm_write_bytes = 2 * op.tokens * op.hidden;
  return c;
}

// y = x + r in bf16, both [tokens, hidden]: the shared expert's result joins the routed ones'.
template <class N>
struct Add {
  N tokens{}, hidden{};

  static constexpr std::string_view name = "add";
  static constexpr auto fields() { return std::tuple{Field{"tokens", "tokens", &Add::tokens}, Field{"hidden", "elements", &Add::hidden}}; }
};

template <class N>
Cost<N> cost(const Add<N>& op) {
  Cost<N> c;
  c.vector_flops = op.tokens * op.hidden;
  c.hbm_read_bytes = 4 * op.tokens * op.hidden;
  c.hbm_write_bytes = 2 * op.tokens * op.hidden;
  return c;
}

}  // namespace fathom::model_spec
