#include "executor/step_context.h"

namespace fathom::executor {

using namespace model_spec;

void StepContext::begin(const BoundPlan& bound, const StepInput& input) {
  bound_ = &bound;
  input_ = &input;
  drafted_ = input.drafted;
  for (const auto kind : {Attention::mla, Attention::mla_sparse}) maps_[static_cast<std::size_t>(kind)] = RowMap(input.batch, bound, kind);
}

void StepContext::enter(const Block& block) {
  block_ = &block;
  written_.assign(block.activations.size(), false);
}

void StepContext::start(const BoundStep& step) {
  step_ = &step;
  inputs_.clear();
  outputs_.clear();
  weights_.clear();
  for (const auto& operand : step.step->operands) {
    if (operand.role == Role::input) inputs_.push_back(operand);
    if (operand.role == Role::output) outputs_.push_back(operand);
    if (operand.role == Role::weight) weights_.push_back(operand);
  }
  for (const auto& operand : outputs_) written_[operand.id] = true;
}

std::uint8_t StepContext::standing_for(std::uint8_t id) const {
  const auto& a = block_->activations[id];
  return a.otherwise >= 0 && !written_[id] ? static_cast<std::uint8_t>(a.otherwise) : id;
}

std::int64_t StepContext::rows_of(const Activation& a) const {
  return a.rows == model_spec::Rows::routed ? 0 : bound_->sizes[static_cast<std::size_t>(block_->attention)].of(a.rows, a.paths);
}

RowRange StepContext::tokens() const { return step_->step->rows == model_spec::Rows::group ? map().tokens_of(step_->group) : map().tokens(step_->step->paths); }
RowRange StepContext::context() const {
  return step_->step->rows == model_spec::Rows::group ? map().context_of(step_->group) : map().context(step_->step->paths);
}

StepContext::Rows StepContext::rows(const Operand& operand) const {
  using Kind = model_spec::Rows;
  const auto& a = activation(standing_for(operand.id));
  const auto wanted = step_->step->rows;
  const RowRange all{0, rows_of(a)};
  const auto from = [](RowRange range, std::int64_t first) { return Rows{{range.first - first, range.count}, {}, false}; };
  if (a.rows == Kind::tokens && wanted == Kind::sampled) return {all, input_->sampled, true};
  if (a.rows == Kind::tokens && wanted == Kind::drafted) return {all, drafted_, true};
  if (a.rows == Kind::tokens) return from(tokens(), 0);
  if (a.rows == Kind::path) return from(tokens(), map().tokens(a.paths).first);
  if (a.rows == Kind::context) return from(context(), map().context(a.paths).first);
  return {all, {}, false};
}

float StepContext::norm_eps(const ModelSpec& m) const {
  const bool inner = weight(0) == Weight::q_a_layernorm || weight(0) == Weight::kv_a_layernorm;
  return inner ? inner_eps : static_cast<float>(m.rms_norm_eps);
}

void StepContext::sampled(std::span<const std::int32_t> ids) {
  if (drafted_.empty()) drafted_ = confirmed_tokens(*input_, ids);
}

std::vector<std::int32_t> StepContext::next_ids(std::span<const std::int32_t> sampled) const {
  auto ids = input_->next_ids;
  for (std::size_t i = 0; i < input_->sampled.size(); ++i)
    if (auto& id = ids[static_cast<std::size_t>(input_->sampled[i])]; id < 0) id = sampled[i];
  return ids;
}

}  // namespace fathom::executor
