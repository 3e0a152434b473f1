// What one step of a serving engine works on. There is no phase: prefill, decode, mixed and chunked steps are all batches.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

namespace fathom::model_spec {

// Sequences that look alike: each brings new_tokens after cached_tokens already in the cache.
struct Group {
  std::int64_t sequences = 0, new_tokens = 0, cached_tokens = 0;
  friend bool operator==(const Group&, const Group&) = default;
};

// The batch of one attention data-parallel rank.
struct Batch {
  std::vector<Group> groups;
  std::int64_t sampled = 0;               // rows that get logits and a sampled token
  std::int64_t drafted = -1;              // rows that a prediction layer drafts from; -1: one a sequence
  std::vector<std::int64_t> dp_tokens{};  // new tokens of each rank; empty: every rank has as many as this one

  [[nodiscard]] std::int64_t tokens() const {
    std::int64_t n = 0;
    for (const auto& g : groups) n += g.sequences * g.new_tokens;
    return n;
  }
  // New tokens of all ranks together, and of the one that has most. dp: number of ranks.
  [[nodiscard]] std::int64_t all_tokens(std::int64_t dp) const {
    return dp_tokens.empty() ? tokens() * dp : std::accumulate(dp_tokens.begin(), dp_tokens.end(), std::int64_t{0});
  }
  [[nodiscard]] std::int64_t most_tokens() const { return dp_tokens.empty() ? tokens() : *std::max_element(dp_tokens.begin(), dp_tokens.end()); }
  [[nodiscard]] std::int64_t sequences() const {
    std::int64_t n = 0;
    for (const auto& g : groups) n += g.sequences;
    return n;
  }
};

// n sequences of `tokens` new tokens after `cached`; the last token of each is sampled.
inline Batch prefill(std::int64_t n, std::int64_t tokens, std::int64_t cached = 0) { return {.groups = {{n, tokens, cached}}, .sampled = n}; }
// n sequences with `cached` tokens behind them and `new_tokens` to verify (1 + drafts); all are sampled.
inline Batch decode(std::int64_t n, std::int64_t cached, std::int64_t new_tokens = 1) {
  return {.groups = {{n, new_tokens, cached}}, .sampled = n * new_tokens};
}

}  // namespace fathom::model_spec
