#include "kernels/cpu/product.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace fathom::kernels::cpu {
namespace {

// A target's loops.
struct Loops {
  std::string_view units;
  decltype(&product_nt) nt;
  decltype(&product_nn) nn;
  decltype(&expand_bf16) bf16;
  decltype(&expand_e4m3) e4m3;
  decltype(&largest) most;
  decltype(&exponentials) exps;
  decltype(&multiply) times;
  decltype(&add_positive) positive;
};
#define FATHOM_LOOPS \
  { units, product_nt, product_nn, expand_bf16, expand_e4m3, largest, exponentials, multiply, add_positive }

// Tiles are sized for the vector registers: 32, 16 and 16.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define FATHOM_X86_TARGETS
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512")
namespace wide {
constexpr std::string_view units = "AVX-512";
constexpr int lanes = 16, dot_rows = 4, dot_columns = 6, outer_rows = 6, outer_vectors = 4;
#include "kernels/cpu/product_loops.inc"
constexpr Loops loops = FATHOM_LOOPS;
}  // namespace wide
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace middle {
constexpr std::string_view units = "AVX2";
constexpr int lanes = 8, dot_rows = 3, dot_columns = 4, outer_rows = 6, outer_vectors = 2;
#include "kernels/cpu/product_loops.inc"
constexpr Loops loops = FATHOM_LOOPS;
}  // namespace middle
#pragma GCC pop_options
#endif
namespace narrow {
constexpr std::string_view units = "baseline";
constexpr int lanes = 4, dot_rows = 3, dot_columns = 4, outer_rows = 6, outer_vectors = 2;
#include "kernels/cpu/product_loops.inc"
constexpr Loops loops = FATHOM_LOOPS;
}  // namespace narrow

const Loops& pick() {
#ifdef FATHOM_X86_TARGETS
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return wide::loops;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return middle::loops;
#endif
  return narrow::loops;
}
const Loops& here() {
  static const Loops& picked = pick();
  return picked;
}

}  // namespace

std::string_view vector_units() { return here().units; }

void product_nt(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                bool add) {
  here().nt(m, n, k, a, lda, b, ldb, c, ldc, add);
}
void product_nn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                bool add) {
  here().nn(m, n, k, a, lda, b, ldb, c, ldc, add);
}
void expand_bf16(std::int64_t n, const std::byte* codes, float* x) { here().bf16(n, codes, x); }
void expand_e4m3(std::int64_t n, const std::byte* codes, float scale, float* x) { here().e4m3(n, codes, scale, x); }
float largest(std::int64_t n, const float* x, float least) { return here().most(n, x, least); }
float exponentials(std::int64_t n, float scale, float shift, float* x) { return here().exps(n, scale, shift, x); }
void multiply(std::int64_t n, float factor, float* y) { here().times(n, factor, y); }
void add_positive(std::int64_t n, float weight, const float* x, float* y) { here().positive(n, weight, x, y); }

}  // namespace fathom::kernels::cpu
