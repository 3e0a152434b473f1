// What the step of a plan that a backend is running works on: the block, the layer, and which rows of which activations its operands are.
#pragma once

#include "executor/row_map.h"

namespace fathom::executor {

// Of the norms inside attention, whatever the model's rms_norm_eps (transformers' DeepSeek-V3, and DeepSeek's own LayerNorm).
inline constexpr float inner_eps = 1e-6f;

class StepContext {
 public:
  void begin(const model_spec::BoundPlan&, const StepInput&);
  void enter(const model_spec::Block&);
  void start(const model_spec::BoundStep&);

  [[nodiscard]] const StepInput& input() const { return *input_; }
  [[nodiscard]] const model_spec::Block& block() const { return *block_; }
  [[nodiscard]] std::int64_t layer() const { return block_->first_layer; }  // -1 outside of layers
  [[nodiscard]] const model_spec::BoundStep& step() const { return *step_; }
  [[nodiscard]] const std::array<RowMap, 2>& maps() const { return maps_; }  // by Attention
  [[nodiscard]] const RowMap& map() const { return maps_[static_cast<std::size_t>(block_->attention)]; }

  // Operands of the running step by role, in order.
  [[nodiscard]] std::span<const model_spec::Operand> inputs() const { return inputs_; }
  [[nodiscard]] std::span<const model_spec::Operand> outputs() const { return outputs_; }
  [[nodiscard]] model_spec::Weight weight(std::size_t i) const { return static_cast<model_spec::Weight>(weights_[i].id); }
  [[nodiscard]] std::span<const model_spec::Operand> weights() const { return weights_; }

  // The activation that `id` stands for in this batch.
  [[nodiscard]] std::uint8_t standing_for(std::uint8_t id) const;
  [[nodiscard]] const model_spec::Activation& activation(std::uint8_t id) const { return block_->activations[id]; }
  // Rows of an activation in this batch; 0 for those of experts, which are shaped when they come.
  [[nodiscard]] std::int64_t rows_of(const model_spec::Activation&) const;

  // Tokens, and positions (cached and new), that the running step works on.
  [[nodiscard]] RowRange tokens() const;
  [[nodiscard]] RowRange context() const;
  // The rows of an operand's activation (of what it stands for), or a list of tokens to gather.
  struct Rows {
    RowRange range;
    std::span<const std::int32_t> gathered;
    bool gathers = false;
  };
  [[nodiscard]] Rows rows(const model_spec::Operand&) const;

  // eps of the RMSNorm that runs.
  [[nodiscard]] float norm_eps(const model_spec::ModelSpec&) const;

  // Settles which tokens get drafts: as the input says, or the last certain one of each sequence, which the sampled ids tell.
  void sampled(std::span<const std::int32_t> ids);
  // Ids for the prediction layer: next_ids, with the sampled ones in their places.
  [[nodiscard]] std::vector<std::int32_t> next_ids(std::span<const std::int32_t> sampled) const;

 private:
  const model_spec::BoundPlan* bound_ = nullptr;
  const StepInput* input_ = nullptr;
  const model_spec::Block* block_ = nullptr;
  const model_spec::BoundStep* step_ = nullptr;
  std::array<RowMap, 2> maps_;
  std::vector<model_spec::Operand> inputs_, outputs_, weights_;
  std::vector<bool> written_;
  std::vector<std::int32_t> drafted_;
};

}  // namespace fathom::executor
