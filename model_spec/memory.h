// What one rank keeps in device memory, by part.
#pragma once

#include <array>

#include "model_spec/plan.h"
#include "model_spec/units.h"

namespace fathom::model_spec {

struct RankMemory {
  std::array<Bytes, part_count> weights{};
  Bytes absorbed_weights{};  // kv_b in bf16, for absorption
  Bytes latent_cache{}, index_cache{};
  Bytes activations{};       // most that are alive at once
  Bytes logits_workspace{};  // index scores, chunked
  Bytes communication_buffers{};

  [[nodiscard]] Bytes weight_sum() const {
    Bytes sum;
    for (const auto b : weights) sum += b;
    return sum;
  }
  [[nodiscard]] Bytes total() const {
    return weight_sum() + absorbed_weights + latent_cache + index_cache + activations + logits_workspace + communication_buffers;
  }
};

// Bytes that one cached token takes on a rank of this stage.
Bytes latent_cache_per_token(const Plan&, std::size_t stage);
Bytes index_cache_per_token(const Plan&, std::size_t stage);

// Memory of a rank that keeps `resident_tokens` in its caches (whole pages: see paged) while it runs the bound batch.
RankMemory memory(const Plan&, std::size_t stage, const BoundPlan&, double resident_tokens);

// Tokens rounded up to whole cache pages.
constexpr std::int64_t paged(std::int64_t tokens) { return (tokens + page_tokens - 1) / page_tokens * page_tokens; }

}  // namespace fathom::model_spec
