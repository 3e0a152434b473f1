#include "executor/cuda/device_weights.h"

#include <cstring>

namespace fathom::executor {

using namespace model_spec;
using kernels::cpu::ConstMatrix;
using kernels::cuda::Stack;

namespace {

constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }
std::int64_t blocks(std::int64_t n) { return (n + scale_block - 1) / scale_block; }

void copy(void* to, const void* from, std::size_t bytes) { kernels::cuda::check(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "cudaMemcpy of weights"); }

// The scales of a matrix, each row of them filled up to `stride`.
std::vector<float> padded_scales(const ConstMatrix& m, std::int64_t stride) {
  std::vector<float> scales(static_cast<std::size_t>(blocks(m.rows()) * stride));
  for (std::int64_t r = 0; r < m.rows(); r += scale_block)
    for (std::int64_t c = 0; c < m.columns(); c += scale_block) scales[static_cast<std::size_t>(r / scale_block * stride + c / scale_block)] = m.scale(r, c);
  return scales;
}

// Every layer of the stage and its prediction layer, and -1 for the model itself.
std::vector<std::int64_t> layers_of(const Plan& plan, const Place& place) {
  const auto& range = plan.stages[static_cast<std::size_t>(place.stage)].layers;
  std::vector<std::int64_t> layers{-1};
  for (auto layer = range.first; layer < range.first + range.count; ++layer) layers.push_back(layer);
  if (place.stage + 1 == plan.layout.pp && plan.policy.mtp_depth > 0) layers.push_back(num_hidden_layers(plan.model));
  return layers;
}

}  // namespace

DeviceWeights::DeviceWeights(const Plan& plan, const Place& place, const RankWeights& weights) {
  for (const auto& tensor : tensor_table(plan.model))
    for (const auto layer : layers_of(plan, place)) {
      if (!weights.has(tensor.id, layer)) continue;
      const bool routed = tensor.shard == Shard::expert_rows || tensor.shard == Shard::expert_columns;
      const Key key{tensor.id, layer};
      matrices_[key] = routed ? upload(weights.experts(tensor.id, layer)) : upload(std::span(&weights.get(tensor.id, layer), 1));
      if (tensor.id != Weight::kv_b_proj) continue;
      absorbed_k_[layer] = upload(weights.absorbed_k(layer));
      absorbed_v_[layer] = upload(weights.absorbed_v(layer));
    }
}

Stack DeviceWeights::upload(std::span<const ConstMatrix> matrices) {
  const auto& m = matrices[0];
  const auto count = static_cast<std::int64_t>(matrices.size());
  const auto bytes = static_cast<std::int64_t>(element_bytes(m.type()) * static_cast<double>(m.rows() * m.columns()));
  const auto step_bytes = round_up(bytes, 256);
  auto& memory = memory_.emplace_back(static_cast<std::size_t>(step_bytes * count));
  const auto step = static_cast<std::int64_t>(static_cast<double>(step_bytes) / element_bytes(m.type()));
  Stack stack{.first = {m.type(), m.rows(), m.columns(), m.columns(), memory.get()}, .count = count, .step = step};
  for (std::int64_t i = 0; i < count; ++i)
    copy(static_cast<std::byte*>(memory.get()) + i * step_bytes, matrices[static_cast<std::size_t>(i)].data(), static_cast<std::size_t>(bytes));
  if (!has_scales(m.type())) return stack;
  stack.first.scale_stride = round_up(blocks(m.columns()), 4);
  stack.scale_step = blocks(m.rows()) * stack.first.scale_stride;
  auto& scales = memory_.emplace_back(static_cast<std::size_t>(stack.scale_step * count) * sizeof(float));
  stack.first.scales = static_cast<float*>(scales.get());
  for (std::int64_t i = 0; i < count; ++i) {
    const auto padded = padded_scales(matrices[static_cast<std::size_t>(i)], stack.first.scale_stride);
    copy(stack.first.scales + i * stack.scale_step, padded.data(), padded.size() * sizeof(float));
  }
  return stack;
}

const kernels::cuda::Matrix& DeviceWeights::get(Weight weight, std::int64_t layer) const { return matrices_.at({weight, layer}).first; }
const Stack& DeviceWeights::experts(Weight weight, std::int64_t layer) const { return matrices_.at({weight, layer}); }

}  // namespace fathom::executor
