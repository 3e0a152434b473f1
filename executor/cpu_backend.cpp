#include "executor/cpu_backend.h"

#include <fmt/format.h>

#include <algorithm>

#include "executor/held.h"
#include "kernels/cpu/parallel.h"
#include "model_spec/error.h"

namespace fathom::executor {

using namespace model_spec;

CpuBackend::CpuBackend(const Plan& plan, const Place& place, Numerics numerics, const RankWeights& weights, std::int64_t pages, Communicator& world)
    : plan_(plan), place_(place), numerics_(numerics), weights_(weights) {
  const auto& m = plan.model;
  const auto range = plan.stages[static_cast<std::size_t>(place.stage)].layers;
  const bool last = place.stage + 1 == plan.layout.pp;
  first_layer_ = range.first;
  auto runs = layer_runs(m);
  if (last && plan.policy.mtp_depth > 0) runs.push_back(mtp_layer(m));
  for (const auto& run : runs)
    for (auto layer = run.first; layer < run.first + run.count; ++layer) {
      const bool here = layer >= range.first && (layer < range.first + range.count || layer >= num_hidden_layers(m));
      if (!here) continue;
      latent_.emplace_back(numerics, m.kv_lora_rank, m.qk_rope_head_dim, pages, plan.policy.cache);
      const bool sparse = run.attention == Attention::mla_sparse;
      index_.push_back(sparse ? std::make_unique<IndexCache>(numerics, m.indexer->index_head_dim, pages) : nullptr);
    }
  stage_ = world.split(static_cast<int>(place.stage), static_cast<int>(place.stage_rank));
  tp_ = stage_->split(static_cast<int>(place.dp), static_cast<int>(place.tp));
  stages_ = world.split(static_cast<int>(place.stage_rank), static_cast<int>(place.stage));
  control_ = stage_->split(0, static_cast<int>(place.stage_rank));
  assert(world.size() == gpus(plan.layout));
}

void CpuBackend::begin(const BoundPlan& bound, const StepInput& input) {
  at_.begin(bound, input);
  output_ = {};
  persistent_.clear();
  rope_ = rope_table(plan_.model, input.positions);
  slots_.clear();
  auto pages = input.pages.begin();
  for (const auto& group : input.batch.groups)
    for (I s = 0; s < group.sequences; ++s, ++pages)
      for (I p = 0; p < group.cached_tokens + group.new_tokens; ++p)
        slots_.push_back(I{(*pages)[static_cast<std::size_t>(p / page_tokens)]} * page_tokens + p % page_tokens);
  if (place_.stage == 0) return;
  auto& delta = persistent_["delta"];
  delta.shape(held(numerics_, DType::bf16), input.batch.tokens(), plan_.model.hidden_size);
  stages_->receive(static_cast<int>(place_.stage) - 1, delta.numbers(0, delta.rows()));
}

void CpuBackend::enter(const BoundBlock& bound) {
  const auto& block = *bound.block;
  at_.enter(block);
  if (at_.layer() == num_hidden_layers(plan_.model)) at_.sampled(output_.sampled);
  buffers_.resize(block.activations.size());
  for (std::size_t i = 0; i < block.activations.size(); ++i) {
    const auto& a = block.activations[i];
    const auto rows = at_.rows_of(a);
    auto& memory = a.persists ? persistent_[a.name] : buffers_[i];
    if (a.persists && memory.rows() == rows && memory.columns() == a.columns) continue;
    memory.shape(held(numerics_, a.type), rows, a.columns);
  }
}

Buffer& CpuBackend::buffer(std::uint8_t activation) {
  const auto id = at_.standing_for(activation);
  const auto& a = at_.activation(id);
  return a.persists ? persistent_[a.name] : buffers_[id];
}

Matrix CpuBackend::gathered(const Matrix& from, std::span<const std::int32_t> rows) {
  auto copy = copies_.emplace_back().shape(from.type(), static_cast<std::int64_t>(rows.size()), from.columns());
  for (std::size_t r = 0; r < rows.size(); ++r) kernels::cpu::copy_row(from.type(), from.columns(), from, rows[r], copy, static_cast<std::int64_t>(r));
  return copy;
}

Matrix CpuBackend::view(const Operand& operand, I heads) {
  auto m = buffer(operand.id).view();
  const auto rows = at_.rows(operand);
  const auto all = at_.rows_of(at_.activation(at_.standing_for(operand.id)));
  const auto per_row = all > 0 ? m.rows() / all : 1;  // > 1 where a row stands for a head
  if (rows.gathers) m = gathered(m, rows.gathered);
  else if (all > 0) m = m.rows(rows.range.first * per_row, rows.range.count * per_row);
  if (heads > per_row) m = m.reshaped(m.rows() * heads, m.columns() / heads);
  return operand.columns > 0 && operand.columns < m.columns() ? m.slice(operand.first, operand.columns) : m;
}

Matrix CpuBackend::shape(const Operand& operand, I rows, I columns) {
  return buffer(operand.id).shape(held(numerics_, at_.block().activations[operand.id].type), rows, columns);
}

void CpuBackend::run(BoundStep& step) {
  at_.start(step);
  copies_.clear();
  std::visit(
      [&](auto& op) {
        auto as_held = held(numerics_, op);
        run_op(as_held);
        // What only the data told.
        if constexpr (requires { op.active; }) op.active = as_held.active, op.largest = as_held.largest;
        if constexpr (requires { op.rows; }) op.rows = as_held.rows;
        if constexpr (requires { op.copies; }) op.copies = as_held.copies;
        if constexpr (requires {
                        op.rows;
                        op.tokens;
                      })
          op.tokens = as_held.tokens;
      },
      step.op);
}

StepOutput CpuBackend::finish() { return std::move(output_); }

HostTensor CpuBackend::read(std::string_view activation) {
  HostTensor result;
  const auto copy = [&](const Matrix& m) {
    result.rows = m.rows(), result.columns = m.columns();
    for (I r = 0; r < m.rows(); ++r)
      for (I c = 0; c < m.columns(); ++c)
        if (m.type() == DType::int32) result.integers.push_back(static_cast<std::int32_t>(m.integer(r, c)));
        else result.numbers.push_back(m.get(r, c) * (has_scales(m.type()) ? m.scale(r, c) : 1.0f));
  };
  const auto& map = at_.map();
  if (activation == "index_logits") {
    result.first_token = map.tokens_of(scored_group_).first;
    return copy(scores_[scored_group_].view()), result;
  }
  const auto found = std::ranges::find(at_.block().activations, activation, [](const Activation& a) { return std::string_view(a.name); });
  if (found == at_.block().activations.end()) throw Error(Failure::usage, fmt::format("block {} has no activation {}", at_.block().name, activation));
  if (found->rows == Rows::path) result.first_token = map.tokens(found->paths).first;
  copy(buffer(static_cast<std::uint8_t>(found - at_.block().activations.begin())).view());
  return result;
}

}  // namespace fathom::executor
