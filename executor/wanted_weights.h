// Which tensors a rank loads, whatever holds them then.
#pragma once

#include "executor/weights.h"

namespace fathom::executor {

// Tensors of one layer (-1: of the model) that the rank keeps the same slice of: one, or one for each of its experts.
struct Wanted {
  const model_spec::Tensor* tensor = nullptr;
  std::int64_t layer = -1, first_expert = -1, count = 1;
  Slice slice;
  // The i-th one's number, as WeightSource::load takes it.
  [[nodiscard]] std::int64_t expert(std::int64_t i) const { return first_expert + i; }
  [[nodiscard]] double stored_bytes() const;  // of all of them
};
// A prediction layer's tensor that is the model's own.
struct SharedWeight {
  model_spec::Weight as{};
  std::int64_t layer = 0;
  model_spec::Weight own{};
};
struct WantedWeights {
  std::vector<Wanted> load;  // layer by layer, as a checkpoint's files hold them
  std::vector<SharedWeight> shared;
  [[nodiscard]] double stored_bytes() const;
};
// `table`, that of the plan's model, stays alive.
WantedWeights wanted_weights(const model_spec::Plan&, const model_spec::Place&, const model_spec::TensorTable& table);

}  // namespace fathom::executor
