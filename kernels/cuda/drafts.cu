// Which tokens a prediction layer reads, and from which it drafts (executor/row_map.h, confirmed_tokens): so that a step need not wait for the host to
// look at what it sampled. A few integers a token: the launch is all it takes.
#include "kernels/cuda/drafts.h"

#include "kernels/cuda/check.h"

namespace fathom::kernels::cuda {
namespace {

constexpr int threads = 256;

__device__ std::int32_t sampled_for(const KnownTokens& known, const std::int32_t* sampled, std::int64_t t) {
  return known.sampled_at[t] < 0 ? -1 : sampled[known.sampled_at[t]];
}

// One thread a token, and one a sequence.
__global__ void settle(KnownTokens known, const std::int32_t* sampled, std::int32_t* next, std::int32_t* confirmed) {
  const std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (next && i < known.tokens) next[i] = known.next[i] >= 0 ? known.next[i] : sampled_for(known, sampled, i);
  if (!confirmed || i >= known.sequences) return;
  std::int32_t row = known.first[i];
  const std::int32_t last = known.first[i + 1] - 1;
  while (row < last && known.next[row] >= 0) ++row;  // what follows is known
  while (row < last && known.ids[row + 1] == sampled_for(known, sampled, row)) ++row;
  confirmed[i] = row;
}

}  // namespace

void settle_drafts(const KnownTokens& known, const std::int32_t* sampled, std::int32_t* next, std::int32_t* confirmed, Stream stream) {
  if (known.tokens == 0) return;
  const std::int64_t count = known.tokens > known.sequences ? known.tokens : known.sequences;
  settle<<<static_cast<unsigned>((count + threads - 1) / threads), threads, 0, stream>>>(known, sampled, next, confirmed);
  check_launch("settle_drafts");
}

}  // namespace fathom::kernels::cuda
