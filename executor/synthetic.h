// Weights by rule: the same numbers for any slice of any tensor, on any rank and device, from a seed.
//
// Element i (row-major in the whole tensor, so that a slice needs nothing outside it) of the tensor called `name`:
//   u(i) = (splitmix64(base + i) >> 40) * 2^-23 - 1 in [-1, 1), base = splitmix64(fnv1a64(name) ^ seed); exact in float32
//   name ends in                                value
//   norm.weight                                 1 + 0.1 u             gains of RMSNorm and of the indexer's LayerNorm
//   norm.bias, e_score_correction_bias          0.1 u
//   embed_tokens.weight                         sqrt(3) u             variance 1
//   anything else, a matrix [out, in]           sqrt(3 / in) u        keeps the variance of what it multiplies
// in float32: constants, products and sums are each rounded to it. A prediction layer's embedding and head are copies: they are made under
// the names of the model's own, model.embed_tokens.weight and lm_head.weight.
//
// Stored as
//   fp32        as it is
//   bf16        rounded to nearest, ties to even
//               the indexer's k_norm stands in fp32, yet holds such numbers where the model's embedding is bf16; the router's bias does not
//   fp8_block   for each 128x128 block, what is outside the tensor taken as 0: scale = max(amax, 1e-12) * c, c = float32(1/448) (a product
//               and not a quotient: compilers for GPUs turn one into the other, and the last bit of a scale moves codes), q = e4m3(value / scale)
//   others      our own extension, as activations are quantised: store_row of kernels/cpu/quantise.h with exact scales, on whole rows
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "executor/weights.h"

namespace fathom::executor {

std::uint64_t fnv1a64(std::string_view text);
constexpr std::uint64_t splitmix64(std::uint64_t x) {
  auto z = x + 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}
// Uniform in [-1, 1): element `i` of the stream that `name` and `seed` give.
class Uniform {
 public:
  Uniform(std::string_view name, std::uint64_t seed) : base_(splitmix64(fnv1a64(name) ^ seed)) {}
  [[nodiscard]] float operator()(std::uint64_t i) const { return static_cast<float>(static_cast<std::int32_t>(splitmix64(base_ + i) >> 40)) * 0x1p-23f - 1.0f; }

  [[nodiscard]] std::uint64_t base() const { return base_; }

 private:
  std::uint64_t base_;
};

class SyntheticWeights : public WeightSource {
 public:
  // unquantised: ModelSpec::storage.embedding of the model.
  explicit SyntheticWeights(std::uint64_t seed, DType unquantised = DType::bf16) : seed_(seed), unquantised_(unquantised) {}
  [[nodiscard]] StoredMatrix load(const model_spec::Tensor&, std::int64_t layer, std::int64_t expert, const Slice&) const override;
  [[nodiscard]] std::optional<Rule> rule(const model_spec::Tensor&, std::int64_t layer, std::int64_t expert) const override;

 private:
  std::uint64_t seed_;
  DType unquantised_;
};

// Token ids in [0, vocab_size): floor((0.5 u(i) + 0.5) vocab_size) in float32, u with the name "prompt".
std::vector<std::int32_t> random_prompt(std::int64_t tokens, std::int64_t vocab_size, std::uint64_t seed);

}  // namespace fathom::executor
