#include "executor/bench.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "executor/held.h"
#include "executor/synthetic.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

bool reads_copy(const BoundStep& bound) {
  const auto inputs = std::ranges::count(bound.step->operands, Role::input, &Operand::role);
  return std::holds_alternative<SparseMla<std::int64_t>>(bound.op) && inputs > 2;
}

}  // namespace

Batch bench_batch(const Policy& policy, const Group& g) {
  const bool decodes = g.cached_tokens > 0 && g.new_tokens <= policy.absorb_max_new_tokens;
  return decodes ? decode(g.sequences, g.cached_tokens, g.new_tokens) : prefill(g.sequences, g.new_tokens, g.cached_tokens);
}

std::vector<BenchRecord> bench_records(const Plan& plan, Numerics numerics, std::span<const Group> points, std::span<const std::string> ops) {
  std::vector<BenchRecord> records;
  std::map<std::string, std::size_t> known;  // by kind, sizes and what else the kernel depends on
  BoundPlan bound;
  for (const auto& point : points) {
    bind(plan, 0, bench_batch(plan.policy, point), bound);
    for (const auto& step : bound.steps) {
      const auto name = op_name(step.op);
      if (is_exchange(step.op) || (!ops.empty() && std::ranges::find(ops, name) == ops.end())) continue;
      const auto op = std::visit([&](const auto& o) { return Op(held(numerics, o)); }, step.op);
      const bool copy = reads_copy(step);
      const auto [at, is_new] = known.emplace(std::string(name) + (copy ? " from a copy " : " ") + sizes_text(op), records.size());
      if (is_new) records.push_back({.labels = {}, .op = op, .at = point, .from_copy = copy});
      auto& labels = records[at->second].labels;
      if (std::ranges::find(labels, step.step->label) == labels.end()) labels.emplace_back(step.step->label);
    }
  }
  return records;
}

std::vector<std::size_t> bench_order(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[splitmix64(i) % i]);
  return order;
}

Quantiles quantiles(std::vector<double> values) {
  std::ranges::sort(values);
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  return {at(0.1), at(0.5), at(0.9)};
}

std::int64_t operand_sets(double touched_bytes, double cold_bytes) {
  const double sets = std::floor(cold_bytes / std::max(touched_bytes, 1.0)) + 1;
  return static_cast<std::int64_t>(std::min(sets, static_cast<double>(most_sets)));
}

std::vector<std::int32_t> balanced_choices(std::int64_t tokens, std::int64_t topk, std::int64_t experts, std::int64_t set) {
  std::vector<std::int32_t> choices;
  std::uint64_t draw = 0;
  for (std::int64_t t = 0; t < tokens; ++t) {
    const auto own = choices.size();
    while (std::ssize(choices) < (t + 1) * topk) {
      const auto expert = static_cast<std::int32_t>(splitmix64(draw++) % static_cast<std::uint64_t>(experts));
      if (std::find(choices.begin() + static_cast<std::ptrdiff_t>(own), choices.end(), expert) == choices.end()) choices.push_back(expert);
    }
  }
  // Sets far apart: neighbours of one set's experts are few.
  const auto shift = static_cast<std::int64_t>(splitmix64(static_cast<std::uint64_t>(set)) % static_cast<std::uint64_t>(experts));
  for (auto& expert : choices) expert = static_cast<std::int32_t>((expert + shift) % experts);
  return choices;
}

}  // namespace fathom::executor
