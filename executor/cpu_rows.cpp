// Steps that work row by row: norms, embeddings, rotations, quantisation, cache records, sampling.
#include <algorithm>

#include "executor/cpu_backend.h"
#include "executor/sampling.h"
#include "kernels/cpu/cache.h"
#include "kernels/cpu/embedding.h"
#include "kernels/cpu/hadamard.h"
#include "kernels/cpu/layer_norm.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/permute.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/sample.h"
#include "kernels/cpu/swiglu.h"

namespace fathom::executor {

using namespace model_spec;
using kernels::cpu::parallel_for;

namespace {

constexpr auto scales = kernels::cpu::Scales::ue8m0;  // as V3.1 and V3.2 are deployed

// body(first, count) over all rows, in pieces on several cores.
template <class Body>
void each_piece(std::int64_t rows, const Body& body) {
  const auto pieces = std::min(rows, 4 * kernels::cpu::thread_count());
  parallel_for(pieces, [&](std::int64_t i) {
    const auto first = i * rows / pieces;
    body(first, (i + 1) * rows / pieces - first);
  });
}

// A list of integers as the row of a matrix.
template <class T>
struct Integers {
  std::span<const T> values;
  [[nodiscard]] std::int64_t integer(std::int64_t, std::int64_t i) const { return values[static_cast<std::size_t>(i)]; }
  [[nodiscard]] Integers part(std::int64_t first, std::int64_t count) const {
    return {values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))};
  }
};

ConstMatrix numbers(const std::vector<float>& values, std::int64_t columns) {
  return {DType::fp32, static_cast<std::int64_t>(values.size()) / columns, columns, std::as_bytes(std::span(values)).data()};
}

void copy_rows(const Matrix& from, Matrix to) {
  each_piece(from.rows(), [&](std::int64_t first, std::int64_t count) {
    for (auto r = first; r < first + count; ++r) kernels::cpu::copy_row(from.type(), from.columns(), from, r, to, r);
  });
}

}  // namespace

void CpuBackend::run_op(Embedding<I>& op) {
  const auto ids = at_.weight(0) == Weight::mtp_embed_tokens ? at_.next_ids(output_.sampled) : at_.input().ids;
  auto y = view(at_.outputs()[0]);
  kernels::cpu::embedding<float>(op, place_.tp * op.vocab, Integers<std::int32_t>{ids}, weight(0), y);
}

void CpuBackend::run_op(RmsNorm<I>& op) {
  const bool stream = at_.inputs().size() == 2;  // reads and extends the residual stream
  const auto x = view(at_.inputs()[0]);
  auto residual = stream ? view(at_.inputs()[1]) : Matrix();
  if (stream && !op.residual) copy_rows(x, residual);
  auto y = view(at_.outputs()[stream ? 1 : 0]);
  auto kept = op.keep_bf16 ? view(at_.outputs()[stream ? 2 : 1]) : Matrix();
  const auto eps = at_.norm_eps(plan_.model);
  each_piece(op.tokens, [&](I first, I count) {
    auto part = op;
    part.tokens = count;
    const auto rows = [&](const Matrix& m) { return m.rows() > 0 ? m.rows(first, count) : m; };
    auto r = rows(residual), out = rows(y), k = rows(kept);
    kernels::cpu::rms_norm<float>(part, eps, scales, x.rows(first, count), r, weight(0), out, k);
  });
}

void CpuBackend::run_op(LayerNorm<I>& op) {
  auto y = view(at_.outputs()[0]);
  kernels::cpu::layer_norm<float>(op, inner_eps, view(at_.inputs()[0]), weight(0), weight(1), y);
}

void CpuBackend::run_op(Quantise<I>& op) {
  const auto x = view(at_.inputs()[0]);
  auto y = view(at_.outputs()[0]);
  each_piece(op.tokens, [&](I first, I count) {
    auto part = op;
    part.tokens = count;
    auto out = y.rows(first, count);
    kernels::cpu::quantise<float>(part, scales, x.rows(first, count), out);
  });
}

void CpuBackend::run_op(Rope<I>& op) {
  const auto x = view(at_.outputs()[0], op.heads);
  const auto range = at_.tokens();
  const auto cosines = numbers(rope_.cosines, op.dims / 2), sines = numbers(rope_.sines, op.dims / 2);
  each_piece(op.tokens, [&](I first, I count) {
    auto part = op;
    part.tokens = count;
    auto rows = x.rows(first * op.heads, count * op.heads);
    kernels::cpu::rope<float>(part, rows, cosines.rows(range.first + first, count), sines.rows(range.first + first, count));
  });
}

// Each head has its own scales: a row a head.
void CpuBackend::run_op(Hadamard<I>& op) {
  const auto x = view(at_.inputs()[0], op.heads);
  shape(at_.outputs()[0], op.tokens * op.heads, op.width);
  auto y = whole(at_.outputs()[0]);
  if (numerics_ != Numerics::fp8) return copy_rows(x, y);
  each_piece(op.tokens, [&](I first, I count) {
    auto part = op;
    part.tokens = count;
    auto rows = y.rows(first * op.heads, count * op.heads);
    kernels::cpu::hadamard<float>(part, scales, x.rows(first * op.heads, count * op.heads), rows);
  });
}

void CpuBackend::run_op(LatentCacheWrite<I>& op) {
  const auto kv = view(at_.inputs()[0]);
  auto& cache = latent_[static_cast<std::size_t>(at_.layer() - first_layer_)];
  auto latent = cache.latent(), rope = cache.rope();
  const auto slot = new_slots();
  kernels::cpu::latent_cache_write<float>(op, scales, kv.slice(0, op.latent), kv.slice(op.latent, op.rope), Integers<I>{slot}, latent, rope);
}

// With an input: the whole context of each sequence, what is cached from the cache and the rest from the input.
void CpuBackend::run_op(LatentCacheRead<I>& op) {
  auto& cache = latent_[static_cast<std::size_t>(at_.layer() - first_layer_)];
  auto y = view(at_.outputs()[0]);
  const auto slot = slots(at_.context());
  const auto read = [&](I first, I count) {
    auto part = op;
    part.tokens = count;
    auto rows = y.rows(first, count);
    kernels::cpu::latent_cache_read<float>(part, cache.latent(), cache.rope(), Integers<I>{slot}.part(first, count), rows);
  };
  if (at_.inputs().empty()) return each_piece(op.tokens, read);
  const auto kv = view(at_.inputs()[0]);
  I row = 0, token = 0;
  for (std::size_t g = 0; g < at_.input().batch.groups.size(); ++g) {
    if (!at_.map().on(g, at_.step().step->paths)) continue;
    const auto& group = at_.input().batch.groups[g];
    for (I s = 0; s < group.sequences; ++s) {
      read(row, group.cached_tokens);
      copy_rows(kv.rows(token, group.new_tokens), y.rows(row + group.cached_tokens, group.new_tokens));
      row += group.cached_tokens + group.new_tokens;
      token += group.new_tokens;
    }
  }
}

void CpuBackend::run_op(IndexCacheWrite<I>& op) {
  const auto k = view(at_.inputs()[0]);
  auto& cache = *index_[static_cast<std::size_t>(at_.layer() - first_layer_)];
  const auto slot = new_slots();
  for (I t = 0; t < op.tokens; ++t) kernels::cpu::copy_row(k.type(), op.dims, k, t, cache, slot[static_cast<std::size_t>(t)]);
}

void CpuBackend::run_op(SwiGlu<I>& op) {
  if (at_.step().step->rows == Rows::routed) {
    op.rows = static_cast<double>(rows_.rows());
    shape(at_.outputs()[0], rows_.rows(), op.width);
  }
  const auto x = view(at_.inputs()[0]);
  auto y = view(at_.outputs()[0]);
  each_piece(static_cast<I>(op.rows), [&](I first, I count) {
    auto part = op;
    part.rows = static_cast<double>(count);
    auto out = y.rows(first, count);
    kernels::cpu::swiglu<float>(part, scales, x.rows(first, count), out);
  });
}

void CpuBackend::run_op(Add<I>& op) {
  if (at_.step().step->rows == Rows::slice) op.tokens = slice_of_tp(at_.input().batch.tokens(), place_.tp).count;
  const auto x = whole(at_.inputs()[0]), other = whole(at_.inputs()[1]);
  auto y = whole(at_.outputs()[0]);
  each_piece(op.tokens, [&](I first, I count) {
    auto part = op;
    part.tokens = count;
    auto out = y.rows(first, count);
    kernels::cpu::add<float>(part, x.rows(first, count), other.rows(first, count), out);
  });
}

void CpuBackend::run_op(Sample<I>& op) {
  auto logits = view(at_.inputs()[0]);
  const bool main = at_.step().step->rows == Rows::sampled;
  auto ids = buffer(at_.outputs()[0].id).shape(DType::int32, 1, op.tokens);
  const auto& sampling = at_.input().sampling;
  if (main) {
    for (I r = 0; r < op.tokens; ++r) keep_nucleus(sampling, logits, r);
    const auto noise = [&](I r, I v) { return exponential_noise(sampling.seed, at_.input().random_streams[static_cast<std::size_t>(r)], v); };
    kernels::cpu::sample<float>(op, sampling.temperature, logits, noise, ids);
  } else {  // a draft is a guess: the likeliest token
    kernels::cpu::sample<float>(
        op, 0.0f, logits, [](I, I) { return 1.0f; }, ids);
  }
  auto& result = main ? output_.sampled : output_.drafts;
  for (I r = 0; r < op.tokens; ++r) result.push_back(static_cast<std::int32_t>(ids.integer(0, r)));
}

std::vector<std::int64_t> CpuBackend::new_slots() const {
  std::vector<I> result;
  I position = 0;
  for (const auto& group : at_.input().batch.groups)
    for (I s = 0; s < group.sequences; ++s) {
      const auto first = slots_.begin() + position + group.cached_tokens;
      result.insert(result.end(), first, first + group.new_tokens);
      position += group.cached_tokens + group.new_tokens;
    }
  return result;
}

}  // namespace fathom::executor
