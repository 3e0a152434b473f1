// The reference: every step of a plan on the kernels of kernels/cpu, ranks as the communicator has them.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "executor/buffer.h"
#include "executor/cache.h"
#include "executor/communicator.h"
#include "executor/rope.h"
#include "executor/step_context.h"
#include "executor/weights.h"
#include "kernels/cpu/quantise.h"

namespace fathom::executor {

class CpuBackend final : public Backend {
 public:
  // pages: of the caches that it keeps for its stage's layers. `world` has a rank for each GPU of the layout; like the plan, it stays
  // alive.
  CpuBackend(const model_spec::Plan&, const model_spec::Place&, Numerics, const RankWeights&, std::int64_t pages, Communicator& world);

  void begin(const model_spec::BoundPlan&, const StepInput&) override;
  void enter(const model_spec::BoundBlock&) override;
  void run(model_spec::BoundStep&) override;
  StepOutput finish() override;
  HostTensor read(std::string_view activation) override;
  double sent_bytes() const override { return static_cast<double>(stage_->sent_bytes() + tp_->sent_bytes() + stages_->sent_bytes()); }
  double weight_bytes() const override { return weights_.bytes(); }

 private:
  using I = std::int64_t;

  // The experts that tokens chose: [tokens, topk].
  struct Routing {
    I tokens = 0;
    std::vector<std::int32_t> ids;
    std::vector<float> weights;
  };
  // Rows of this rank's experts: sorted by expert, each from a row of the permuted matrix.
  struct ExpertRows {
    std::vector<I> counts;             // of each expert here
    std::vector<std::int32_t> source;  // [rows]
    std::vector<float> weights;        // [rows]
    [[nodiscard]] I rows() const { return static_cast<I>(source.size()); }
  };
  // Copies of tokens on their way to experts and back: what went where, in the order of ranks.
  struct Exchange {
    std::vector<I> sent, received;    // copies by rank
    std::vector<std::int32_t> token;  // of each copy sent, a row of this rank's slice
    std::vector<float> weights;       // of each copy sent (low latency)
    std::vector<I> order;             // of each copy received: its row among the experts' (low latency)
  };

  // cpu_backend.cpp: operands
  Buffer& buffer(std::uint8_t activation);
  // An operand's rows for the running step; heads > 1: a row a head. Of sampled or drafted tokens: a copy of those rows.
  Matrix view(const model_spec::Operand&, I heads = 1);
  Matrix whole(const model_spec::Operand& operand) { return buffer(operand.id).view(); }
  Matrix shape(const model_spec::Operand&, I rows, I columns);
  ConstMatrix weight(std::size_t i) const { return weights_.get(at_.weight(i), at_.layer()); }
  std::span<const ConstMatrix> expert_weights(std::size_t i) const { return weights_.experts(at_.weight(i), at_.layer()); }
  Matrix gathered(const Matrix&, std::span<const std::int32_t> rows);
  std::vector<I> new_slots() const;  // of the new tokens
  std::span<const I> slots(RowRange context) const {
    return std::span(slots_).subspan(static_cast<std::size_t>(context.first), static_cast<std::size_t>(context.count));
  }

  // cpu_rows.cpp: work on rows
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
  // cpu_products.cpp: products and attention
  void run_op(model_spec::Gemm<I>&);
  void run_op(model_spec::BatchedGemm<I>&);
  void run_op(model_spec::GroupedGemm<I>&);
  void run_op(model_spec::IndexLogits<I>&);
  void run_op(model_spec::TopK<I>&);
  void run_op(model_spec::DenseMha<I>&);
  void run_op(model_spec::DenseMqa<I>&);
  void run_op(model_spec::SparseMla<I>&);
  std::function<void(I, float*)> latent_keys(const model_spec::Operand* bf16_copy);
  // cpu_experts.cpp: routing, and exchanges between ranks
  void run_op(model_spec::Gate<I>&);
  void run_op(model_spec::Permute<I>&);
  void run_op(model_spec::Unpermute<I>&);
  void run_op(model_spec::Dispatch<I>&);
  void run_op(model_spec::Combine<I>&);
  void run_op(model_spec::AllReduce<I>&);
  void run_op(model_spec::AllGather<I>&);
  void run_op(model_spec::ReduceScatter<I>&);
  void run_op(model_spec::SendRecv<I>&);
  Routing read_routing(const Matrix& experts) const;
  void sort_by_expert(const Routing&, I topk);
  std::vector<I> ranks_of(std::int32_t expert) const;
  RowRange slice_of_tp(I tokens, I tp) const;
  Communicator& ranks_for(I count);  // the stage's ranks, or those of a tensor-parallel group
  std::vector<I> shares_of(const Communicator& ranks) const;
  std::vector<std::vector<I>> copies_by_rank(const model_spec::Dispatch<I>&) const;
  void write_header(model_spec::Transport, I choice, std::span<std::byte> bytes) const;
  template <class Op_>
  void note_copies(Op_&, const std::vector<I>& by_rank) const;
  void receive_copies(const model_spec::Dispatch<I>&, Buffer& arrived, Buffer& headers);
  void gather_columns(Communicator& ranks, const model_spec::Operand&, I count);

  const model_spec::Plan& plan_;
  model_spec::Place place_;
  Numerics numerics_;
  RankWeights weights_;
  std::int64_t first_layer_ = 0;
  std::vector<LatentCache> latent_;                              // by layer of the stage, then the prediction layer
  std::vector<std::unique_ptr<IndexCache>> index_;               // likewise, null where there is no indexer
  std::unique_ptr<Communicator> stage_, tp_, stages_, control_;  // stages_: one rank of each stage; control_: counts, no part of a plan

  // of a step
  StepContext at_;
  RopeTable rope_;
  std::vector<I> slots_;  // of every position, cached and new, of every sequence in turn
  std::map<std::string_view, Buffer, std::less<>> persistent_;
  StepOutput output_;
  // of a block
  std::deque<Buffer> buffers_;
  std::deque<Buffer> scores_;  // of each group
  std::size_t scored_group_ = 0;
  Routing own_, here_;
  ExpertRows rows_;
  Exchange exchange_;
  // of a running operator
  std::deque<Buffer> copies_;
};

}  // namespace fathom::executor
