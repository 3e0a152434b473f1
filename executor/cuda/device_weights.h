// A rank's weights in device memory, in the layouts of kernels/cuda/matrix.h.
#pragma once

#include <map>

#include "executor/cuda/device_memory.h"
#include "executor/wanted_weights.h"
#include "kernels/cuda/matrix.h"

namespace fathom::executor {

// Bytes of device memory that DeviceWeights take.
double device_weight_bytes(const model_spec::Plan&, const model_spec::Place&, Numerics);

// What RankWeights hold, in types that the kernels take: plain matrices as the plan stores them; numerics bf16: those with scales dequantised.
class DeviceWeights {
 public:
  // Numbers with a rule are made on the device; others are loaded, a matrix at a time. numerics bf16 or fp8.
  DeviceWeights(const model_spec::Plan&, const model_spec::Place&, Numerics, const WeightSource&, const LoadProgress& progress = {});

  [[nodiscard]] const kernels::cuda::Matrix& get(model_spec::Weight weight, std::int64_t layer) const { return matrices_.at({weight, layer}).first; }
  [[nodiscard]] const kernels::cuda::Stack& experts(model_spec::Weight weight, std::int64_t layer) const { return matrices_.at({weight, layer}); }
  [[nodiscard]] const kernels::cuda::Stack& absorbed_k(std::int64_t layer) const { return absorbed_k_.at(layer); }
  [[nodiscard]] const kernels::cuda::Stack& absorbed_v(std::int64_t layer) const { return absorbed_v_.at(layer); }
  [[nodiscard]] double bytes() const { return bytes_; }  // of what is held, absorbed copies and padding not counted

 private:
  struct Shape;
  using Key = std::pair<model_spec::Weight, std::int64_t>;  // and layer
  kernels::cuda::Stack take(const Shape&);
  void allot(const std::map<Key, Shape>&, const Key&);

  friend double device_weight_bytes(const model_spec::Plan&, const model_spec::Place&, Numerics);
  DeviceMemory memory_;
  std::int64_t used_ = 0;  // bytes of it
  double bytes_ = 0;
  std::map<Key, kernels::cuda::Stack> matrices_;
  std::map<std::int64_t, kernels::cuda::Stack> absorbed_k_, absorbed_v_;  // by layer
};

}  // namespace fathom::executor
