// A cache is two matrices of one record a slot: the latent part (bf16, or fp8_row with its scales) and the RoPE part (bf16).
#pragma once

#include "kernels/cpu/quantise.h"
#include "model_spec/ops/cache.h"

namespace fathom::kernels::cpu {

constexpr DType latent_type(model_spec::CacheFormat format) { return format == model_spec::CacheFormat::fp8 ? DType::fp8_row : DType::bf16; }

// c_kv[tokens, latent], k_pe[tokens, rope], slots[1, tokens] -> record slots[t] of (latent, rope).
template <class S, class Ckv, class Kpe, class Slots, class Latent, class Rope>
void latent_cache_write(const model_spec::LatentCacheWrite<std::int64_t>& op, Scales scales, const Ckv& c_kv, const Kpe& k_pe, const Slots& slots,
                        Latent& latent, Rope& rope) {
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    const std::int64_t slot = slots.integer(0, t);
    store_row<S>(latent_type(op.format), scales, load_row<S>(DType::bf16, c_kv, t, op.latent), slot, latent);
    copy_row(DType::bf16, op.rope, k_pe, t, rope, slot);
  }
}

// Record slots[1, t] of (latent, rope) -> row t of y[tokens, latent + rope].
template <class S, class Latent, class Rope, class Slots, class Out>
void latent_cache_read(const model_spec::LatentCacheRead<std::int64_t>& op, const Latent& latent, const Rope& rope, const Slots& slots, Out& y) {
  for (std::int64_t t = 0; t < op.tokens; ++t) {
    const std::int64_t slot = slots.integer(0, t);
    const std::vector<S> row = load_row<S>(latent_type(op.format), latent, slot, op.latent);
    for (std::int64_t c = 0; c < op.latent; ++c) y.set(t, c, row[c]);
    for (std::int64_t c = 0; c < op.rope; ++c) y.set(t, op.latent + c, S(rope.get(slot, c)));
  }
}

// k[tokens, dims] with its scales -> record slots[1, t] of the cache, as it is. The scalar has no part in it.
template <class S, class In, class Slots, class Cache>
void index_cache_write(const model_spec::IndexCacheWrite<std::int64_t>& op, const In& k, const Slots& slots, Cache& cache) {
  for (std::int64_t t = 0; t < op.tokens; ++t) copy_row(DType::fp8_row, op.dims, k, t, cache, slots.integer(0, t));
}

}  // namespace fathom::kernels::cpu
