// Choosing tokens: random numbers that depend on what they are for and not on the batch around it, and top-p.
#pragma once

#include <cmath>
#include <vector>

#include "executor/backend.h"
#include "executor/synthetic.h"
#include "kernels/cpu/matrix.h"

namespace fathom::executor {

// The stream of random numbers of a position of a request.
constexpr std::uint64_t random_stream(std::int64_t request, std::int64_t position) {
  return splitmix64((static_cast<std::uint64_t>(request) << 32) ^ static_cast<std::uint64_t>(position));
}

// Draw v of a stream from Exp(1).
inline float exponential_noise(std::uint64_t seed, std::uint64_t stream, std::int64_t v) {
  const auto bits = splitmix64(splitmix64(seed ^ stream) + static_cast<std::uint64_t>(v)) >> 11;
  return static_cast<float>(-std::log((static_cast<double>(bits) + 0.5) * 0x1p-53));
}

// Minus infinity for all but the likeliest tokens of row r whose probabilities together reach top_p, the one that reaches it included.
// Nothing at temperature 0 or top_p 1.
void keep_nucleus(const Sampling&, kernels::cpu::Matrix& logits, std::int64_t r);

}  // namespace fathom::executor
