// Storage types with their true cost in bytes (scales included), and arithmetic types. The two are separate: INT4 weights are
// stored in half a byte and a scale per group, and computed with in BF16.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "model_spec/number.h"

namespace fathom::model_spec {

enum class DType : std::uint8_t {
  fp32,
  bf16,
  fp8_block,   // e4m3, one fp32 scale per 128x128 block: DeepSeek's weights ("weight_scale_inv")
  fp8_row,     // e4m3, one fp32 scale per 1x128: DeepSeek's activations
  int8,        // one fp32 scale per row (output channel, or token)
  int4_group,  // two per byte, one bf16 scale per 128 along the row (GPTQ and AWQ's usual group)
  fp4,         // e2m1, two per byte, one e4m3 scale per 16 along the row (NVFP4)
  int32,       // token ids, expert ids, indices
};

// The number formats that matrix units multiply in. Rates in a hardware profile are keyed by these.
enum class Arithmetic : std::uint8_t { fp32, bf16, fp8, int8, fp4 };
inline constexpr std::size_t arithmetic_count = 5;

struct DTypeName {
  DType value;
  std::string_view name;
};
struct ArithmeticName {
  Arithmetic value;
  std::string_view name;
};
inline constexpr std::array<DTypeName, 8> dtype_names{{{DType::fp32, "fp32"},
                                                       {DType::bf16, "bf16"},
                                                       {DType::fp8_block, "fp8_block"},
                                                       {DType::fp8_row, "fp8_row"},
                                                       {DType::int8, "int8"},
                                                       {DType::int4_group, "int4_group"},
                                                       {DType::fp4, "fp4"},
                                                       {DType::int32, "int32"}}};
inline constexpr std::array<ArithmeticName, arithmetic_count> arithmetic_names{
    {{Arithmetic::fp32, "fp32"}, {Arithmetic::bf16, "bf16"}, {Arithmetic::fp8, "fp8"}, {Arithmetic::int8, "int8"}, {Arithmetic::fp4, "fp4"}}};

constexpr std::string_view name_of(DType t) { return dtype_names[static_cast<std::size_t>(t)].name; }
constexpr std::string_view name_of(Arithmetic a) { return arithmetic_names[static_cast<std::size_t>(a)].name; }
constexpr std::optional<DType> dtype_from(std::string_view name) {
  for (const auto& entry : dtype_names)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}
constexpr std::optional<Arithmetic> arithmetic_from(std::string_view name) {
  for (const auto& entry : arithmetic_names)
    if (entry.name == name) return entry.value;
  return std::nullopt;
}

inline constexpr int scale_block = 128;     // rows and columns that share a scale (DeepSeek-V3 report, section 3.3)
inline constexpr int fp4_scale_group = 16;  // NVFP4

// What multiplies a weight stored as `weight`: the arithmetic, and the type its activations are quantised to beforehand.
constexpr Arithmetic arithmetic_for(DType weight) {
  switch (weight) {
    case DType::fp8_block:
    case DType::fp8_row: return Arithmetic::fp8;
    case DType::int8: return Arithmetic::int8;
    case DType::fp4: return Arithmetic::fp4;
    case DType::fp32: return Arithmetic::fp32;
    case DType::bf16:
    case DType::int4_group:
    case DType::int32: return Arithmetic::bf16;
  }
  return Arithmetic::bf16;
}
constexpr DType activation_for(DType weight) {
  switch (weight) {
    case DType::fp8_block:
    case DType::fp8_row: return DType::fp8_row;
    case DType::int8: return DType::int8;
    case DType::fp4: return DType::fp4;
    case DType::fp32: return DType::fp32;
    case DType::bf16:
    case DType::int4_group:
    case DType::int32: return DType::bf16;
  }
  return DType::bf16;
}

// Bytes of the scales of a [rows, columns] matrix stored as t.
template <class N>
N scale_bytes(DType t, const N& rows, const N& columns) {
  switch (t) {
    case DType::fp8_block: return 4 * ceil_div(rows, N(scale_block)) * ceil_div(columns, N(scale_block));
    case DType::fp8_row: return 4 * rows * ceil_div(columns, N(scale_block));
    case DType::int8: return 4 * rows;
    case DType::int4_group: return 2 * rows * ceil_div(columns, N(scale_block));
    case DType::fp4: return rows * ceil_div(columns, N(fp4_scale_group));
    case DType::fp32:
    case DType::bf16:
    case DType::int32: return N(0);
  }
  return N(0);
}

constexpr bool has_scales(DType t) { return t != DType::fp32 && t != DType::bf16 && t != DType::int32; }
constexpr double element_bytes(DType t) {
  switch (t) {
    case DType::fp32:
    case DType::int32: return 4;
    case DType::bf16: return 2;
    case DType::fp8_block:
    case DType::fp8_row:
    case DType::int8: return 1;
    case DType::int4_group:
    case DType::fp4: return 0.5;
  }
  return 0;
}

// Bytes of a [rows, columns] matrix stored as t, scales included.
template <class N>
N storage_bytes(DType t, const N& rows, const N& columns) {
  if (!has_scales(t)) return N(element_bytes(t)) * rows * columns;
  return N(element_bytes(t)) * rows * columns + scale_bytes(t, rows, columns);
}

}  // namespace fathom::model_spec
