// What the kernels ask of their scalar S besides + - * / > and construction from float. These serve float; a scalar that counts
// its operations brings its own, found where its type is declared.
#pragma once

#include <algorithm>
#include <cmath>

namespace fathom::kernels::cpu {

inline float mul_add(float a, float b, float c) { return a * b + c; }  // work of a matrix product; all else is vector work
inline float exponential(float x) { return std::exp(x); }
inline float square_root(float x) { return std::sqrt(x); }
inline float magnitude(float x) { return std::abs(x); }
inline float larger(float a, float b) { return std::max(a, b); }
inline float smaller(float a, float b) { return std::min(a, b); }

// The bare number, for work on bits and for selections, whose comparisons depend on the algorithm and are no part of a cost.
inline float plain(float x) { return x; }

}  // namespace fathom::kernels::cpu
