// What a formula may be computed on. cost() of every operator is a template on its number type N:
//   double     prices it;
//   Recorded   (formula.h) yields the formula as text, with names and with values;
//   Dual       (formula.h) yields its derivative by one size.
// Besides + - * / a formula uses only the functions below.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace fathom::model_spec {

// A size that is a whole number when a record is stored (N = std::int64_t) but an expectation when it is priced.
template <class N>
using Expected = std::conditional_t<std::is_same_v<N, std::int64_t>, double, N>;

inline double ceil_div(double a, double b) { return std::ceil(a / b); }
inline double minimum(double a, double b) { return std::min(a, b); }
inline double maximum(double a, double b) { return std::max(a, b); }

}  // namespace fathom::model_spec
