// What CudaBackend is made of (cuda_backend.cpp, cuda_steps.cpp).
#pragma once

#include <map>
#include <optional>

#include "executor/cuda/cuda_backend.h"
#include "executor/cuda/device_buffer.h"
#include "executor/cuda/device_weights.h"
#include "executor/cuda/step_graph.h"
#include "executor/cuda/step_inputs.h"
#include "executor/cuda/step_memory.h"
#include "executor/rope.h"
#include "executor/step_context.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/permute.h"
#include "kernels/cuda/row_chains.h"

namespace fathom::executor {

class CudaBackend final : public Backend {
 public:
  CudaBackend(const model_spec::Plan&, const model_spec::Place&, Numerics, const WeightSource&, const LoadProgress&, std::int64_t pages);
  ~CudaBackend() override;

  void begin(const model_spec::BoundPlan&, const StepInput&) override;
  void enter(const model_spec::BoundBlock&) override;
  void run(model_spec::BoundStep&) override;
  StepOutput finish() override;
  HostTensor read(std::string_view activation) override;
  double sent_bytes() const override { return 0; }
  double weight_bytes() const override { return weights_.bytes(); }
  void fill_caches(std::uint64_t seed);

 private:
  using I = std::int64_t;
  using Matrix = kernels::cuda::Matrix;
  // The caches of a layer.
  struct LayerCache {
    DeviceMemory latent_memory, index_memory;
    kernels::cuda::LatentCache latent;
    kernels::cuda::IndexCache index;
  };
  // A MoE layer of the step that runs: its counts of rows, and the records that they complete.
  struct Load {
    I offset = 0;  // in Results::load_log
    std::vector<model_spec::BoundStep*> steps;
  };
  // What a step leaves for the host, in one piece of device memory.
  struct Results {
    DeviceMemory device;
    PinnedMemory host;
    I sampled = 0, drafts = 0, load_log = 0, end = 0;  // first integers
    [[nodiscard]] std::int32_t* at(I first) const { return device.as<std::int32_t>() + first; }
    [[nodiscard]] std::span<const std::int32_t> fetched(I first, I count) const {
      return {host.as<const std::int32_t>() + first, static_cast<std::size_t>(count)};
    }
  };

  // cuda_backend.cpp
  void make_caches(std::int64_t pages);
  void make_results();
  void choose_how_to_run();
  void note_load(model_spec::BoundStep&);
  void record_event();
  // Memory that graphs refer to: they are given up when it moves.
  void moved(bool yes) {
    if (yes) graphs_.clear(), graph_ = nullptr;
  }
  Matrix buffer(std::uint8_t activation);
  Matrix view(const model_spec::Operand&, I heads = 1);
  const Matrix& weight(std::size_t i) const { return weights_.get(at_.weight(i), at_.layer()); }
  LayerCache& cache() { return caches_[static_cast<std::size_t>(at_.layer() - first_layer_)]; }
  // Groups on the paths of a step run together, when the first of them comes.
  [[nodiscard]] bool comes_first() const;
  [[nodiscard]] I most_new_tokens() const;  // of a sequence on the paths of the step
  [[nodiscard]] RowRange tokens() const { return at_.map().tokens(at_.step().step->paths); }
  [[nodiscard]] kernels::cuda::Context context() const { return inputs_.context(tokens().first); }
  [[nodiscard]] const std::int32_t* first_keys() const;
  // Rows that the running step gathers.
  struct Gathered {
    const std::int32_t* rows;
    I count;
  };
  [[nodiscard]] Gathered gathered_rows() const;
  kernels::cuda::Workspace workspace(I bytes);
  void annotate();
  HostTensor host(const Matrix&);

  // cuda_steps.cpp
  template <class Op>
  void run_op(Op&) {
    throw model_spec::Error(model_spec::Failure::device, std::string(at_.step().step->label) + ": several GPUs are not built yet");
  }
  void run_op(model_spec::Embedding<I>&);
  void run_op(model_spec::RmsNorm<I>&);
  void run_op(model_spec::LayerNorm<I>&);
  void run_op(model_spec::Quantise<I>&);
  void run_op(model_spec::Rope<I>&);
  void run_op(model_spec::Hadamard<I>&);
  void run_op(model_spec::LatentCacheWrite<I>&);
  void run_op(model_spec::LatentCacheRead<I>&);
  void run_op(model_spec::IndexCacheWrite<I>&);
  void run_op(model_spec::SwiGlu<I>&);
  void run_op(model_spec::Add<I>&);
  void run_op(model_spec::Sample<I>&);
  void run_op(model_spec::Gemm<I>&);
  void run_op(model_spec::BatchedGemm<I>&);
  void run_op(model_spec::GroupedGemm<I>&);
  void run_op(model_spec::IndexLogits<I>&);
  void run_op(model_spec::TopK<I>&);
  void run_op(model_spec::DenseMha<I>&);
  void run_op(model_spec::DenseMqa<I>&);
  void run_op(model_spec::SparseMla<I>&);
  void run_op(model_spec::Gate<I>&);
  void run_op(model_spec::Permute<I>&);
  void run_op(model_spec::Unpermute<I>&);
  // An unpermute that waits for what is added to it.
  struct Unpermuting {
    model_spec::Unpermute<I> op;
    Matrix x, experts, y;
  };
  void unpermute(const Unpermuting&, const Matrix& other);
  [[nodiscard]] kernels::cuda::Angles angles(I dims) const;  // of the running step's tokens
  [[nodiscard]] bool chains_queries(I tokens) const;
  void force_topk(const Matrix& chosen, I first_token);
  void force_experts(const Matrix& experts);

  const model_spec::Plan& plan_;
  Numerics numerics_;
  cudaStream_t stream_ = nullptr;
  DeviceWeights weights_;
  kernels::cuda::Gemms gemms_;
  I first_layer_ = 0, pages_ = 0;
  bool latent_chain_ = false, index_chain_ = false;  // whether the plan's riders go along (row_chains.h)
  std::vector<LayerCache> caches_;                   // of the stage's layers, then of the prediction layer
  DeviceMemory workspace_;
  Event started_ = make_event(), done_ = make_event();
  StepGraphs graphs_;

  // of a step
  StepContext at_;
  const model_spec::BoundPlan* bound_ = nullptr;
  StepInputs inputs_;
  Results results_;
  StepGraph* graph_ = nullptr;      // null: launched kernel by kernel
  std::optional<Capture> capture_;  // while the graph is made
  StepOutput output_;
  BlockMemory block_memory_;
  DeviceMemory activations_;
  std::map<std::string_view, DeviceBuffer, std::less<>> persistent_;
  DeviceMemory next_ids_, confirmed_;  // what settle_drafts() writes
  DeviceBuffer scores_, gathered_;
  RowRange scored_;
  Matrix index_key_;  // before its norm
  std::optional<Unpermuting> unpermute_;
  kernels::cuda::ExpertRows experts_;
  DeviceMemory expert_source_, expert_row_;
  std::vector<Load> loads_;
  std::vector<Event> events_;  // of steps launched kernel by kernel
  std::size_t steps_run_ = 0;
  bool finished_ = true;  // the step before, and without an error
};

}  // namespace fathom::executor
