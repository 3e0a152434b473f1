// Matrices of floats against each other, for tests.
#pragma once

#include <gmock/gmock.h>

#include "kernels/cpu/parallel.h"
#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {

inline void expect_near(const Matrix& a, const Matrix& b, float tolerance) {
  ASSERT_EQ(a.rows(), b.rows());
  for (std::int64_t r = 0; r < a.rows(); ++r) EXPECT_THAT(row_of(a, r), testing::Pointwise(testing::FloatNear(tolerance), row_of(b, r))) << "row " << r;
}

// Bit for bit, but for the sign of zeros.
inline void expect_same(const Matrix& a, const Matrix& b) {
  ASSERT_EQ(a.rows(), b.rows());
  for (std::int64_t r = 0; r < a.rows(); ++r) EXPECT_EQ(row_of(a, r), row_of(b, r)) << "row " << r;
}

// compute() is the same with one thread and with two. Nothing to see without OpenMP.
template <class Compute>
void expect_same_for_any_threads([[maybe_unused]] const Compute& compute) {
#ifdef _OPENMP
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  const Array one = compute();
  omp_set_num_threads(2);
  const Array two = compute();
  omp_set_num_threads(threads);
  expect_same(one, two);
#endif
}

}  // namespace fathom::kernels::cpu
