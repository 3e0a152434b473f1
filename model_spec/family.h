// Families of operators: kernels that share an efficiency. Calibrations are keyed by (family, arithmetic).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fathom::model_spec {

enum class Family : std::uint8_t {
  elementwise,   // norms, RoPE, Hadamard, quantise, SwiGLU, cache writes, permute, embedding, gate selection, sampling
  gemm,          // dense matrix products, quantisation of their activations apart
  batched_gemm,  // one small product per head (absorption)
  grouped_gemm,  // one product per expert
  index_logits,  // lightning indexer scores
  top_k,
  sparse_mla_prefill,  // gathered keys in BF16
  sparse_mla_decode,   // gathered keys in the FP8 cache layout, dequantised in the kernel
  dense_mha,           // 192/128 heads over expanded keys and values
  dense_mqa,           // absorbed, over the latent cache
  all_reduce,
  all_gather,
  reduce_scatter,
  dispatch_normal,  // tokens to experts, one copy per rank, forwarded over NVLink inside a node (DeepEP normal)
  combine_normal,
  dispatch_low_latency,  // one copy per (token, expert), straight to the rank (DeepEP low latency)
  combine_low_latency,
  send_recv,
};
inline constexpr std::size_t family_count = 18;
inline constexpr std::array<std::string_view, family_count> family_names{
    "elementwise",         "gemm",      "batched_gemm", "grouped_gemm", "index_logits",   "top_k",           "sparse_mla_prefill", "sparse_mla_decode",
    "dense_mha",           "dense_mqa", "all_reduce",   "all_gather",   "reduce_scatter", "dispatch_normal", "combine_normal",     "dispatch_low_latency",
    "combine_low_latency", "send_recv"};

constexpr std::string_view name_of(Family f) { return family_names[static_cast<std::size_t>(f)]; }
constexpr std::optional<Family> family_from(std::string_view name) {
  for (std::size_t i = 0; i < family_count; ++i)
    if (family_names[i] == name) return static_cast<Family>(i);
  return std::nullopt;
}
constexpr bool is_collective(Family f) { return f >= Family::all_reduce; }

}  // namespace fathom::model_spec
