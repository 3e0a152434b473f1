// Records of operators as the kernels shall see them in the numerics of a run.
#pragma once

#include "executor/numerics.h"
#include "model_spec/op.h"

namespace fathom::executor {

namespace detail {
inline DType without_scales(DType type) { return model_spec::has_scales(type) ? DType::bf16 : type; }
inline model_spec::CacheFormat without_scales(model_spec::CacheFormat) { return model_spec::CacheFormat::bf16; }
template <class T>
T without_scales(T value) {
  return value;
}
}  // namespace detail

// Without the scales that these numerics do not use; exact keeps those of weights.
template <template <class> class Op>
Op<std::int64_t> held(Numerics numerics, Op<std::int64_t> op) {
  if (numerics == Numerics::fp8) return op;
  const auto one = [&](const auto& field) {
    const bool stored = field.name == "weight" && numerics == Numerics::exact;
    if (!stored) op.*field.member = detail::without_scales(op.*field.member);
  };
  std::apply([&](const auto&... field) { (one(field), ...); }, Op<std::int64_t>::fields());
  return op;
}

}  // namespace fathom::executor
