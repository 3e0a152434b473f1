#include "simulator/simulate.h"

#include "simulator/op_time.h"
#include "simulator/schedule.h"

namespace fathom::simulator {
namespace {

void price(const Machine& machine, std::size_t stage, const BoundPlan& bound, double free_sms, Trace& out) {
  out.steps.clear();
  out.blocks.clear();
  for (std::size_t b = 0; b < bound.blocks.size(); ++b) {
    const auto& range = bound.blocks[b];
    for (std::uint32_t i = range.first; i < range.first + range.count; ++i) {
      const auto& s = bound.steps[i];
      auto& row = out.steps.emplace_back();  // filled in place: the copies would cost as much as the arithmetic
      row.id = {.stage = static_cast<std::uint16_t>(stage),
                .block = static_cast<std::uint16_t>(b),
                .step = s.index,
                .group = s.group,
                .layer = static_cast<std::int32_t>(range.block->first_layer)};
      row.label = s.step->label;
      row.op = s.op;
      row.communication = s.step->stream == Stream::communication;
      row.duration = row.predicted.emplace(op_time(machine, s.op, s.step->launched, free_sms)).total;
    }
  }
}

bool can_split(const Batch& batch) { return batch.sequences() > 1 || batch.tokens() > 1; }

}  // namespace

Batch half_batch(const Batch& batch) {
  Batch half;
  for (const auto& g : batch.groups) {
    // Whole sequences first; an odd one is cut in two, whose mean has half a half more behind it. A single token cannot be cut: both
    // halves then have it.
    if (g.sequences > 1) half.groups.push_back({g.sequences / 2, g.new_tokens, g.cached_tokens});
    if (g.sequences % 2 == 1) half.groups.push_back({1, (g.new_tokens + 1) / 2, g.cached_tokens + g.new_tokens / 4});
  }
  half.sampled = (batch.sampled + 1) / 2;
  return half;
}

void simulate(const Plan& plan, std::size_t stage, const Machine& machine, const Batch& batch, BoundPlan& bound, Trace& out) {
  if (plan.policy.overlap == Overlap::none || !can_split(batch)) {
    bind(plan, stage, batch, bound);
    price(machine, stage, bound, 1, out);
    schedule_serial(bound, out);
    return;
  }
  bind(plan, stage, half_batch(batch), bound);
  // Exchanges that run under compute keep some SMs for themselves.
  price(machine, stage, bound, 1 - machine.overlapped_sm_share[static_cast<std::size_t>(bound.sizes[0].transport)], out);
  schedule_two_batch(bound, out);
}

}  // namespace fathom::simulator
