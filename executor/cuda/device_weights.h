// A rank's weights in device memory, in the layouts of kernels/cuda/matrix.h.
#pragma once

#include <map>

#include "executor/cuda/device_memory.h"
#include "executor/weights.h"
#include "kernels/cuda/matrix.h"

namespace fathom::executor {

class DeviceWeights {
 public:
  // Copies everything that `weights` holds for the stage.
  DeviceWeights(const model_spec::Plan&, const Place&, const RankWeights& weights);

  [[nodiscard]] const kernels::cuda::Matrix& get(model_spec::Weight, std::int64_t layer) const;
  [[nodiscard]] const kernels::cuda::Stack& experts(model_spec::Weight, std::int64_t layer) const;
  [[nodiscard]] const kernels::cuda::Stack& absorbed_k(std::int64_t layer) const { return absorbed_k_.at(layer); }
  [[nodiscard]] const kernels::cuda::Stack& absorbed_v(std::int64_t layer) const { return absorbed_v_.at(layer); }

 private:
  using Key = std::pair<model_spec::Weight, std::int64_t>;
  kernels::cuda::Stack upload(std::span<const kernels::cpu::ConstMatrix> matrices);
  std::vector<DeviceMemory> memory_;
  std::map<Key, kernels::cuda::Stack> matrices_;
  std::map<std::int64_t, kernels::cuda::Stack> absorbed_k_, absorbed_v_;
};

}  // namespace fathom::executor
