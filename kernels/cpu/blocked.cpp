#include "kernels/cpu/blocked.h"

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"

namespace fathom::kernels::cpu::blocked {

using I = std::int64_t;

namespace {

// Sizes of blocks. A panel of weights, column_block * depth floats, stays in a core's second-level cache (from 256 KiB on) for all rows of a
// chunk; the results do not depend on any but `depth`.
constexpr I row_chunk = 512, column_block = 48, depth = 1024;
constexpr I row_gap = 16;  // floats between the rows of a panel: rows a power of two apart would share the sets of a cache

// c[rows, out] = a[rows, in] w[out, in]^T of fp32 rows `a` for columns first .. first + n, as rows row .. of c.
void multiply_columns(I rows, I in, const float* a, const ConstMatrix& w, I first, I n, Matrix& c, I row) {
  const I width = std::min(in, depth), ld = width + row_gap;
  const auto panel = scratch(n, ld), sums = scratch(rows, n);
  for (I k = 0; k < in; k += depth) {
    const I part = std::min(depth, in - k);
    for (I j = 0; j < n; ++j) expand_row(w, first + j, k, part, panel.get() + j * ld);
    product_nt(rows, n, part, a + k, in, panel.get(), ld, sums.get(), n, k > 0);
  }
  for (I t = 0; t < rows; ++t) store_row(c, row + t, first, n, sums.get() + t * n);
}

// Rows first .. first + rows of a[_, in] times w[out, in], to the same rows of c[_, out].
void multiply_rows(I in, I out, const ConstMatrix& a, const ConstMatrix& w, Matrix& c, I first, I rows) {
  const auto x = scratch(std::min(rows, row_chunk), in);
  for (I row = first; row < first + rows; row += row_chunk) {
    const I count = std::min(row_chunk, first + rows - row);
    parallel_for(count, [&](I t) { expand_row(a, row + t, 0, in, x.get() + t * in); });
    parallel_for(blocks(out, column_block), [&](I b) {
      const I column = b * column_block;
      multiply_columns(count, in, x.get(), w, column, std::min(column_block, out - column), c, row);
    });
  }
}

}  // namespace

void gemm(const model_spec::Gemm<I>& op, const ConstMatrix& a, const ConstMatrix& w, Matrix& c) { multiply_rows(op.in, op.out, a, w, c, 0, op.tokens); }

void grouped_gemm(const model_spec::GroupedGemm<I>& op, const ConstMatrix& a, std::span<const I> counts, std::span<const ConstMatrix> weights, Matrix& c) {
  I row = 0;
  for (std::size_t e = 0; e < counts.size(); ++e) {
    multiply_rows(op.in, op.out, a, weights[e], c, row, counts[e]);
    row += counts[e];
  }
}

void batched_gemm(const model_spec::BatchedGemm<I>& op, const ConstMatrix& a, std::span<const ConstMatrix> weights, Matrix& c) {
  constexpr I token_block = 256, in_block = 128;
  const I chunks = blocks(op.tokens, token_block);
  parallel_for(op.heads * chunks, [&](I task) {
    const I h = task / chunks, first = task % chunks * token_block, tokens = std::min(token_block, op.tokens - first);
    const auto x = scratch(tokens, op.in), panel = scratch(in_block, op.out), sums = scratch(tokens, op.out);
    for (I t = 0; t < tokens; ++t) expand_row(a, (first + t) * op.heads + h, 0, op.in, x.get() + t * op.in);
    for (I k = 0; k < op.in; k += in_block) {
      const I part = std::min(in_block, op.in - k);
      for (I i = 0; i < part; ++i) expand_row(weights[static_cast<std::size_t>(h)], k + i, 0, op.out, panel.get() + i * op.out);
      product_nn(tokens, op.out, part, x.get() + k, op.in, panel.get(), op.out, sums.get(), op.out, k > 0);
    }
    for (I t = 0; t < tokens; ++t) store_row(c, (first + t) * op.heads + h, 0, op.out, sums.get() + t * op.out);
  });
}

void index_logits(const model_spec::IndexLogits<I>& op, const ConstMatrix& q, const ConstMatrix& weights, const LoadRow& keys, Matrix& logits) {
  constexpr I token_block = 64, key_block = 256;
  const I context = op.cached_tokens + op.new_tokens, token_blocks = blocks(op.new_tokens, token_block), key_blocks = blocks(context, key_block);
  parallel_for(op.sequences * token_blocks * key_blocks, [&](I task) {
    const I sequence = task / (token_blocks * key_blocks), first_key = task % key_blocks * key_block, n = std::min(key_block, context - first_key);
    const I begin = task / key_blocks % token_blocks * token_block, end = std::min(begin + token_block, op.new_tokens);
    if (op.cached_tokens + end <= first_key) return;
    const auto panel = scratch(n, op.dims), query = scratch(op.heads, op.dims), dots = scratch(op.heads, n), w = scratch(1, op.heads), sums = scratch(1, n);
    for (I j = 0; j < n; ++j) keys(sequence * context + first_key + j, panel.get() + j * op.dims);
    for (I i = begin; i < end; ++i) {
      const I t = sequence * op.new_tokens + i, seen = std::min(n, op.cached_tokens + i + 1 - first_key);
      if (seen <= 0) continue;
      for (I h = 0; h < op.heads; ++h) expand_row(q, t * op.heads + h, 0, op.dims, query.get() + h * op.dims);
      expand_row(weights, t, 0, op.heads, w.get());
      product_nt(op.heads, seen, op.dims, query.get(), op.dims, panel.get(), op.dims, dots.get(), n, false);
      std::fill_n(sums.get(), seen, 0.0f);
      for (I h = 0; h < op.heads; ++h) add_positive(seen, w[static_cast<std::size_t>(h)], dots.get() + h * n, sums.get());
      store_row(logits, t, first_key, seen, sums.get());
    }
  });
}

}  // namespace fathom::kernels::cpu::blocked
