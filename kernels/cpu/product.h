// The inner loops of the blocked kernels on row-major fp32 memory, each of one thread: ld* elements separate the rows of a matrix. On x86-64
// with g++ they exist for several vector widths, and the machine's is picked when first called. Element (m, n) of a product is summed in an
// order that depends on k alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fathom::kernels::cpu {

// Which of them: "AVX-512", "AVX2", "baseline" (what the compiler takes for granted).
std::string_view vector_units();

// C[m, n] = sum_k A[m, k] B[n, k], added to what is there if `add`.
void product_nt(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                bool add);

// C[m, n] = sum_k A[m, k] B[k, n], likewise.
void product_nn(std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float* c, std::int64_t ldc,
                bool add);

// x[i] = scale * the number that code i stands for.
void expand_bf16(std::int64_t n, const std::byte* codes, float* x);
void expand_e4m3(std::int64_t n, const std::byte* codes, float scale, float* x);

// The largest of x and `least`.
float largest(std::int64_t n, const float* x, float least);
// x[i] becomes exp(scale * x[i] - shift), for exponents up to about 0; returns the sum of the results.
float exponentials(std::int64_t n, float scale, float shift, float* x);
// y[i] *= factor
void multiply(std::int64_t n, float factor, float* y);
// y[i] += weight * max(x[i], 0)
void add_positive(std::int64_t n, float weight, const float* x, float* y);

}  // namespace fathom::kernels::cpu
