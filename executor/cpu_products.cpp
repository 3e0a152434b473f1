// Steps that multiply matrices, and the choice of keys: on the blocked kernels.
#include <algorithm>
#include <cmath>

#include "executor/cpu_backend.h"
#include "kernels/cpu/blocked.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/top_k.h"

namespace fathom::executor {

using namespace model_spec;
namespace blocked = kernels::cpu::blocked;

// Several weights on one input: an output each, or one output of them side by side.
void CpuBackend::run_op(Gemm<I>& op) {
  const auto x = view(at_.inputs()[0]);
  I column = 0;
  for (std::size_t i = 0; i < at_.weights().size(); ++i) {
    const auto w = weight(i);
    auto one = op;
    one.out = w.rows();
    auto y = view(at_.outputs()[at_.outputs().size() > 1 ? i : 0]);
    if (at_.outputs().size() == 1) y = y.slice(column, w.rows());
    blocked::gemm(one, x, w, y);
    column += w.rows();
  }
}

// With a second pair of operands, the columns of the one go along into the other.
void CpuBackend::run_op(BatchedGemm<I>& op) {
  const auto x = view(at_.inputs()[0], op.heads);
  auto y = view(at_.outputs()[0], op.heads);
  const bool keys = at_.weights()[0].first == 0;
  blocked::batched_gemm(op, x, keys ? weights_.absorbed_k(at_.layer()) : weights_.absorbed_v(at_.layer()), y);
  if (at_.inputs().size() < 2) return;
  const auto from = view(at_.inputs()[1], op.heads);
  auto to = view(at_.outputs()[1], op.heads);
  kernels::cpu::parallel_for(from.rows(), [&](I r) { kernels::cpu::copy_row(DType::bf16, from.columns(), from, r, to, r); });
}

void CpuBackend::run_op(GroupedGemm<I>& op) {
  op.rows = static_cast<double>(rows_.rows());
  op.active = static_cast<double>(std::ranges::count_if(rows_.counts, [](I n) { return n > 0; }));
  op.largest = static_cast<double>(*std::ranges::max_element(rows_.counts));
  const auto x = whole(at_.inputs()[0]);
  auto y = shape(at_.outputs()[0], rows_.rows(), op.out);
  I column = 0;
  for (std::size_t i = 0; i < at_.weights().size(); ++i) {
    const auto stack = expert_weights(i);
    auto one = op;
    one.out = stack[0].rows();
    auto part = y.slice(column, one.out);
    blocked::grouped_gemm(one, x, rows_.counts, stack, part);
    column += one.out;
  }
}

// The query's scale is read with it; the head weights still lack heads^-1/2 dims^-1/2 (DeepSeek-V3.2's reference).
void CpuBackend::run_op(IndexLogits<I>& op) {
  const auto q = view(at_.inputs()[0], op.heads), w = view(at_.inputs()[1]);
  const auto tokens = op.sequences * op.new_tokens;
  auto scaled = copies_.emplace_back().shape(DType::fp32, tokens, op.heads);
  const float factor = 1 / std::sqrt(static_cast<float>(op.heads * op.dims));
  for (I t = 0; t < tokens; ++t)
    for (I h = 0; h < op.heads; ++h) scaled.set(t, h, w.get(t, h) * factor);
  scored_group_ = at_.step().group;
  if (scores_.size() <= scored_group_) scores_.resize(scored_group_ + 1);
  auto scores = scores_[scored_group_].shape(DType::fp32, tokens, op.cached_tokens + op.new_tokens);
  const auto slot = slots(at_.context());
  const auto& cache = *index_[static_cast<std::size_t>(at_.layer() - first_layer_)];
  blocked::index_logits(
      op, q, scaled, [&](I row, float* y) { cache.load(slot[static_cast<std::size_t>(row)], y); }, scores);
}

void CpuBackend::run_op(TopK<I>& op) {
  auto chosen = view(at_.outputs()[0]);
  const auto scores = scores_[at_.step().group].view();
  kernels::cpu::parallel_for(op.sequences * op.new_tokens, [&](I t) {
    TopK<I> one{.sequences = 1, .new_tokens = 1, .cached_tokens = op.cached_tokens + t % op.new_tokens, .topk = op.topk};
    auto row = chosen.rows(t, 1);
    kernels::cpu::top_k<float>(one, scores.rows(t, 1), row);
  });
  if (!at_.input().forced || !at_.input().forced->topk.contains(at_.layer())) return;
  const auto& forced = at_.input().forced->topk.at(at_.layer());
  const auto first = at_.tokens().first;
  for (I t = 0; t < chosen.rows(); ++t) {
    const auto token = static_cast<std::size_t>(first + t);
    if (forced[token].empty()) continue;
    std::vector<I> keys;  // those of the future that fill up a short row are none
    std::ranges::copy_if(forced[token], std::back_inserter(keys), [&](I key) { return key >= 0 && key <= at_.input().positions[token]; });
    std::ranges::sort(keys);
    keys.resize(static_cast<std::size_t>(op.topk), -1);
    for (I i = 0; i < op.topk; ++i) chosen.set_integer(t, i, keys[static_cast<std::size_t>(i)]);
  }
}

void CpuBackend::run_op(DenseMha<I>& op) {
  const auto context = view(at_.inputs()[2]);
  auto o = view(at_.outputs()[0], op.heads);
  const ConstMatrix chosen = op.masked ? view(at_.inputs()[3]) : Matrix();
  blocked::dense_mha(op, softmax_scale(plan_.model), view(at_.inputs()[0], op.heads), view(at_.inputs()[1], op.heads),
                     context.slice(plan_.model.kv_lora_rank, op.rope), op.masked ? &chosen : nullptr, o);
}

// Keys from the copy, where the plan made one, or from the cache.
std::function<void(std::int64_t, float*)> CpuBackend::latent_keys(const Operand* bf16_copy) {
  if (bf16_copy) {
    const ConstMatrix copy = view(*bf16_copy);
    return [copy](I row, float* y) {
      for (I c = 0; c < copy.columns(); ++c) y[c] = copy.get(row, c);
    };
  }
  const auto* cache = &latent_[static_cast<std::size_t>(at_.layer() - first_layer_)];
  const auto slot = slots(at_.context());
  return [cache, slot](I row, float* y) { cache->load(slot[static_cast<std::size_t>(row)], y); };
}

void CpuBackend::run_op(DenseMqa<I>& op) {
  auto o = view(at_.outputs()[0], op.heads);
  blocked::dense_mqa(op, softmax_scale(plan_.model), view(at_.inputs()[0], op.heads), latent_keys(nullptr), o);
}

void CpuBackend::run_op(SparseMla<I>& op) {
  auto o = view(at_.outputs()[0], op.heads);
  const auto* copy = at_.inputs().size() > 2 ? &at_.inputs()[2] : nullptr;
  blocked::sparse_mla(op, softmax_scale(plan_.model), view(at_.inputs()[0], op.heads), latent_keys(copy), view(at_.inputs()[1]), o);
}

}  // namespace fathom::executor
