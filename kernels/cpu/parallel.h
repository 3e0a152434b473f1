// Work spread over cores: by OpenMP where it was found, else in a plain loop.
#pragma once

#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace fathom::kernels::cpu {

// How many threads parallel_for may use.
inline std::int64_t thread_count() {
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

// How many blocks cover n.
constexpr std::int64_t blocks(std::int64_t n, std::int64_t block) { return (n + block - 1) / block; }

// body(i) for 0 <= i < count, in any order. Exceptions end the program: they cannot leave a parallel loop.
template <class Body>
void parallel_for(std::int64_t count, const Body& body) noexcept {
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) if (count > 1)
#endif
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace fathom::kernels::cpu
