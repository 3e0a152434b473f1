#include "executor/execute.h"

#include <chrono>

namespace fathom::executor {

using namespace model_spec;

namespace {

using Clock = std::chrono::steady_clock;
Seconds since(Clock::time_point start) { return Seconds{std::chrono::duration<double>(Clock::now() - start).count()}; }

// The records as the data completed them, and a device's own times: a block then lasts as long as its steps.
void complete(Trace& trace, const BoundPlan& bound, std::span<const double> seconds) {
  Seconds start;
  for (std::size_t i = 0; i < trace.steps.size(); ++i) {
    auto& step = trace.steps[i];
    step.op = bound.steps[i].op;
    if (seconds.empty()) continue;
    step.start = start;
    start += step.duration = Seconds{seconds[i]};
  }
  for (auto& block : trace.blocks) {
    if (seconds.empty() || block.count == 0) continue;
    const auto& last = trace.steps[block.first + block.count - 1];
    block.start = trace.steps[block.first].start;
    block.interval = last.start + last.duration - block.start;
  }
}

}  // namespace

Executed execute(const Plan& plan, const Place& place, Backend& backend, const StepInput& input, BoundPlan& bound, const Observer& observer) {
  bind(plan, static_cast<std::size_t>(place.stage), input.batch, bound);
  Executed done;
  auto& trace = done.trace;
  const auto start = Clock::now();
  backend.begin(bound, input);
  for (std::size_t b = 0; b < bound.blocks.size(); ++b) {
    const auto& range = bound.blocks[b];
    const auto block_start = since(start);
    const auto first = static_cast<std::uint32_t>(trace.steps.size());
    backend.enter(range);
    for (auto i = range.first; i < range.first + range.count; ++i) {
      auto& step = bound.steps[i];
      const auto step_start = since(start);
      backend.run(step);
      trace.steps.push_back({.id = {.stage = static_cast<std::uint16_t>(place.stage),
                                    .block = static_cast<std::uint16_t>(b),
                                    .step = step.index,
                                    .group = step.group,
                                    .layer = static_cast<std::int32_t>(range.block->first_layer)},
                             .label = step.step->label,
                             .op = {},
                             .communication = step.step->stream == Stream::communication,
                             .start = step_start,
                             .duration = since(start) - step_start,
                             .predicted = {}});
      if (observer) observer(*range.block, step, backend);
    }
    trace.blocks.push_back({range.block->name, first, range.count, range.block->first_layer, 1, block_start, since(start) - block_start});
  }
  done.output = backend.finish();
  complete(trace, bound, done.output.step_seconds);
  trace.total = since(start);
  return done;
}

}  // namespace fathom::executor
