// op.rows is the whole number of rows that came.
#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/permute.h"

namespace fathom::kernels::cpu {

// x[tokens, hidden], source[1, rows] -> y[rows, hidden], numbers and scales as they are. The scalar has no part in it.
template <class S, class In, class Source, class Out>
void permute(const model_spec::Permute<std::int64_t>& op, const In& x, const Source& source, Out& y) {
  for (std::int64_t r = 0; r < static_cast<std::int64_t>(op.rows); ++r) copy_row(op.type, op.hidden, x, source.integer(0, r), y, r);
}

// x[rows, hidden], weights[1, rows], source[1, rows] (the token of each row, as for permute) -> y[tokens, hidden], summed in row order.
template <class S, class In, class Weights, class Source, class Out>
void unpermute(const model_spec::Unpermute<std::int64_t>& op, const In& x, const Weights& weights, const Source& source, Out& y) {
  const auto tokens = static_cast<std::int64_t>(op.tokens), rows = static_cast<std::int64_t>(op.rows);
  std::vector<S> sums(static_cast<std::size_t>(tokens * op.hidden), S(0.0f));
  for (std::int64_t r = 0; r < rows; ++r) {
    const S w(weights.get(0, r));
    S* sum = sums.data() + source.integer(0, r) * op.hidden;
    for (std::int64_t c = 0; c < op.hidden; ++c) sum[c] = sum[c] + w * S(x.get(r, c));
  }
  for (std::int64_t t = 0; t < tokens; ++t)
    for (std::int64_t c = 0; c < op.hidden; ++c) y.set(t, c, sums[t * op.hidden + c]);
}

// x, other, y [tokens, hidden]; y may be x.
template <class S, class In, class Other, class Out>
void add(const model_spec::Add<std::int64_t>& op, const In& x, const Other& other, Out& y) {
  for (std::int64_t t = 0; t < op.tokens; ++t)
    for (std::int64_t c = 0; c < op.hidden; ++c) y.set(t, c, S(x.get(t, c)) + S(other.get(t, c)));
}

}  // namespace fathom::kernels::cpu
