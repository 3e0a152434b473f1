// Rotary position embedding's angles, with YaRN where the model has it (model-facts of DeepSeek-V3: its reference's precompute_freqs_cis).
#pragma once

#include <span>
#include <vector>

#include "model_spec/model.h"

namespace fathom::executor {

// Frequency of each of qk_rope_head_dim / 2 pairs, in radians a position.
std::vector<float> rope_frequencies(const model_spec::ModelSpec&);
// (nope + rope)^-1/2, times (0.1 mscale_all_dim ln(factor) + 1)^2 under YaRN.
float softmax_scale(const model_spec::ModelSpec&);

// fp32[positions, qk_rope_head_dim / 2]. The angle is float32(position) * float32(frequency), as the reference forms it.
struct RopeTable {
  std::vector<float> cosines, sines;
};
RopeTable rope_table(const model_spec::ModelSpec&, std::span<const std::int32_t> positions);

}  // namespace fathom::executor
