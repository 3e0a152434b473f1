// What the kernels of attention in absorbed form share: the problem, and where the keys of a query stand.
#pragma once

#include <cstddef>

#include "kernels/cuda/attention.cuh"

namespace fathom::kernels::cuda::absorbed {

using Bf16 = __nv_bfloat16;

inline constexpr int rope_width = 64;  // in shared memory; narrower ones are padded with zeros

struct Problem {
  const Bf16* q = nullptr;  // [tokens * heads, latent + rope]
  Bf16* o = nullptr;        // [tokens * heads, latent]
  std::int64_t q_stride = 0, o_stride = 0;
  int heads = 0, latent = 0, rope = 0, splits = 1;
  float factor = 0;                    // scale * log2 e
  const std::byte* records = nullptr;  // of the cache or of its copy
  std::int64_t record_bytes = 0;
  Context context;
  const std::int32_t* first_key = nullptr;  // [sequences] rows of the copy; null: records stand in pages
  const std::int32_t* indices = nullptr;    // [tokens, topk]; null: every visible key
  std::int64_t indices_stride = 0;
  int topk = 0;
  float* sums = nullptr;    // [tokens * heads, splits, latent] of blocks that share a query
  float2* norms = nullptr;  // [tokens * heads, splits] their maximum times factor, and the sum of p
};

// The keys of one query.
struct Keys {
  int count;
  std::int32_t first;           // row of the copy
  const std::int32_t* pages;    // of its sequence; null: the copy
  const std::int32_t* indices;  // null: all

  __device__ Keys(const Problem& p, int token) {
    const std::int32_t sequence = p.context.sequence[token];
    indices = p.indices ? p.indices + token * p.indices_stride : nullptr;
    count = indices ? min(p.topk, p.context.visible[token]) : p.context.visible[token];
    pages = p.first_key ? nullptr : p.context.pages + sequence * p.context.max_pages;
    first = p.first_key ? p.first_key[sequence] : 0;
  }
  [[nodiscard]] __device__ std::int32_t position(int i) const { return i >= count ? -1 : indices ? indices[i] : i; }
  [[nodiscard]] __device__ std::int32_t row(std::int32_t position) const {
    if (position < 0) return -1;
    return pages ? pages[position / model_spec::page_tokens] * model_spec::page_tokens + position % model_spec::page_tokens : first + position;
  }
};

// V3.2's size, with more than half of 64 heads: absorbed_wgmma.cu. Not for so few queries that the time is that of its start: in a step, where other
// kernels have driven its long code out of the caches, one query took it 43 us on an H200 (27 when it followed itself), the other kernel 29.
inline bool for_warpgroups(const Problem& p, std::int64_t tokens) {
  constexpr std::int64_t few_queries = 8;
  return p.latent == 512 && p.rope == 64 && p.heads > 32 && tokens > few_queries;
}
void launch_warpgroups(const Problem& p, model_spec::CacheFormat format, std::int64_t tokens, Stream);

}  // namespace fathom::kernels::cuda::absorbed
