// bind(): sizes of a batch into the steps of a plan. The hot path of every search: no allocation once `out` has grown.
#include <algorithm>
#include <cmath>

#include "model_spec/plan.h"

namespace fathom::model_spec {
namespace {

std::size_t index(Attention a) { return static_cast<std::size_t>(a); }
std::size_t index(Rows r) { return static_cast<std::size_t>(r); }
std::size_t index(Path p) { return static_cast<std::size_t>(p); }

Sizes sizes_of(const Plan& p, const Batch& batch, Attention kind, const BoundPlan& bound) {
  Sizes z;
  const auto tokens = batch.tokens();
  const auto& l = p.layout;
  z.rows[index(Rows::tokens)] = tokens;
  z.rows[index(Rows::slice)] = (tokens + l.tp - 1) / l.tp;
  z.rows[index(Rows::gathered)] = batch.all_tokens(l.dp);
  z.rows[index(Rows::sampled)] = batch.sampled;
  z.rows[index(Rows::drafted)] = batch.drafted < 0 ? batch.sequences() : batch.drafted;
  for (std::size_t g = 0; g < batch.groups.size(); ++g) {
    const auto& group = batch.groups[g];
    const auto path = index(bound.paths[g][index(kind)]);
    z.path_tokens[path] += group.sequences * group.new_tokens;
    z.path_cached[path] += group.sequences * group.cached_tokens;
  }
  z.transport = choose_transport(p.policy, (batch.most_tokens() + l.tp - 1) / l.tp);
  if (p.model.n_routed_experts == 0) return z;
  z.load = expected_load(p.model, l, p.routing, batch.all_tokens(l.dp));
  if (has_dispatch(l) && z.transport == Transport::low_latency)  // a slot for every token that any rank may send to any expert here
    z.load.capacity = local_experts(p.model, l) * stage_ranks(l) * low_latency_slots(p.policy, z.rows[index(Rows::slice)]);
  z.received = static_cast<double>(batch.all_tokens(l.dp)) * p.routing.distinct_ranks / static_cast<double>(l.ep);
  return z;
}

struct Filler {
  const Plan& plan;
  const Step& step;
  const Sizes& sizes;
  std::int64_t rows;
  const Group* group;

  template <class T>
  void operator()(T& op) const {
    if constexpr (requires { op.sequences; }) {
      op.sequences = group->sequences;
      op.new_tokens = group->new_tokens;
      op.cached_tokens = group->cached_tokens;
    } else if constexpr (requires { op.capacity; }) {
      op.capacity = sizes.load.capacity;
      op.rows = sizes.load.rows;
      op.active = sizes.load.active;
      op.largest = sizes.load.largest;
    } else if constexpr (requires { op.rows; }) {
      op.rows = step.rows == Rows::tokens ? static_cast<double>(rows) : sizes.load.rows;
      // Where every rank holds all tokens of its group, each gets a result row; else only tokens that came.
      if constexpr (requires { op.tokens; }) op.tokens = step.rows == Rows::gathered ? static_cast<double>(rows) : sizes.received;
    } else if constexpr (requires { op.copies; }) {
      const auto per_expert = op.transport == Transport::low_latency ? static_cast<double>(plan.model.num_experts_per_tok) : plan.routing.distinct_ranks;
      op.tokens = rows;
      op.copies = per_expert * static_cast<double>(plan.layout.etp);
    } else {
      op.tokens = rows;
    }
  }
};

void bind_step(const Plan& p, const Step& step, std::size_t i, const Sizes& sizes, const Batch& batch, std::size_t kind, BoundPlan& out) {
  const auto emit = [&](std::int64_t rows, std::size_t g) {
    auto& bound = out.steps.emplace_back(BoundStep{step.op, &step, static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(g)});
    std::visit(Filler{p, step, sizes, rows, &batch.groups[g]}, bound.op);
  };
  if (!(step.transports & (1U << static_cast<unsigned>(sizes.transport)))) return;
  if (step.rows != Rows::group) {
    const auto rows = sizes.of(step.rows, step.paths);
    if (rows > 0) emit(rows, 0);
    return;
  }
  for (std::size_t g = 0; g < batch.groups.size(); ++g)
    if (step.paths & bit(out.paths[g][kind])) emit(0, g);
}

}  // namespace

std::int64_t Sizes::of(Rows r, PathSet paths) const {
  if (r == Rows::routed) return load.rows > 0 ? std::max<std::int64_t>(std::llround(load.rows), 1) : 0;
  if (r != Rows::path && r != Rows::context && r != Rows::cached) return rows[index(r)];
  std::int64_t tokens = 0, cached = 0;
  for (std::size_t i = 0; i < path_count; ++i) {
    if (!(paths & (1U << i))) continue;
    tokens += path_tokens[i];
    cached += path_cached[i];
  }
  return r == Rows::path ? tokens : r == Rows::cached ? cached : tokens + cached;
}

void bind(const Plan& p, std::size_t stage, const Batch& batch, BoundPlan& out) {
  out.steps.clear();
  out.blocks.clear();
  out.paths.clear();
  for (const auto& group : batch.groups)
    out.paths.push_back({choose_path(p.model, p.policy, Attention::mla, group),
                         p.model.indexer ? choose_path(p.model, p.policy, Attention::mla_sparse, group) : Path::dense_mqa});
  for (const auto kind : {Attention::mla, Attention::mla_sparse}) out.sizes[index(kind)] = sizes_of(p, batch, kind, out);
  for (const auto& block : p.stages[stage].blocks) {
    const auto first = static_cast<std::uint32_t>(out.steps.size());
    const auto kind = index(block.attention);
    for (std::size_t i = 0; i < block.steps.size(); ++i) bind_step(p, block.steps[i], i, out.sizes[kind], batch, kind, out);
    out.blocks.push_back({&block, first, static_cast<std::uint32_t>(out.steps.size()) - first});
  }
}

Cost<> total_cost(const BoundPlan& bound) {
  Cost<> sum;
  for (const auto& block : bound.blocks) {
    Cost<> one;
    for (std::uint32_t i = 0; i < block.count; ++i) one += cost(bound.steps[block.first + i].op);
    sum += one * static_cast<double>(block.block->repeats);
  }
  return sum;
}

}  // namespace fathom::model_spec
