// y[t, :] = table[id[t] - first_id, :] (model_spec/ops/embedding.h).
// Floor: 2 bytes read and 2 written an element. Nothing is read twice.
#include "kernels/cuda/embedding.h"

#include "kernels/cuda/device.cuh"

namespace fathom::kernels::cuda {
namespace {

template <bool wide>
__global__ void __launch_bounds__(walk_threads) embedding_rows(std::int64_t first_id, const std::int32_t* ids, Matrix table, Matrix y) {
  each_unit(y.rows, octets(y.columns), [&](std::int64_t t, std::int64_t unit) {
    const std::int64_t row = ids[t] - first_id;
    const bool here = row >= 0 && row < table.rows;
    const Octet x = here ? load_octet<wide>(row_of<const std::uint16_t>(table, row), 8 * unit, y.columns) : Octet{};
    store_octet<wide>(row_of<std::uint16_t>(y, t), 8 * unit, y.columns, x);
  });
}

}  // namespace

void embedding(const model_spec::Embedding<std::int64_t>& op, std::int64_t first_id, const std::int32_t* ids, const Matrix& table, const Matrix& y,
               Stream stream) {
  assert(op.table == DType::bf16 && table.type == DType::bf16 && y.type == DType::bf16);
  assert(table.rows == op.vocab && table.columns == op.hidden && y.rows == op.tokens && y.columns == op.hidden);
  if (op.tokens == 0) return;
  const unsigned blocks = walk_blocks(op.tokens, octets(op.hidden));
  choose(in_octets(table) && in_octets(y), [&](auto wide) { embedding_rows<wide><<<blocks, walk_threads, 0, stream>>>(first_id, ids, table, y); });
  check_launch("embedding");
}

}  // namespace fathom::kernels::cuda
