// What one execution of an operator takes, whatever the machine: arithmetic, traffic, bytes sent to other ranks.
#pragma once

#include <array>
#include <cstddef>

#include "model_spec/dtype.h"

namespace fathom::model_spec {

template <class N = double>
struct Cost {
  std::array<N, arithmetic_count> matrix_flops{N(0), N(0), N(0), N(0), N(0)};  // FLOP by arithmetic type; a multiply-add is two
  N vector_flops{0};                                                           // FLOP outside matrix products
  N hbm_read_bytes{0};                                                         // each address once
  N hbm_write_bytes{0};                                                        // each address once
  N gathered_bytes{0};                                                         // all loads of operands that are loaded more than once: traffic that caches see
  N sent_bytes{0};                                                             // to other ranks, by this one

  N& matrix(Arithmetic a) { return matrix_flops[static_cast<std::size_t>(a)]; }
  [[nodiscard]] const N& matrix(Arithmetic a) const { return matrix_flops[static_cast<std::size_t>(a)]; }
  [[nodiscard]] N total_matrix_flops() const {
    N sum = matrix_flops[0];
    for (std::size_t i = 1; i < arithmetic_count; ++i) sum = sum + matrix_flops[i];
    return sum;
  }
  [[nodiscard]] N hbm_bytes() const { return hbm_read_bytes + hbm_write_bytes; }

  Cost& operator+=(const Cost& other) {
    for (std::size_t i = 0; i < arithmetic_count; ++i) matrix_flops[i] = matrix_flops[i] + other.matrix_flops[i];
    vector_flops = vector_flops + other.vector_flops;
    hbm_read_bytes = hbm_read_bytes + other.hbm_read_bytes;
    hbm_write_bytes = hbm_write_bytes + other.hbm_write_bytes;
    gathered_bytes = gathered_bytes + other.gathered_bytes;
    sent_bytes = sent_bytes + other.sent_bytes;
    return *this;
  }
};

inline Cost<> operator*(Cost<> c, double n) {
  for (auto& f : c.matrix_flops) f *= n;
  c.vector_flops *= n;
  c.hbm_read_bytes *= n;
  c.hbm_write_bytes *= n;
  c.gathered_bytes *= n;
  c.sent_bytes *= n;
  return c;
}

}  // namespace fathom::model_spec
