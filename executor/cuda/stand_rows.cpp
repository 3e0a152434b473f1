// Operators that work row by row.
#include <cmath>
#include <numeric>

#include "executor/cuda/stand.h"
#include "kernels/cuda/cache.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/gate.h"
#include "kernels/cuda/hadamard.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/permute.h"
#include "kernels/cuda/quantise.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/rope.h"
#include "kernels/cuda/sample.h"
#include "kernels/cuda/swiglu.h"

namespace fathom::executor::stands {

using namespace model_spec;
namespace cuda = kernels::cuda;
using Stream = cuda::Stream;

namespace {

constexpr float eps = 1e-6f;

I pages_for(I tokens) { return (tokens + page_tokens - 1) / page_tokens; }

// A slot for each token, pages in an order that looks random.
std::vector<std::int32_t> slots(I tokens) {
  const auto pages = bench_order(static_cast<std::size_t>(pages_for(tokens)));
  std::vector<std::int32_t> all;
  for (I t = 0; t < tokens; ++t)
    all.push_back(static_cast<std::int32_t>(static_cast<I>(pages[static_cast<std::size_t>(t / page_tokens)]) * page_tokens + t % page_tokens));
  return all;
}
Stand::Operand slots_of(Stand& s, I tokens) { return s.list<std::int32_t>(slots(tokens)); }

}  // namespace

// Ids that no two tokens share, others in each set.
void declare(Stand& s, const Embedding<I>& op) {
  constexpr I stride = 7919, next = 104729;  // primes
  const auto ids = s.lists<std::int32_t>([op](I set) {
    std::vector<std::int32_t> all;
    for (I t = 0; t < op.tokens; ++t) all.push_back(static_cast<std::int32_t>((t * stride + set * next) % op.vocab));
    return all;
  });
  const auto table = s.random(op.table, op.vocab, op.hidden), y = s.output(DType::bf16, op.tokens, op.hidden);
  s.on_launch([=, &s](I set, Stream stream) { cuda::embedding(op, 0, s.data<std::int32_t>(ids, set), s.matrix(table, set), s.matrix(y, set), stream); });
}

void declare(Stand& s, const RmsNorm<I>& op) {
  const auto x = s.random(DType::bf16, op.tokens, op.width), weight = s.random(DType::bf16, 1, op.width), y = s.output(op.output, op.tokens, op.width);
  const auto residual = s.random(DType::bf16, op.residual ? op.tokens : 0, op.width), kept = s.output(DType::bf16, op.keep_bf16 ? op.tokens : 0, op.width);
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::rms_norm(op, eps, s.matrix(x, set), op.residual ? s.matrix(residual, set) : cuda::Matrix{}, s.matrix(weight, set), s.matrix(y, set),
                   op.keep_bf16 ? s.matrix(kept, set) : cuda::Matrix{}, nullptr, stream);
  });
}

void declare(Stand& s, const LayerNorm<I>& op) {
  const auto x = s.random(DType::bf16, op.tokens, op.width), y = s.output(DType::bf16, op.tokens, op.width);
  const auto weight = s.random(DType::fp32, 1, op.width), bias = s.random(DType::fp32, 1, op.width);
  s.on_launch(
      [=, &s](I set, Stream stream) { cuda::layer_norm(op, eps, s.matrix(x, set), s.matrix(weight, set), s.matrix(bias, set), s.matrix(y, set), stream); });
}

void declare(Stand& s, const Quantise<I>& op) {
  const auto x = s.random(DType::bf16, op.tokens, op.width), y = s.output(op.output, op.tokens, op.width);
  s.on_launch([=, &s](I set, Stream stream) { cuda::quantise(op, s.matrix(x, set), s.matrix(y, set), stream); });
}

// In place, again and again: rotations keep lengths.
void declare(Stand& s, const Rope<I>& op) {
  std::vector<float> cosines, sines;
  for (I i = 0; i < op.tokens * op.dims / 2; ++i) cosines.push_back(std::cos(static_cast<float>(i))), sines.push_back(std::sin(static_cast<float>(i)));
  const auto x = s.random(DType::bf16, op.tokens * op.heads, op.dims), c = s.list<float>(cosines), d = s.list<float>(sines);
  s.on_launch([=, &s](I set, Stream stream) { cuda::rope(op, s.matrix(x, set), s.data<float>(c, set), s.data<float>(d, set), stream); });
}

// bf16 keeps keys as they are: a copy, as in a step.
void declare(Stand& s, const Hadamard<I>& op) {
  const auto rows = op.tokens * op.heads;
  const auto x = s.random(DType::bf16, rows, op.width), y = s.output(op.output, rows, op.width);
  s.on_launch([=, &s](I set, Stream stream) {
    if (op.output != DType::bf16) cuda::hadamard(op, s.matrix(x, set), s.matrix(y, set), stream);
    else cuda::quantise({.tokens = rows, .width = op.width, .output = DType::bf16}, s.matrix(x, set), s.matrix(y, set), stream);
  });
}

void declare(Stand& s, const LatentCacheWrite<I>& op) {
  const auto c_kv = s.random(DType::bf16, op.tokens, op.latent), k_pe = s.random(DType::bf16, op.tokens, op.rope), slots = slots_of(s, op.tokens);
  const auto cache = s.latent_cache(op.format, op.latent, op.rope, pages_for(op.tokens));
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::latent_cache_write(op, s.matrix(c_kv, set), s.matrix(k_pe, set), s.data<std::int32_t>(slots, set), s.latent(cache, set), stream);
  });
}

void declare(Stand& s, const LatentCacheRead<I>& op) {
  const auto cache = s.latent_cache(op.format, op.latent, op.rope, pages_for(op.tokens)), slots = slots_of(s, op.tokens);
  const auto y = s.output(DType::bf16, op.tokens, op.latent + op.rope);
  s.on_launch([=, &s](I set, Stream stream) { cuda::latent_cache_read(op, s.latent(cache, set), s.data<std::int32_t>(slots, set), s.matrix(y, set), stream); });
}

void declare(Stand& s, const IndexCacheWrite<I>& op, const StandFacts& facts) {
  const auto k = s.random(facts.index_keys, op.tokens, op.dims), slots = slots_of(s, op.tokens);
  const auto cache = s.index_cache(facts.index_keys, op.dims, pages_for(op.tokens));
  s.on_launch([=, &s](I set, Stream stream) { cuda::index_cache_write(op, s.matrix(k, set), s.data<std::int32_t>(slots, set), s.index(cache, set), stream); });
}

void declare(Stand& s, const SwiGlu<I>& op) {
  const auto rows = std::llround(op.rows);
  const auto x = s.random(DType::bf16, rows, 2 * op.width), y = s.output(op.output, rows, op.width);
  s.on_launch([=, &s](I set, Stream stream) { cuda::swiglu(op, s.matrix(x, set), s.matrix(y, set), nullptr, stream); });
}

void declare(Stand& s, const Add<I>& op) {
  const auto x = s.random(DType::bf16, op.tokens, op.hidden), other = s.random(DType::bf16, op.tokens, op.hidden);
  const auto y = s.output(DType::bf16, op.tokens, op.hidden);
  s.on_launch([=, &s](I set, Stream stream) { cuda::add(op, s.matrix(x, set), s.matrix(other, set), s.matrix(y, set), stream); });
}

// With noise, as the record has it.
void declare(Stand& s, const Sample<I>& op) {
  std::vector<std::uint64_t> streams(static_cast<std::size_t>(op.tokens));
  std::iota(streams.begin(), streams.end(), std::uint64_t{1});
  const auto logits = s.random(DType::fp32, op.tokens, op.vocab), of = s.list<std::uint64_t>(streams), ids = s.output(DType::int32, 1, op.tokens);
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::sample(op, 1, 1, 1, s.matrix(logits, set), s.data<std::uint64_t>(of, set), s.data<std::int32_t>(ids, set), stream);
  });
}

void declare(Stand& s, const Gate<I>& op, const StandFacts& facts) {
  const auto logits = s.random(DType::fp32, op.tokens, op.experts), bias = s.random(DType::fp32, 1, op.experts);
  const auto chosen = s.output(DType::int32, op.tokens, 2 * op.topk);  // ids, then weights, as a step keeps them
  const auto scale = static_cast<float>(facts.model.routed_scaling_factor);
  s.on_launch([=, &s](I set, Stream stream) {
    auto* ids = s.data<std::int32_t>(chosen, set);
    cuda::gate(op, scale, s.matrix(logits, set), s.data<float>(bias, set), ids, reinterpret_cast<float*>(ids + op.topk), 2 * op.topk, stream);
  });
}

}  // namespace fathom::executor::stands
