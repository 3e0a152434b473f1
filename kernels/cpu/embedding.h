#pragma once

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/embedding.h"

namespace fathom::kernels::cpu {

// ids[1, tokens], table[vocab, hidden] holds the rows of ids first_id .. first_id + vocab, y[tokens, hidden]. An id that is not among
// them gives zeros: another rank has its row.
template <class S, class Ids, class Table, class Out>
void embedding(const model_spec::Embedding<std::int64_t>& op, std::int64_t first_id, const Ids& ids, const Table& table, Out& y) {
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    const std::int64_t row = ids.integer(0, t) - first_id;
    const bool here = row >= 0 && row < op.vocab;
    const std::vector<S> values = here ? load_row<S>(op.table, table, row, op.hidden) : std::vector<S>(static_cast<std::size_t>(op.hidden), S(0.0f));
    for (std::int64_t c = 0; c < op.hidden; ++c) y.set(t, c, values[c]);
  }
}

}  // namespace fathom::kernels::cpu
