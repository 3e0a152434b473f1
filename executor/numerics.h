// The arithmetic that a plan is run in. The plan says what the deployed model stores; `exact` and `bf16` hold more than that.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "model_spec/dtype.h"

namespace fathom::executor {

using model_spec::DType;

enum class Numerics : std::uint8_t {
  exact,  // float32 throughout; weights stay as they are stored. No Hadamard rotation: it is orthogonal
  bf16,   // what has scales becomes bf16, weights when they are loaded; bf16 caches, no Hadamard rotation
  fp8,    // as V3.1 and V3.2 are deployed: quantised activations with UE8M0 scales, fp8 caches, rotated fp8 index keys
};
inline constexpr std::array<std::string_view, 3> numerics_names{"exact", "bf16", "fp8"};
constexpr std::string_view name_of(Numerics n) { return numerics_names[static_cast<std::size_t>(n)]; }

// What an activation or a cache that the plan stores as `planned` is held in.
constexpr DType held(Numerics numerics, DType planned) {
  if (planned == DType::int32 || numerics == Numerics::fp8) return planned;
  if (numerics == Numerics::exact) return DType::fp32;
  return model_spec::has_scales(planned) ? DType::bf16 : planned;
}

}  // namespace fathom::executor
