// witness(op): runs the operator's CPU kernel on counting scalars and matrices and says what it took.
#pragma once

#include "kernels/cpu/attention.h"
#include "kernels/cpu/batched_gemm.h"
#include "kernels/cpu/embedding.h"
#include "kernels/cpu/gate.h"
#include "kernels/cpu/grouped_gemm.h"
#include "kernels/cpu/hadamard.h"
#include "kernels/cpu/index_logits.h"
#include "kernels/cpu/layer_norm.h"
#include "kernels/cpu/permute.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/sample.h"
#include "kernels/cpu/swiglu.h"
#include "model_spec/op.h"
#include "tests/kernels/counting.h"
#include "tests/kernels/exchange.h"

namespace fathom::kernels::cpu {

using I = std::int64_t;
using namespace model_spec;  // NOLINT: the records of all operators

struct Measured {
  double matrix = 0, vector = 0, read = 0, written = 0, gathered = 0, sent = 0;
};

// What `run` took, its operands being those named.
template <class Run, class... Operand>
Measured measure(Run run, const Operand&... operands) {
  flop_count = {};
  run();
  return {.matrix = flop_count.matrix, .vector = flop_count.vector, .read = (operands.read() + ...), .written = (operands.written() + ...)};
}

// One matrix an expert or head.
struct WitnessedStack {
  std::vector<Witnessed> parts;
  WitnessedStack(I count, DType type, I rows, I columns) {
    for (I i = 0; i < count; ++i) parts.emplace_back(type, rows, columns);
  }
  const Witnessed& operator[](I i) const { return parts[static_cast<std::size_t>(i)]; }
  [[nodiscard]] double read() const {
    double sum = 0;
    for (const auto& part : parts) sum += part.read();
    return sum;
  }
  [[nodiscard]] double written() const { return 0; }
};

// int32[1, count], number i being value(i).
template <class Value>
Witnessed integers(I count, Value value) {
  Array a(DType::int32, 1, count);
  for (I i = 0; i < count; ++i) a.set_integer(0, i, value(i));
  return Witnessed(std::move(a));
}

inline Measured witness(const Embedding<I>& op) {
  Witnessed table(op.table, op.vocab, op.hidden), y(DType::bf16, op.tokens, op.hidden);
  const Witnessed ids = integers(op.tokens, [&](I t) { return t * (op.vocab / op.tokens); });
  return measure([&] { embedding<Counted>(op, 0, ids, table, y); }, ids, table, y);
}

inline Measured witness(const RmsNorm<I>& op) {
  Witnessed x(DType::bf16, op.tokens, op.width), r(DType::bf16, op.tokens, op.width, 2), w(DType::bf16, 1, op.width);
  Witnessed y(op.output, op.tokens, op.width), kept(DType::bf16, op.tokens, op.width);
  return measure([&] { rms_norm<Counted>(op, 1e-6f, Scales::exact, x, r, w, y, kept); }, x, r, w, y, kept);
}

inline Measured witness(const LayerNorm<I>& op) {
  Witnessed x(DType::bf16, op.tokens, op.width), w(DType::fp32, 1, op.width), b(DType::fp32, 1, op.width), y(DType::bf16, op.tokens, op.width);
  return measure([&] { layer_norm<Counted>(op, 1e-6f, x, w, b, y); }, x, w, b, y);
}

inline Measured witness(const Gemm<I>& op) {
  Witnessed a(op.activation, op.tokens, op.in), w(op.weight, op.out, op.in), c(op.output, op.tokens, op.out);
  return measure([&] { gemm<Counted>(op, a, w, c); }, a, w, c);
}

inline Measured witness(const BatchedGemm<I>& op) {
  Witnessed a(DType::bf16, op.tokens * op.heads, op.in), c(DType::bf16, op.tokens * op.heads, op.out);
  const WitnessedStack w(op.heads, op.weight, op.in, op.out);
  return measure([&] { batched_gemm<Counted>(op, a, w, c); }, a, w, c);
}

// The first `active` experts get one row each, the first of them all the others too.
inline Measured witness(const GroupedGemm<I>& op) {
  const I rows = static_cast<I>(op.rows), active = static_cast<I>(op.active);
  Witnessed a(op.activation, rows, op.in), c(op.output, rows, op.out);
  const Witnessed counts = integers(op.experts, [&](I e) { return e == 0 ? rows - active + 1 : e < active ? 1 : 0; });
  const WitnessedStack w(op.experts, op.weight, op.out, op.in);
  return measure([&] { grouped_gemm<Counted>(op, a, counts, w, c); }, a, counts, w, c);
}

inline Measured witness(const Quantise<I>& op) {
  Witnessed x(DType::bf16, op.tokens, op.width), y(op.output, op.tokens, op.width);
  return measure([&] { quantise<Counted>(op, Scales::ue8m0, x, y); }, x, y);
}

inline Measured witness(const Rope<I>& op) {
  Witnessed x(DType::bf16, op.tokens * op.heads, op.dims), cosines(DType::fp32, op.tokens, op.dims / 2), sines(DType::fp32, op.tokens, op.dims / 2);
  return measure([&] { rope<Counted>(op, x, cosines, sines); }, x, cosines, sines);
}

inline Measured witness(const Hadamard<I>& op) {
  Witnessed x(DType::bf16, op.tokens * op.heads, op.width), y(op.output, op.tokens * op.heads, op.width);
  return measure([&] { hadamard<Counted>(op, Scales::ue8m0, x, y); }, x, y);
}

// Slots of a cache of twice as many records, from its end.
inline Witnessed slots(I tokens) {
  return integers(tokens, [&](I t) { return 2 * tokens - 1 - t; });
}

inline Measured witness(const LatentCacheWrite<I>& op) {
  Witnessed c_kv(DType::bf16, op.tokens, op.latent), k_pe(DType::bf16, op.tokens, op.rope);
  Witnessed latent(latent_type(op.format), 2 * op.tokens, op.latent), rope(DType::bf16, 2 * op.tokens, op.rope);
  const Witnessed slot = slots(op.tokens);
  return measure([&] { latent_cache_write<Counted>(op, Scales::ue8m0, c_kv, k_pe, slot, latent, rope); }, c_kv, k_pe, slot, latent, rope);
}

inline Measured witness(const LatentCacheRead<I>& op) {
  Witnessed latent(latent_type(op.format), 2 * op.tokens, op.latent), rope(DType::bf16, 2 * op.tokens, op.rope);
  Witnessed y(DType::bf16, op.tokens, op.latent + op.rope);
  const Witnessed slot = slots(op.tokens);
  return measure([&] { latent_cache_read<Counted>(op, latent, rope, slot, y); }, latent, rope, slot, y);
}

inline Measured witness(const IndexCacheWrite<I>& op) {
  Witnessed k(DType::fp8_row, op.tokens, op.dims), cache(DType::fp8_row, 2 * op.tokens, op.dims);
  const Witnessed slot = slots(op.tokens);
  return measure([&] { index_cache_write<Counted>(op, k, slot, cache); }, k, slot, cache);
}

inline Measured witness(const IndexLogits<I>& op) {
  const I tokens = op.sequences * op.new_tokens, context = op.cached_tokens + op.new_tokens;
  Witnessed q(DType::fp8_row, tokens * op.heads, op.dims), w(DType::fp32, tokens, op.heads), keys(DType::fp8_row, op.sequences * context, op.dims);
  Witnessed logits(DType::fp32, tokens, context);
  Measured m = measure([&] { index_logits<Counted>(op, q, w, keys, logits); }, q, w, keys, logits);
  m.gathered = keys.loads();
  return m;
}

inline Measured witness(const TopK<I>& op) {
  const I tokens = op.sequences * op.new_tokens;
  Witnessed scores(DType::fp32, tokens, op.cached_tokens + op.new_tokens), indices(Array(DType::int32, tokens, op.topk));
  return measure([&] { top_k<Counted>(op, scores, indices); }, scores, indices);
}

inline Measured witness(const DenseMha<I>& op) {
  const I tokens = op.sequences * op.new_tokens, keys = op.sequences * (op.cached_tokens + op.new_tokens);
  Witnessed q(DType::bf16, tokens * op.heads, op.nope + op.rope), kv(DType::bf16, keys * op.heads, op.nope + op.v), k_pe(DType::bf16, keys, op.rope);
  Witnessed o(DType::bf16, tokens * op.heads, op.v);
  const WitnessedMask mask;
  Measured m = measure([&] { dense_mha<Counted>(op, 0.1f, q, kv, k_pe, mask, o); }, q, kv, k_pe, mask, o);
  m.gathered = kv.loads() + k_pe.loads();
  return m;
}

inline Measured witness(const DenseMqa<I>& op) {
  const I tokens = op.sequences * op.new_tokens, keys = op.sequences * (op.cached_tokens + op.new_tokens);
  Witnessed q(DType::bf16, tokens * op.heads, op.latent + op.rope), o(DType::bf16, tokens * op.heads, op.latent);
  Witnessed latent(latent_type(op.cache), keys, op.latent), rope(DType::bf16, keys, op.rope);
  Measured m = measure([&] { dense_mqa<Counted>(op, 0.1f, q, latent, rope, o); }, q, latent, rope, o);
  m.gathered = latent.loads() + rope.loads();
  return m;
}

// Indices that reach as many distinct keys as can be: each query first takes those that no earlier one of its sequence took.
inline Witnessed spread_indices(const SparseMla<I>& op) {
  Array indices(DType::int32, op.sequences * op.new_tokens, op.topk);
  for (I s = 0; s < op.sequences; ++s) {
    std::vector<bool> taken(static_cast<std::size_t>(op.cached_tokens + op.new_tokens));
    for (I i = 0; i < op.new_tokens; ++i) {
      std::vector<I> order;
      for (const bool pass : {false, true})
        for (I j = 0; j <= op.cached_tokens + i; ++j)
          if (taken[j] == pass) order.push_back(j);
      order.resize(static_cast<std::size_t>(op.topk), -1);
      for (I k = 0; k < op.topk; ++k) {
        indices.set_integer(s * op.new_tokens + i, k, order[k]);
        if (order[k] >= 0) taken[order[k]] = true;
      }
    }
  }
  return Witnessed(std::move(indices));
}

inline Measured witness(const SparseMla<I>& op) {
  const I tokens = op.sequences * op.new_tokens, keys = op.sequences * (op.cached_tokens + op.new_tokens);
  Witnessed q(DType::bf16, tokens * op.heads, op.latent + op.rope), o(DType::bf16, tokens * op.heads, op.latent);
  Witnessed latent(latent_type(op.cache), keys, op.latent), rope(DType::bf16, keys, op.rope);
  const Witnessed indices = spread_indices(op);
  Measured m = measure([&] { sparse_mla<Counted>(op, 0.1f, q, latent, rope, indices, o); }, q, latent, rope, indices, o);
  m.gathered = latent.loads() + rope.loads();
  return m;
}

inline Measured witness(const Gate<I>& op) {
  Witnessed logits(DType::fp32, op.tokens, op.experts), bias(DType::fp32, 1, op.experts, 2);
  Witnessed ids(Array(DType::int32, op.tokens, op.topk)), weights(DType::fp32, op.tokens, op.topk);
  return measure([&] { gate<Counted>(op, 2.5f, logits, bias, ids, weights); }, logits, bias, ids, weights);
}

inline Measured witness(const SwiGlu<I>& op) {
  const I rows = static_cast<I>(op.rows);
  Witnessed x(DType::bf16, rows, 2 * op.width), y(op.output, rows, op.width);
  return measure([&] { swiglu<Counted>(op, Scales::exact, x, y); }, x, y);
}

inline Witnessed sources(double tokens, double rows) {
  return integers(static_cast<I>(rows), [&](I r) { return r % static_cast<I>(tokens); });
}

inline Measured witness(const Permute<I>& op) {
  Witnessed x(op.type, static_cast<I>(op.tokens), op.hidden), y(op.type, static_cast<I>(op.rows), op.hidden);
  const Witnessed source = sources(op.tokens, op.rows);
  Measured m = measure([&] { permute<Counted>(op, x, source, y); }, x, source, y);
  m.gathered = x.loads();
  return m;
}

inline Measured witness(const Unpermute<I>& op) {
  const I rows = static_cast<I>(op.rows);
  Witnessed x(DType::bf16, rows, op.hidden), w(DType::fp32, 1, rows), y(DType::bf16, static_cast<I>(op.tokens), op.hidden);
  const Witnessed source = sources(op.tokens, op.rows);
  return measure([&] { unpermute<Counted>(op, x, w, source, y); }, x, w, source, y);
}

inline Measured witness(const Add<I>& op) {
  Witnessed x(DType::bf16, op.tokens, op.hidden), other(DType::bf16, op.tokens, op.hidden, 2), y(DType::bf16, op.tokens, op.hidden);
  return measure([&] { add<Counted>(op, x, other, y); }, x, other, y);
}

inline Measured witness(const Sample<I>& op) {
  Witnessed logits(DType::fp32, op.tokens, op.vocab), ids(Array(DType::int32, 1, op.tokens));
  return measure(
      [&] {
        sample<Counted>(
            op, 0.6f, logits, [](I, I) { return 1.0f; }, ids);
      },
      logits, ids);
}

inline Measured witness(const AllReduce<I>& op) {
  Ranks all = numbered_ranks(op.ranks, op.tokens, storage_bytes(op.type, 1.0, static_cast<double>(op.width)));
  ring_reduce_scatter(all);
  ring_all_gather(all, 1);
  return {.sent = all.sent_by_each()};
}

inline Measured witness(const AllGather<I>& op) {
  Ranks all = numbered_ranks(op.ranks, op.tokens, storage_bytes(op.type, 1.0, static_cast<double>(op.width)));
  ring_all_gather(all);
  return {.sent = all.sent_by_each()};
}

inline Measured witness(const ReduceScatter<I>& op) {
  Ranks all = numbered_ranks(op.ranks, op.tokens, storage_bytes(op.type, 1.0, static_cast<double>(op.width)));
  ring_reduce_scatter(all);
  return {.sent = all.sent_by_each()};
}

inline Measured witness(const Dispatch<I>& op) {
  Ranks all = numbered_ranks(op.ranks, op.tokens,
                             storage_bytes(op.type, 1.0, static_cast<double>(op.hidden)) + dispatch_header(op.transport, static_cast<double>(op.topk)));
  all_to_all(all, static_cast<I>(op.copies));
  return {.sent = all.sent_by_each()};
}

inline Measured witness(const Combine<I>& op) {
  Ranks all = numbered_ranks(op.ranks, op.tokens, storage_bytes(op.type, 1.0, static_cast<double>(op.hidden)));
  all_to_all(all, static_cast<I>(op.copies));  // the same rows the other way
  return {.sent = all.sent_by_each()};
}

inline Measured witness(const SendRecv<I>& op) {
  Ranks pair = numbered_ranks(2, op.tokens, storage_bytes(op.type, 1.0, static_cast<double>(op.width)));
  for (I t = 0; t < op.tokens; ++t) pair.rows[1][t] = pair.send(0, 1, t);
  return {.sent = pair.sent};
}

}  // namespace fathom::kernels::cpu
