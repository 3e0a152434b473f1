#pragma once

#include "model_spec/ops/quantise.h"

namespace fathom::model_spec {

enum class CacheFormat : std::uint8_t {
  bf16,  // latent and RoPE part in bf16: 1152 bytes a token and layer for 512 + 64
  fp8,   // latent in e4m3 with one fp32 scale per 128, RoPE part in bf16: 656 bytes (FlashMLA's layout)
};
inline constexpr std::array<std::string_view, 2> cache_format_names{"bf16", "fp8"};
constexpr std::string_view name_of(CacheFormat f) { return cache_format_names[static_cast<std::size_t>(f)]; }

inline constexpr int page_tokens = 64;  // FlashMLA's and DeepGEMM's page

// Bytes of `tokens` records of the latent cache of one layer.
template <class N>
N latent_cache_bytes(CacheFormat format, const N& tokens, const N& latent, const N& rope) {
  if (format == CacheFormat::bf16) return 2 * tokens * (latent + rope);
  return storage_bytes(DType::fp8_row, tokens, latent) + 2 * tokens * rope;
}
// Bytes of `tokens` records of the index cache of one layer: e4m3 keys and one fp32 scale per 128 (132 bytes for V3.2).
template <class N>
N index_cache_bytes(const N& tokens, const N& dims) {
  return storage_bytes(DType::fp8_row, tokens, dims);
}

// cache[slot[t]] = (c_kv[t], k_pe[t]) in the format. c_kv bf16[tokens, latent], k_pe bf16[tokens, rope], slot int32[tokens].
template <class N>
struct LatentCacheWrite {
  N tokens{}, latent{}, rope{};
  CacheFormat format = CacheFormat::fp8;

  static constexpr std::string_view name = "latent_cache_write";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &LatentCacheWrite::tokens}, Field{"latent", "elements", &LatentCacheWrite::latent},
                      Field{"rope", "elements", &LatentCacheWrite::rope}, Field{"format", "format", &LatentCacheWrite::format}};
  }
};

template <class N>
Cost<N> cost(const LatentCacheWrite<N>& op) {
  Cost<N> c;
  if (op.format == CacheFormat::fp8) c.vector_flops = quantise_flops(DType::fp8_row, op.tokens, op.latent);
  c.hbm_read_bytes = 2 * op.tokens * (op.latent + op.rope) + 4 * op.tokens;
  c.hbm_write_bytes = latent_cache_bytes(op.format, op.tokens, op.latent, op.rope);
  return c;
}

// (c_kv, k_pe) in bf16 from the cache, for kernels that read keys in bf16 (prefill, and MHA's key and value projection).
// tokens: records read; y bf16[tokens, latent + rope].
template <class N>
struct LatentCacheRead {
  N tokens{}, latent{}, rope{};
  CacheFormat format = CacheFormat::fp8;

  static constexpr std::string_view name = "latent_cache_read";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &LatentCacheRead::tokens}, Field{"latent", "elements", &LatentCacheRead::latent},
                      Field{"rope", "elements", &LatentCacheRead::rope}, Field{"format", "format", &LatentCacheRead::format}};
  }
};

template <class N>
Cost<N> cost(const LatentCacheRead<N>& op) {
  Cost<N> c;
  if (op.format == CacheFormat::fp8) c.vector_flops = op.tokens * op.latent;
  c.hbm_read_bytes = latent_cache_bytes(op.format, op.tokens, op.latent, op.rope) + 4 * op.tokens;
  c.hbm_write_bytes = 2 * op.tokens * (op.latent + op.rope);
  return c;
}

// Index keys into their cache: already quantised by the Hadamard step. k fp8_row[tokens, dims], slot int32[tokens].
template <class N>
struct IndexCacheWrite {
  N tokens{}, dims{};

  static constexpr std::string_view name = "index_cache_write";
  static constexpr auto fields() { return std::tuple{Field{"tokens", "tokens", &IndexCacheWrite::tokens}, Field{"dims", "elements", &IndexCacheWrite::dims}}; }
};

template <class N>
Cost<N> cost(const IndexCacheWrite<N>& op) {
  Cost<N> c;
  c.hbm_read_bytes = index_cache_bytes(op.tokens, op.dims) + 4 * op.tokens;
  c.hbm_write_bytes = index_cache_bytes(op.tokens, op.dims);
  return c;
}

}  // namespace fathom::model_spec
