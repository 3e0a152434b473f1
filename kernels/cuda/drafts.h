#pragma once

#include "kernels/cuda/matrix.h"

namespace fathom::kernels::cuda {

// What is known of the tokens of a step before anything is sampled. All arrays in device memory.
struct KnownTokens {
  const std::int32_t* ids = nullptr;         // [tokens]
  const std::int32_t* next = nullptr;        // [tokens] the token after each; -1: the one that is sampled for it
  const std::int32_t* sampled_at = nullptr;  // [tokens] its place among the sampled ids, -1: it has none
  const std::int32_t* first = nullptr;       // [sequences + 1] rows of each sequence, all of them in order
  std::int64_t tokens = 0, sequences = 0;
};

// Once `sampled` is there: next[tokens], complete; confirmed[sequences], the last token of each sequence that is certain: drafts count as long as
// each equals what was sampled for the token before it. Either may be null.
void settle_drafts(const KnownTokens& known, const std::int32_t* sampled, std::int32_t* next, std::int32_t* confirmed, Stream);

}  // namespace fathom::kernels::cuda
