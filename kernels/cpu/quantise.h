#pragma once

#include <span>

#include "kernels/cpu/matrix.h"
#include "model_spec/ops/quantise.h"

namespace fathom::kernels::cpu {

// How fp8 scales are rounded: as they come (DeepSeek-V3), or up to a power of two (scale_fmt "ue8m0", V3.1 and V3.2).
enum class Scales { exact, ue8m0 };

constexpr float largest_number(DType type) {
  switch (type) {
    case DType::int8: return int8_largest;
    case DType::int4_group: return int4_largest;
    case DType::fp4: return e2m1_largest;
    default: return e4m3_largest;
  }
}

// The scale as it will read back from its storage; an e4m3 scale must not round to zero.
inline float stored_scale(DType type, Scales scales, float s) {
  switch (scale_type(type)) {
    case ScaleType::bf16: return round_bf16(s);
    case ScaleType::e4m3: return std::max(decode_e4m3(encode_e4m3(s)), 0x1p-9f);
    case ScaleType::fp32: break;
  }
  return scales == Scales::ue8m0 && type != DType::int8 ? power_of_two_above(s) : s;
}

// x as row r of `out`, stored as `type`. Types with scales are made from the bf16 value, so that a fused kernel agrees with separate ones:
// s = max(amax, 1e-4) / largest, q = clamp(x / s). Scales along a row only: 128x128 blocks are for weights.
template <class S, class Out>
void store_row(DType type, Scales scales, std::span<const S> x, std::int64_t r, Out& out) {
  assert(type != DType::fp8_block);
  const auto width = static_cast<std::int64_t>(x.size());
  if (!model_spec::has_scales(type)) {
    for (std::int64_t c = 0; c < width; ++c) out.set(r, c, x[c]);
    return;
  }
  const float bound = largest_number(type);
  const auto rounded = [&](std::int64_t c) { return S(round_bf16(plain(x[c]))); };
  for (std::int64_t first = 0, group = scale_group(type, width); first < width; first += group) {
    const std::int64_t last = std::min(first + group, width);
    S amax(0.0f);
    for (std::int64_t c = first; c < last; ++c) amax = larger(amax, magnitude(rounded(c)));
    const S s(stored_scale(type, scales, plain(larger(amax, S(1e-4f)) * S(1 / bound))));
    out.set_scale(r, first, s);
    for (std::int64_t c = first; c < last; ++c) out.set(r, c, smaller(larger(rounded(c) / s, S(-bound)), S(bound)));
  }
}

// x bf16[tokens, width] -> out[tokens, width] of op.output.
template <class S, class In, class Out>
void quantise(const model_spec::Quantise<std::int64_t>& op, Scales scales, const In& x, Out& out) {
  for (std::int64_t t = 0; t < op.tokens; ++t) store_row<S>(op.output, scales, load_row<S>(DType::bf16, x, t, op.width), t, out);
}

}  // namespace fathom::kernels::cpu
