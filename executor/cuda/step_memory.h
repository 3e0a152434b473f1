// Where the activations of a step stand in device memory. Those of a block share one piece of it, each from its first use to its last; blocks follow
// each other in the same piece. The residual stream lives on: it has memory of its own.
#pragma once

#include <vector>

#include "executor/cuda/device_buffer.h"
#include "executor/numerics.h"
#include "model_spec/plan.h"

namespace fathom::executor {

// An activation as the kernels write it. rows 0: it does not exist in this batch.
struct ActivationShape {
  DType type = DType::bf16;
  std::int64_t rows = 0, columns = 0;
};
// Differs from what the plan says of it where scales belong to heads (what Hadamard writes has a row for each) or rows to experts (as many as
// choices).
ActivationShape activation_shape(const model_spec::Block&, std::uint8_t activation, const model_spec::Sizes&, const model_spec::ModelSpec&, Numerics);

struct BlockMemory {
  struct Place {
    ActivationShape shape;
    std::int64_t offset = -1;  // -1: has memory of its own, or does not exist
    std::int64_t stride = 0;   // elements from row to row
  };
  std::vector<Place> places;  // by activation
  std::int64_t bytes = 0;
};
// First fit, the largest first. An activation stays as long as one that it may stand for. What one product of several weights writes stands side by
// side, in rows of all of them.
BlockMemory block_memory(const model_spec::Block&, const model_spec::Sizes&, const model_spec::ModelSpec&, Numerics);

// Bytes that all activations of a step take: the largest block's, and what lives on.
double activation_bytes(const model_spec::BoundPlan&, const model_spec::ModelSpec&, Numerics);

}  // namespace fathom::executor
