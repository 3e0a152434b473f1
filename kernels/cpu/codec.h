// Number formats of storage, as bits: encode rounds to nearest, ties to even, and saturates where the format has no infinity.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace fathom::kernels::cpu {

inline constexpr float e4m3_largest = 448.0f, int8_largest = 127.0f, int4_largest = 7.0f, e2m1_largest = 6.0f;

// bf16: the upper half of a float.
inline float decode_bf16(std::uint16_t code) { return std::bit_cast<float>(static_cast<std::uint32_t>(code) << 16); }
inline std::uint16_t encode_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>((bits >> 16) | 0x40u);
  return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline float round_bf16(float x) { return decode_bf16(encode_bf16(x)); }

// e4m3 without infinities ("fn"): s eeee mmm, bias 7; exponent 0 holds multiples of 2^-9; s.1111.111 is not a number.
inline float decode_e4m3(std::uint8_t code) {
  const std::uint32_t exponent = (code >> 3) & 15u, mantissa = code & 7u;
  const auto sign = static_cast<std::uint32_t>(code & 0x80u) << 24;
  if ((code & 0x7fu) == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
  const float magnitude = exponent == 0 ? static_cast<float>(mantissa) * 0x1p-9f : std::bit_cast<float>(((exponent + 120u) << 23) | (mantissa << 20));
  return sign ? -magnitude : magnitude;
}
inline std::uint8_t encode_e4m3(float x) {
  const auto sign = static_cast<std::uint8_t>(std::signbit(x) ? 0x80 : 0);
  if (std::isnan(x)) return static_cast<std::uint8_t>(sign | 0x7f);
  const float magnitude = std::min(std::abs(x), e4m3_largest);
  if (magnitude < 0x1p-6f) return static_cast<std::uint8_t>(sign | static_cast<int>(std::nearbyint(magnitude * 0x1p9f)));
  auto bits = std::bit_cast<std::uint32_t>(magnitude);
  bits += 0x7ffffu + ((bits >> 20) & 1u);
  return static_cast<std::uint8_t>(sign | ((bits >> 20) - (120u << 3)));
}

// e2m1: s ee m with the magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6.
inline float decode_e2m1(std::uint8_t code) {
  constexpr float magnitudes[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  return code & 8 ? -magnitudes[code & 7] : magnitudes[code & 7];
}
inline std::uint8_t encode_e2m1(float x) {
  const float magnitude = std::min(std::abs(x), e2m1_largest);
  const float step = magnitude < 2 ? 0.5f : magnitude < 4 ? 1.0f : 2.0f;
  const int first = magnitude < 2 ? 0 : magnitude < 4 ? 2 : 4;  // code of the same count of steps, less that count
  return static_cast<std::uint8_t>((std::signbit(x) ? 8 : 0) | (first + static_cast<int>(std::nearbyint(magnitude / step))));
}

// Integers of `bits` bits in symmetric use: the most negative code stays unused.
inline std::int8_t encode_integer(float x, float largest) { return static_cast<std::int8_t>(std::nearbyint(std::clamp(x, -largest, largest))); }

// The smallest power of two that is not less than a positive normal x (UE8M0 scales).
inline float power_of_two_above(float x) { return std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x7fffffu) & 0x7f800000u); }

}  // namespace fathom::kernels::cpu
