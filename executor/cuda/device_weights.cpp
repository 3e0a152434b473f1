#include "executor/cuda/device_weights.h"

#include <algorithm>
#include <optional>

#include "executor/cuda/staging.h"
#include "kernels/cuda/absorb.h"
#include "kernels/cuda/synthetic.h"

namespace fathom::executor {

using namespace model_spec;
using kernels::cuda::check;
using kernels::cuda::Stack;

namespace {

constexpr std::int64_t alignment = 256;  // of a matrix, that of cudaMalloc
constexpr std::int64_t round_up(std::int64_t n, std::int64_t to) { return (n + to - 1) / to * to; }
constexpr std::int64_t blocks(std::int64_t n) { return (n + scale_block - 1) / scale_block; }

}  // namespace

// A stack as it stands in memory: its matrices, then their scales, whose rows are filled up to multiples of 4.
struct DeviceWeights::Shape {
  DType type = DType::bf16;
  std::int64_t rows = 0, columns = 0, count = 1;

  // Vectors become one row.
  static Shape of(const Wanted& w, Numerics numerics) {
    const bool vector = w.tensor->columns == 1;
    return {held(numerics, w.tensor->storage), vector ? 1 : w.slice.rows, vector ? w.slice.rows : w.slice.columns, w.count};
  }
  // Of each head: W_UK, and W_UV transposed.
  static Shape absorbed_k(const ModelSpec& m, const Wanted& kv_b) { return {DType::bf16, m.qk_nope_head_dim, m.kv_lora_rank, heads(m, kv_b)}; }
  static Shape absorbed_v(const ModelSpec& m, const Wanted& kv_b) { return {DType::bf16, m.kv_lora_rank, m.v_head_dim, heads(m, kv_b)}; }
  static std::int64_t heads(const ModelSpec& m, const Wanted& kv_b) { return kv_b.slice.rows / (m.qk_nope_head_dim + m.v_head_dim); }

  [[nodiscard]] std::int64_t element() const { return static_cast<std::int64_t>(element_bytes(type)); }
  [[nodiscard]] std::int64_t matrix_bytes() const { return round_up(element() * rows * columns, alignment); }
  [[nodiscard]] std::int64_t scale_stride() const { return round_up(blocks(columns), 4); }
  [[nodiscard]] std::int64_t scale_count() const { return has_scales(type) ? blocks(rows) * scale_stride() : 0; }  // of one matrix
  [[nodiscard]] std::int64_t scales_bytes() const { return round_up(count * scale_count() * std::int64_t{sizeof(float)}, alignment); }
  [[nodiscard]] std::int64_t bytes() const { return count * matrix_bytes() + scales_bytes(); }
  // Whether the rows of `next` can follow ours as those of the same matrix.
  [[nodiscard]] bool joins(const Shape& next) const {
    return type == next.type && columns == next.columns && count == next.count && (!has_scales(type) || rows % scale_block == 0);
  }
};

namespace {

// Weights that read the same input, one after the other in memory: so they are one matrix for a product of all. (A layer without an indexer lacks one.)
const std::vector<std::vector<Weight>> neighbours{{Weight::q_a_proj, Weight::index_wk, Weight::kv_a_proj},
                                                  {Weight::ffn_gate, Weight::ffn_up},
                                                  {Weight::shared_gate, Weight::shared_up},
                                                  {Weight::expert_gate, Weight::expert_up}};

// Rows first .. first + rows of every matrix; first is a multiple of 128 where there are scales.
Stack rows_of(Stack stack, std::int64_t first, std::int64_t rows) {
  auto& m = stack.first;
  m.data = static_cast<std::byte*>(m.data) + first * m.stride * static_cast<std::int64_t>(element_bytes(m.type));
  if (m.scales) m.scales += first / scale_block * m.scale_stride;
  m.rows = rows;
  return stack;
}

// On the device, if the source has a rule.
bool make(const Wanted& w, const WeightSource& source, const Stack& stack) {
  std::vector<std::uint64_t> bases;
  Rule rule;
  for (std::int64_t i = 0; i < w.count; ++i) {
    const auto found = source.rule(*w.tensor, w.layer, w.expert(i));
    if (!found) return false;
    rule = *found;
    bases.push_back(rule.base);
  }
  const auto& s = w.slice;
  kernels::cuda::Synthetic how{.offset = rule.offset, .factor = rule.factor, .rounded = rule.rounded, .columns = w.tensor->columns};
  if (w.tensor->columns == 1) how.first_column = s.first_row;  // a vector is a row
  else how.first_row = s.first_row, how.first_column = s.first_column;
  kernels::cuda::synthetic(how, w.tensor->storage, bases, stack, nullptr);
  return true;
}

// The scales of a matrix, each row of them filled up to `stride`.
std::vector<float> padded_scales(const kernels::cpu::ConstMatrix& m, std::int64_t stride) {
  std::vector<float> scales(static_cast<std::size_t>(blocks(m.rows()) * stride));
  for (std::int64_t r = 0; r < m.rows(); r += scale_block)
    for (std::int64_t c = 0; c < m.columns(); c += scale_block) scales[static_cast<std::size_t>(r / scale_block * stride + c / scale_block)] = m.scale(r, c);
  return scales;
}

// By way of the host, one matrix after the other. A checkpoint may hold plain matrices in another type than the plan.
void upload(const Wanted& w, const WeightSource& source, const Stack& stack, Staging& staging) {
  const auto type = stack.first.type;
  const auto element = static_cast<std::int64_t>(element_bytes(type));
  for (std::int64_t i = 0; i < w.count; ++i) {
    auto m = source.load(*w.tensor, w.layer, w.expert(i), w.slice);
    if (m.type != type) m = converted(m, type);
    staging.upload(static_cast<std::byte*>(stack.first.data) + i * stack.step * element, m.data, static_cast<std::size_t>(m.rows * m.columns * element));
    if (!has_scales(type)) continue;
    const auto scales = padded_scales(m.view(), stack.first.scale_stride);
    staging.upload(stack.first.scales + i * stack.scale_step, scales.data(), scales.size() * sizeof(float));
  }
}

}  // namespace

double device_weight_bytes(const Plan& plan, const Place& place, Numerics numerics) {
  using Shape = DeviceWeights::Shape;
  const auto table = tensor_table(plan.model);
  double sum = 0;
  for (const auto& w : wanted_weights(plan, place, table).load) {
    sum += static_cast<double>(Shape::of(w, numerics).bytes());
    if (w.tensor->id != Weight::kv_b_proj) continue;
    sum += static_cast<double>(Shape::absorbed_k(plan.model, w).bytes() + Shape::absorbed_v(plan.model, w).bytes());
  }
  return sum;
}

DeviceWeights::DeviceWeights(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress)
    : memory_(static_cast<std::size_t>(device_weight_bytes(plan, place, numerics))) {
  const auto table = tensor_table(plan.model);
  const auto wanted = wanted_weights(plan, place, table);
  const double all = wanted.stored_bytes();
  double done = 0;
  std::optional<Staging> staging;  // once something is loaded
  std::map<Key, Shape> shapes;
  for (const auto& w : wanted.load) shapes[{w.tensor->id, w.layer}] = Shape::of(w, numerics);
  for (const auto& w : wanted.load) {
    const Key key{w.tensor->id, w.layer};
    const auto& shape = shapes.at(key);
    allot(shapes, key);
    const auto& stack = matrices_.at(key);
    if (!make(w, source, stack)) upload(w, source, stack, staging ? *staging : staging.emplace());
    if (w.tensor->id == Weight::kv_b_proj) {
      absorbed_k_[w.layer] = take(Shape::absorbed_k(plan.model, w));
      absorbed_v_[w.layer] = take(Shape::absorbed_v(plan.model, w));
      kernels::cuda::absorb(stack.first, absorbed_k_[w.layer], absorbed_v_[w.layer], nullptr);
    }
    check(cudaStreamSynchronize(nullptr), "loading of weights");
    bytes_ += static_cast<double>(w.count) * storage_bytes(shape.type, static_cast<double>(shape.rows), static_cast<double>(shape.columns));
    if (progress) progress(done += w.stored_bytes(), all);
  }
  for (const auto& s : wanted.shared) matrices_[{s.as, s.layer}] = matrices_.at({s.own, -1});
}

// Gives a weight its piece of memory, and its neighbours with it where they are alike.
void DeviceWeights::allot(const std::map<Key, Shape>& shapes, const Key& key) {
  if (matrices_.contains(key)) return;
  const auto [weight, layer] = key;
  std::vector<Key> family{key};
  for (const auto& all : neighbours)
    if (std::ranges::count(all, weight) > 0) {
      family.clear();
      for (const auto w : all)
        if (shapes.contains({w, layer})) family.push_back({w, layer});
    }
  auto joint = shapes.at(family.front());
  for (std::size_t i = 1; i < family.size(); ++i) {
    const auto& next = shapes.at(family[i]);
    if (!joint.joins(next)) return static_cast<void>(matrices_[key] = take(shapes.at(key)));
    joint.rows += next.rows;
  }
  const auto stack = take(joint);
  std::int64_t row = 0;
  for (const auto& k : family) {
    const auto rows = shapes.at(k).rows;
    matrices_[k] = rows_of(stack, row, rows);
    row += rows;
  }
}

// The next piece of the memory; its scales are zero.
Stack DeviceWeights::take(const Shape& s) {
  auto* const first = static_cast<std::byte*>(memory_.get()) + used_;
  used_ += s.bytes();
  Stack stack{.first = {s.type, s.rows, s.columns, s.columns, first}, .count = s.count, .step = s.matrix_bytes() / s.element()};
  if (!has_scales(s.type)) return stack;
  auto* const scales = first + s.count * s.matrix_bytes();
  check(cudaMemsetAsync(scales, 0, static_cast<std::size_t>(s.scales_bytes())), "cudaMemset");
  stack.first.scales = reinterpret_cast<float*>(scales);
  stack.first.scale_stride = s.scale_stride();
  stack.scale_step = s.scale_count();
  return stack;
}

}  // namespace fathom::executor
