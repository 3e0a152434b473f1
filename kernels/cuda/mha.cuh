// What the kernels of expanded attention share: their arguments, and the steps that a block of queries takes through the keys.
#pragma once

#include "kernels/cuda/attention.cuh"

namespace fathom::kernels::cuda {

using Bf16 = __nv_bfloat16;
inline constexpr int word_keys = 64;  // whose bits are a word

struct MhaProblem {
  const Bf16 *q, *kv, *k_pe;
  Bf16* o;
  std::int64_t q_stride, kv_stride, k_pe_stride, o_stride;
  std::int64_t keys;  // rows of k_pe, and of kv for each head
  int tokens, heads, nope, rope, v;
  float factor;  // scale * log2 e
  const std::int32_t *sequence, *visible, *first_key;
  const std::uint64_t* chosen;  // [tokens, words] a bit for each key, if masked; rows start at 16 bytes
  int words;                    // for the longest sequence, even
};

// One step of a block: keys `key` .. of the sequence that queries first .. last belong to; past the end key >= keys.
struct MhaStep {
  int first = 0, last = 0, key = 0, keys = 0;

  [[nodiscard]] __device__ bool exists() const { return key < keys; }
  [[nodiscard]] __device__ bool has(int query) const { return query >= first && query < last; }
};

// A block's queries, in shared memory: their sequences, and how many keys they see.
struct MhaQueries {
  const std::int32_t *sequence, *visible;
  int count;

  // The first step of the queries from `first` on that belong to one sequence. All lanes together.
  [[nodiscard]] __device__ MhaStep steps(int first) const {
    int last = count, keys = 0;
    for (int i = static_cast<int>(lane_id()); i < count; i += 32)
      if (i >= first && sequence[i] != sequence[first]) last = min(last, i);
    last = __reduce_min_sync(all_lanes, last);
    for (int i = static_cast<int>(lane_id()); i < last; i += 32)
      if (i >= first) keys = max(keys, visible[i]);
    return {first, last, 0, __reduce_max_sync(all_lanes, keys)};
  }
  // The step after this one, of `keys` keys; the first one after {}.
  [[nodiscard]] __device__ MhaStep after(MhaStep step, int keys) const {
    step.key += keys;
    while (!step.exists() && step.last < count) step = steps(step.last);
    return step;
  }
};

// Widths 128 + 64 and 128 on wgmma (mha_wgmma.cu).
bool mha_fits_wgmma(const MhaProblem&);
void mha_on_wgmma(const MhaProblem&, Stream);

}  // namespace fathom::kernels::cuda
