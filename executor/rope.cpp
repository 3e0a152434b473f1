#include "executor/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fathom::executor {

using model_spec::ModelSpec;
using model_spec::Yarn;

namespace {

// The pair whose wavelength makes `rotations` turns over the original context.
double correction_pair(const ModelSpec& m, const Yarn& yarn, double rotations) {
  const auto dims = static_cast<double>(m.qk_rope_head_dim), original = static_cast<double>(yarn.original_max_position_embeddings);
  return dims * std::log(original / (2 * std::numbers::pi * rotations)) / (2 * std::log(m.rope_theta));
}

}  // namespace

std::vector<float> rope_frequencies(const ModelSpec& m) {
  const auto dims = static_cast<double>(m.qk_rope_head_dim);
  std::vector<float> result;
  for (std::int64_t i = 0; i < m.qk_rope_head_dim / 2; ++i) {
    const double plain = std::pow(m.rope_theta, -2.0 * static_cast<double>(i) / dims);
    if (!m.rope_scaling) {
      result.push_back(static_cast<float>(plain));
      continue;
    }
    const auto& yarn = *m.rope_scaling;
    const double low = std::max(std::floor(correction_pair(m, yarn, yarn.beta_fast)), 0.0);
    const double high = std::min(std::ceil(correction_pair(m, yarn, yarn.beta_slow)), dims - 1);
    const double ramp = std::clamp((static_cast<double>(i) - low) / std::max(high - low, 0.001), 0.0, 1.0);
    result.push_back(static_cast<float>(plain / yarn.factor * ramp + plain * (1 - ramp)));
  }
  return result;
}

float softmax_scale(const ModelSpec& m) {
  const double mscale = m.rope_scaling ? 0.1 * m.rope_scaling->mscale_all_dim * std::log(m.rope_scaling->factor) + 1 : 1;
  return static_cast<float>(mscale * mscale / std::sqrt(static_cast<double>(qk_head_dim(m))));
}

RopeTable rope_table(const ModelSpec& m, std::span<const std::int32_t> positions) {
  const auto frequencies = rope_frequencies(m);
  RopeTable table;
  for (const auto position : positions)
    for (const float frequency : frequencies) {
      const float angle = static_cast<float>(position) * frequency;
      table.cosines.push_back(std::cos(angle));
      table.sines.push_back(std::sin(angle));
    }
  return table;
}

}  // namespace fathom::executor
