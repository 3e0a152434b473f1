// Operators timed alone: which ones, in what order, and what becomes of the times. The device's part: executor/cuda/bench.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "executor/numerics.h"
#include "model_spec/plan.h"

namespace fathom::executor {

// An operator of a plan as the kernels take it, once for all steps and points of a grid that have the same.
struct BenchRecord {
  std::vector<std::string> labels;  // of those steps
  model_spec::Op op;
  model_spec::Group at;    // the first point that has it
  bool from_copy = false;  // sparse attention: the keys stand in a bf16 copy of the context
};

// One step: of what decode kernels take all tokens are sampled (drafts are verified), of a prompt the last one is.
model_spec::Batch bench_batch(const model_spec::Policy&, const model_spec::Group&);

// The operators of one decode or prefill step at each point, one group a step, in the order in which they come. ops: kinds by name; none: all.
// Exchanges between ranks are left out. Precondition: the plan has one stage.
std::vector<BenchRecord> bench_records(const model_spec::Plan&, Numerics, std::span<const model_spec::Group> points, std::span<const std::string> ops);

// 0 .. count in an order that looks random and is always the same: what drifts with time (clocks, temperature) shall not look like a trend in size.
std::vector<std::size_t> bench_order(std::size_t count);

// p10, median and p90, between neighbours by their distance. values: at least one.
struct Quantiles {
  double p10 = 0, median = 0, p90 = 0;
};
Quantiles quantiles(std::vector<double> values);

// How many sets of operands make the memory that an operator touches more than `cold` bytes: by the time a set comes again, nothing of it is
// left in a cache. At most most_sets: what is so small that these do not reach finds its operands in the cache, as it does in a step.
inline constexpr std::int64_t most_sets = 1024;
std::int64_t operand_sets(double touched_bytes, double cold_bytes);

// Choices of `topk` distinct experts by each token, [tokens, topk], all equally likely. Another set: the same loads on other experts.
std::vector<std::int32_t> balanced_choices(std::int64_t tokens, std::int64_t topk, std::int64_t experts, std::int64_t set);

}  // namespace fathom::executor
