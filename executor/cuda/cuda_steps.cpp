// Each kind of step on its kernel.
#include "executor/cuda/cuda_steps.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/cuda/cache.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/gate.h"
#include "kernels/cuda/grouped_gemm.h"
#include "kernels/cuda/hadamard.h"
#include "kernels/cuda/index_logits.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/quantise.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/rope.h"
#include "kernels/cuda/row_chains.h"
#include "kernels/cuda/sample.h"
#include "kernels/cuda/swiglu.h"
#include "kernels/cuda/top_k.h"

namespace fathom::executor {

using namespace model_spec;
namespace cuda = kernels::cuda;
using cuda::Matrix;

namespace {

// Whether b's rows stand behind a's, as those of one matrix would.
bool follows(const Matrix& a, const Matrix& b) {
  const auto next = rows_of(a, a.rows, b.rows);
  return next.data == b.data && a.columns == b.columns && (!a.scales || a.scales + a.rows / scale_block * a.scale_stride == b.scales);
}

// Whether b's columns stand behind a's in the same rows. Without scales.
bool stands_beside(const Matrix& a, const Matrix& b) { return columns_of(a, a.columns, b.columns).data == b.data && a.stride == b.stride; }

}  // namespace

void CudaBackend::run_op(Embedding<I>& op) {
  const bool drafting = at_.weight(0) == Weight::mtp_embed_tokens;
  cuda::embedding(op, 0, drafting ? next_ids_.as<std::int32_t>() : inputs_.ids(), weight(0), view(at_.outputs()[0]), stream_);
}

void CudaBackend::run_op(RmsNorm<I>& op) {
  if (latent_chain_ && at_.weight(0) == Weight::kv_a_layernorm) return;  // with latent_cache_write
  const bool stream = at_.inputs().size() == 2;                          // reads and extends the residual stream
  const auto rows = at_.rows(at_.inputs()[0]);
  const auto whole = [&](const Operand& o) { return rows.gathers ? buffer(o.id) : view(o); };
  const auto x = whole(at_.inputs()[0]);
  const auto residual = stream ? whole(at_.inputs()[1]) : Matrix{};
  if (stream && !op.residual) cuda::quantise({.tokens = x.rows, .width = x.columns, .output = DType::bf16}, x, residual, stream_);
  const auto y = view(at_.outputs()[stream ? 1 : 0]);
  const auto kept = op.keep_bf16 ? view(at_.outputs()[stream ? 2 : 1]) : Matrix{};
  const auto eps = at_.norm_eps(plan_.model);
  cuda::rms_norm(op, eps, x, residual, weight(0), y, kept, rows.gathers ? gathered_rows().rows : nullptr, stream_);
}

void CudaBackend::run_op(LayerNorm<I>& op) {
  index_key_ = view(at_.inputs()[0]);
  if (index_chain_) return;  // with index_cache_write
  cuda::layer_norm(op, inner_eps, index_key_, weight(0), weight(1), view(at_.outputs()[0]), stream_);
}
void CudaBackend::run_op(Quantise<I>& op) { cuda::quantise(op, view(at_.inputs()[0]), view(at_.outputs()[0]), stream_); }

cuda::Angles CudaBackend::angles(I dims) const {
  const auto first = at_.tokens().first * dims / 2;
  return {inputs_.cosines() + first, inputs_.sines() + first};
}

// For few, a launch less is worth more than the registers that the chain of index queries takes: on an H200, 4096 tokens took it 129 us, its two
// kernels 78.
bool CudaBackend::chains_queries(I tokens) const { return index_chain_ && tokens <= 128; }

// Those of keys wait for the cache to be written, those of index queries for their transform.
void CudaBackend::run_op(Rope<I>& op) {
  const bool waits =
      op.interleaved ? latent_chain_ && !at_.step().step->launched : index_chain_ && (at_.step().step->rows == Rows::tokens || chains_queries(op.tokens));
  if (waits) return;
  const auto [cosines, sines] = angles(op.dims);
  cuda::rope(op, view(at_.outputs()[0], op.heads), cosines, sines, stream_);
}

// Each head has its own scales: a row a head. bf16 keeps keys as they are: the rotation is orthogonal.
void CudaBackend::run_op(Hadamard<I>& op) {
  const bool keys = at_.step().step->rows == Rows::tokens;
  if (index_chain_ && keys) return;
  const auto x = view(at_.inputs()[0], op.heads);
  const auto y = view(at_.outputs()[0], op.heads);
  if (chains_queries(op.tokens)) cuda::index_query_chain(op, plan_.model.qk_rope_head_dim, x, angles(plan_.model.qk_rope_head_dim), y, stream_);
  else if (numerics_ == Numerics::fp8) cuda::hadamard(op, x, y, stream_);
  else cuda::quantise({.tokens = x.rows, .width = op.width, .output = DType::bf16}, x, y, stream_);
}

void CudaBackend::run_op(LatentCacheWrite<I>& op) {
  const auto kv = view(at_.inputs()[0]);
  const auto* slots = inputs_.slots();
  if (latent_chain_)
    return cuda::latent_chain(op, inner_eps, kv, weights_.get(Weight::kv_a_layernorm, at_.layer()), angles(op.rope), slots, cache().latent, stream_);
  cuda::latent_cache_write(op, columns_of(kv, 0, op.latent), columns_of(kv, op.latent, op.rope), slots, cache().latent, stream_);
}

// The whole context of each sequence; what is new has just been written there.
void CudaBackend::run_op(LatentCacheRead<I>& op) {
  const auto range = at_.map().context(at_.step().step->paths);
  op.tokens = range.count;
  cuda::latent_cache_read(op, cache().latent, inputs_.context_slots(range.first), view(at_.outputs()[0]), stream_);
}

void CudaBackend::run_op(IndexCacheWrite<I>& op) {
  if (!index_chain_) return cuda::index_cache_write(op, view(at_.inputs()[0]), inputs_.slots(), cache().index, stream_);
  const auto rope = plan_.model.qk_rope_head_dim;
  const cuda::IndexKeyNorm norm{inner_eps, weights_.get(Weight::index_k_norm_weight, at_.layer()), weights_.get(Weight::index_k_norm_bias, at_.layer())};
  cuda::index_key_chain(op, rope, norm, index_key_, angles(rope), inputs_.slots(), cache().index, stream_);
}

void CudaBackend::run_op(SwiGlu<I>& op) {
  const bool routed = at_.step().step->rows == Rows::routed;
  const auto x = view(at_.inputs()[0]);
  cuda::swiglu(op, x, view(at_.outputs()[0]), routed ? experts_.offsets + experts_.experts : nullptr, stream_);
}

// Shared experts' results are added as the routed ones come together.
void CudaBackend::run_op(Add<I>& op) {
  if (const auto waiting = std::exchange(unpermute_, std::nullopt)) return unpermute(*waiting, view(at_.inputs()[1]));
  cuda::add(op, view(at_.inputs()[0]), view(at_.inputs()[1]), view(at_.outputs()[0]), stream_);
}

void CudaBackend::run_op(Sample<I>& op) {
  const auto logits = view(at_.inputs()[0]);
  const bool main = at_.step().step->rows == Rows::sampled;
  const auto& sampling = at_.input().sampling;
  // A draft is a guess: the likeliest token.
  cuda::sample(op, main ? sampling.temperature : 0, main ? sampling.top_p : 1, sampling.seed, logits, inputs_.streams(),
               results_.at(main ? results_.sampled : results_.drafts), stream_);
}

// Several weights on one input give their outputs side by side, as one activation or several. Neighbours in memory are one product.
void CudaBackend::run_op(Gemm<I>& op) {
  const auto x = view(at_.inputs()[0]);
  const bool apart = at_.outputs().size() > 1;
  const auto result = [&](std::size_t i, I column) { return apart ? view(at_.outputs()[i]) : columns_of(view(at_.outputs()[0]), column, weight(i).rows); };
  I column = 0;
  for (std::size_t i = 0; i < at_.weights().size(); ++i) {
    auto w = weight(i);
    auto y = result(i, column);
    for (; i + 1 < at_.weights().size() && follows(w, weight(i + 1)) && stands_beside(y, result(i + 1, column + w.rows)); ++i) {
      w.rows += weight(i + 1).rows;
      y.columns = w.rows;
    }
    op.out = w.rows;
    gemms_.gemm(op, x, w, y, stream_);
    column += op.out;
  }
}

// With a second pair of operands, the columns of the one go along into the other.
void CudaBackend::run_op(BatchedGemm<I>& op) {
  op.weight = DType::bf16;
  const bool keys = at_.weights()[0].first == 0;
  gemms_.batched_gemm(op, view(at_.inputs()[0], op.heads), keys ? weights_.absorbed_k(at_.layer()) : weights_.absorbed_v(at_.layer()),
                      view(at_.outputs()[0], op.heads), stream_);
  if (at_.inputs().size() < 2) return;
  const auto from = view(at_.inputs()[1], op.heads);
  cuda::quantise({.tokens = from.rows, .width = from.columns, .output = DType::bf16}, from, view(at_.outputs()[1], op.heads), stream_);
}

void CudaBackend::run_op(GroupedGemm<I>& op) {
  op.capacity = experts_.capacity;
  const auto x = view(at_.inputs()[0]);
  const auto y = view(at_.outputs()[0]);
  const auto stack = [&](std::size_t i) -> const cuda::Stack& { return weights_.experts(at_.weight(i), at_.layer()); };
  I column = 0;
  for (std::size_t i = 0; i < at_.weights().size(); ++i) {
    auto w = stack(i);
    for (; i + 1 < at_.weights().size() && follows(w.first, stack(i + 1).first); ++i) w.first.rows += stack(i + 1).first.rows;
    op.out = w.first.rows;
    cuda::grouped_gemm(op, x, experts_, w, columns_of(y, column, op.out), workspace(cuda::grouped_workspace), stream_);
    column += op.out;
  }
}

void CudaBackend::run_op(IndexLogits<I>& op) {
  if (!comes_first()) return;
  scored_ = tokens();
  op.new_tokens = most_new_tokens();
  moved(scores_.shape(DType::fp32, scored_.count, context().max_visible));
  const float factor = 1 / std::sqrt(static_cast<float>(op.heads * op.dims));
  const auto range = at_.rows(at_.inputs()[1]).range;  // of the first group; all of them follow
  const auto q = rows_of(buffer(at_.inputs()[0].id), range.first * op.heads, scored_.count * op.heads);
  const auto w = rows_of(buffer(at_.inputs()[1].id), range.first, scored_.count);
  cuda::index_logits(op, scored_.count, factor, q, w, cache().index, context(), scores_.view(), stream_);
}

void CudaBackend::run_op(TopK<I>& op) {
  if (!comes_first()) return;
  const auto first = at_.rows(at_.outputs()[0]).range.first;
  const auto chosen = rows_of(buffer(at_.outputs()[0].id), first, scored_.count);
  cuda::top_k(op, scored_.count, scores_.view(), context().visible, chosen, stream_);
  force_topk(chosen, scored_.first);
}

void CudaBackend::run_op(DenseMha<I>& op) {
  if (!comes_first()) return;
  const auto range = tokens();
  const auto all = [&](const Operand& o, I heads) { return by_head(rows_of(buffer(o.id), at_.rows(o).range.first, range.count), heads); };
  const auto kv = by_head(buffer(at_.inputs()[1].id), op.heads);
  auto keys = buffer(at_.inputs()[2].id);
  keys = rows_of(keys, at_.rows(at_.inputs()[2]).range.first - at_.rows(at_.inputs()[1]).range.first, keys.rows);  // from where kv begins
  const auto chosen = op.masked ? all(at_.inputs()[3], 1) : Matrix{};
  const auto bits = op.masked ? workspace(cuda::mha_workspace(range.count, context().max_visible)) : cuda::Workspace{};
  cuda::dense_mha(op, range.count, softmax_scale(plan_.model), all(at_.inputs()[0], op.heads), kv, columns_of(keys, plan_.model.kv_lora_rank, op.rope),
                  context(), first_keys(), chosen, bits, all(at_.outputs()[0], op.heads), stream_);
}

void CudaBackend::run_op(DenseMqa<I>& op) {
  if (!comes_first()) return;
  const auto range = tokens();
  const auto all = [&](const Operand& o) { return by_head(rows_of(buffer(o.id), at_.rows(o).range.first, range.count), op.heads); };
  cuda::dense_mqa(op, range.count, softmax_scale(plan_.model), all(at_.inputs()[0]), cache().latent, context(),
                  workspace(cuda::attention_workspace(range.count, op.heads, op.latent)), all(at_.outputs()[0]), stream_);
}

void CudaBackend::run_op(SparseMla<I>& op) {
  if (!comes_first()) return;
  const auto range = tokens();
  const auto all = [&](const Operand& o, I heads) { return by_head(rows_of(buffer(o.id), at_.rows(o).range.first, range.count), heads); };
  const auto copy = at_.inputs().size() > 2 ? buffer(at_.inputs()[2].id) : Matrix{};
  cuda::sparse_mla(op, range.count, softmax_scale(plan_.model), all(at_.inputs()[0], op.heads), all(at_.inputs()[1], 1), cache().latent, copy,
                   copy.data ? first_keys() : nullptr, context(), workspace(cuda::attention_workspace(range.count, op.heads, op.latent)),
                   all(at_.outputs()[0], op.heads), stream_);
}

void CudaBackend::run_op(Gate<I>& op) {
  const auto experts = view(at_.outputs()[0]);
  auto* ids = static_cast<std::int32_t*>(experts.data);
  cuda::gate(op, static_cast<float>(plan_.model.routed_scaling_factor), view(at_.inputs()[0]), static_cast<const float*>(weight(0).data), ids,
             reinterpret_cast<float*>(ids + op.topk), experts.stride, stream_);
  force_experts(experts);
}

void CudaBackend::run_op(Permute<I>& op) {
  const auto& m = plan_.model;
  const auto experts = view(at_.inputs()[1]);
  const auto topk = m.num_experts_per_tok, tokens = experts.rows;
  experts_ = {.first = 0, .experts = m.n_routed_experts, .capacity = tokens * topk};
  experts_.offsets = results_.at(results_.load_log + loads_.back().offset);
  experts_.source = expert_source_.as<std::int32_t>();
  experts_.row = expert_row_.as<std::int32_t>();
  cuda::sort_by_expert(tokens, topk, static_cast<const std::int32_t*>(experts.data), experts.stride, experts_, stream_);
  cuda::permute(op, view(at_.inputs()[0]), experts_, view(at_.outputs()[0]), stream_);
}

void CudaBackend::run_op(Unpermute<I>& op) {
  const Unpermuting how{op, view(at_.inputs()[0]), view(at_.inputs()[1]), view(at_.outputs()[0])};
  if (plan_.policy.fused && plan_.model.n_shared_experts > 0) unpermute_ = how;  // with add_shared
  else unpermute(how, {});
}

void CudaBackend::unpermute(const Unpermuting& how, const Matrix& other) {
  const auto topk = plan_.model.num_experts_per_tok;
  const auto* weights = reinterpret_cast<const float*>(static_cast<const std::int32_t*>(how.experts.data) + topk);
  cuda::unpermute(how.op, topk, how.x, weights, how.experts.stride, experts_, how.y, stream_, other);
}

void CudaBackend::force_topk(const Matrix& chosen, I first_token) {
  const auto* forced = at_.input().forced;
  if (!forced || !forced->topk.contains(at_.layer())) return;
  auto rows = download(static_cast<const std::int32_t*>(chosen.data), static_cast<std::size_t>(chosen.rows * chosen.stride), stream_);
  for (I t = 0; t < chosen.rows; ++t) {
    const auto token = static_cast<std::size_t>(first_token + t);
    const auto& wanted = forced->topk.at(at_.layer())[token];
    if (wanted.empty()) continue;
    auto keys = wanted;  // those of the future that fill up a short row are none
    std::erase_if(keys, [&](std::int32_t key) { return key < 0 || key > at_.input().positions[token]; });
    std::ranges::sort(keys);
    keys.resize(static_cast<std::size_t>(chosen.columns), -1);
    std::ranges::copy(keys, rows.begin() + t * chosen.stride);
  }
  cuda::check(cudaMemcpyAsync(chosen.data, rows.data(), rows.size() * sizeof(std::int32_t), cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
  cuda::check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

void CudaBackend::force_experts(const Matrix& experts) {
  const auto* forced = at_.input().forced;
  if (!forced || !forced->expert_ids.contains(at_.layer())) return;
  const auto topk = plan_.model.num_experts_per_tok;
  auto rows = download(static_cast<const std::int32_t*>(experts.data), static_cast<std::size_t>(experts.rows * experts.stride), stream_);
  for (I t = 0; t < experts.rows; ++t) {
    const auto& ids = forced->expert_ids.at(at_.layer())[static_cast<std::size_t>(t)];
    if (ids.empty()) continue;
    const auto& weights = forced->expert_weights.at(at_.layer())[static_cast<std::size_t>(t)];
    for (I i = 0; i < topk; ++i) {
      rows[static_cast<std::size_t>(t * experts.stride + i)] = ids[static_cast<std::size_t>(i)];
      rows[static_cast<std::size_t>(t * experts.stride + topk + i)] = std::bit_cast<std::int32_t>(weights[static_cast<std::size_t>(i)]);
    }
  }
  cuda::check(cudaMemcpyAsync(experts.data, rows.data(), rows.size() * sizeof(std::int32_t), cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
  cuda::check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

}  // namespace fathom::executor
