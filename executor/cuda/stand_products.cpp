// Products of matrices, and the rows of experts.
#include <algorithm>
#include <cmath>

#include "executor/cuda/stand.h"
#include "kernels/cuda/grouped_gemm.h"
#include "kernels/cuda/permute.h"

namespace fathom::executor::stands {

using namespace model_spec;
namespace cuda = kernels::cuda;
using Stream = cuda::Stream;

namespace {

// Each expert's first row, [experts + 1], of the rows of balanced_choices().
std::vector<std::int32_t> offsets_of(const std::vector<std::int32_t>& choices, I experts) {
  std::vector<std::int32_t> offsets(static_cast<std::size_t>(experts + 1));
  for (const auto expert : choices) ++offsets[static_cast<std::size_t>(expert) + 1];
  for (std::size_t e = 1; e < offsets.size(); ++e) offsets[e] += offsets[e - 1];
  return offsets;
}

struct Routing {
  I tokens = 0, topk = 0, experts = 0;
};
Routing routing_of(I rows, const ModelSpec& m) { return {rows / m.num_experts_per_tok, m.num_experts_per_tok, m.n_routed_experts}; }

std::vector<std::int32_t> choices_of(const Routing& r, I set) { return balanced_choices(r.tokens, r.topk, r.experts, set); }

struct Sorting {
  Routing routing;
  Stand::Operand ids, offsets, source, row;
};
Sorting sorting_of(Stand& s, const Routing& r) {
  const auto capacity = static_cast<I>(sizeof(std::int32_t)) * r.tokens * r.topk;
  return {r, s.lists<std::int32_t>([r](I set) { return choices_of(r, set); }), s.scratch(static_cast<I>(sizeof(std::int32_t)) * (r.experts + 1)),
          s.scratch(capacity), s.scratch(capacity)};
}
cuda::ExpertRows rows_of(const Stand& s, const Sorting& o, I set) {
  return {.first = 0,
          .experts = o.routing.experts,
          .capacity = o.routing.tokens * o.routing.topk,
          .offsets = s.data<std::int32_t>(o.offsets, set),
          .source = s.data<std::int32_t>(o.source, set),
          .row = s.data<std::int32_t>(o.row, set)};
}
void sort(const Stand& s, const Sorting& o, I set, Stream stream) {
  cuda::sort_by_expert(o.routing.tokens, o.routing.topk, s.data<std::int32_t>(o.ids, set), o.routing.topk, rows_of(s, o, set), stream);
}

}  // namespace

// One product, also where a step multiplies with several matrices side by side.
void declare(Stand& s, const Gemm<I>& op, const StandFacts& facts) {
  const auto a = s.random(op.activation, op.tokens, op.in), w = s.random(op.weight, op.out, op.in), c = s.output(op.output, op.tokens, op.out);
  s.on_launch([=, &s, &facts](I set, Stream stream) { facts.gemms.gemm(op, s.matrix(a, set), s.matrix(w, set), s.matrix(c, set), stream); });
}

void declare(Stand& s, const BatchedGemm<I>& op, const StandFacts& facts) {
  const auto rows = op.tokens * op.heads;
  const auto a = s.random(DType::bf16, rows, op.in), w = s.random(DType::bf16, op.in, op.out, op.heads), c = s.output(DType::bf16, rows, op.out);
  s.on_launch([=, &s, &facts](I set, Stream stream) { facts.gemms.batched_gemm(op, s.matrix(a, set), s.stack(w, set), s.matrix(c, set), stream); });
}

void declare(Stand& s, GroupedGemm<I>& op, const StandFacts& facts) {
  const auto routing = routing_of(op.capacity, facts.model);
  const auto offsets = s.lists<std::int32_t>([routing](I set) { return offsets_of(choices_of(routing, set), routing.experts); });
  const auto came = offsets_of(choices_of(routing, 0), routing.experts);
  op.rows = came.back(), op.active = op.largest = 0;
  for (std::size_t e = 1; e < came.size(); ++e) {
    const double rows = came[e] - came[e - 1];
    op.active += rows > 0;
    op.largest = std::max(op.largest, rows);
  }
  const auto a = s.random(op.activation, op.capacity, op.in), w = s.random(op.weight, op.out, op.in, op.experts), c = s.output(op.output, op.capacity, op.out);
  const auto workspace = s.scratch(cuda::grouped_workspace);
  s.on_launch([=, &s, op = op](I set, Stream stream) {
    const cuda::ExpertRows rows{.first = 0, .experts = op.experts, .capacity = op.capacity, .offsets = s.data<std::int32_t>(offsets, set)};
    cuda::grouped_gemm(op, s.matrix(a, set), rows, s.stack(w, set), s.matrix(c, set), s.workspace(workspace, set), stream);
  });
}

// With the sort that says which rows the experts get: a step does both.
void declare(Stand& s, const Permute<I>& op, const StandFacts& facts) {
  const auto sorting = sorting_of(s, routing_of(std::llround(op.rows), facts.model));
  const auto x = s.random(op.type, sorting.routing.tokens, op.hidden), y = s.output(op.type, std::llround(op.rows), op.hidden);
  s.on_launch([=, &s](I set, Stream stream) {
    sort(s, sorting, set, stream);
    cuda::permute(op, s.matrix(x, set), rows_of(s, sorting, set), s.matrix(y, set), stream);
  });
}

void declare(Stand& s, const Unpermute<I>& op, const StandFacts& facts) {
  const auto sorting = sorting_of(s, routing_of(std::llround(op.rows), facts.model));
  const auto topk = sorting.routing.topk;
  const auto x = s.random(DType::bf16, std::llround(op.rows), op.hidden), weights = s.random(DType::fp32, sorting.routing.tokens, topk);
  const auto y = s.output(DType::bf16, sorting.routing.tokens, op.hidden);
  s.before([=, &s](I set, Stream stream) { sort(s, sorting, set, stream); });
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::unpermute(op, topk, s.matrix(x, set), s.data<float>(weights, set), topk, rows_of(s, sorting, set), s.matrix(y, set), stream);
  });
}

}  // namespace fathom::executor::stands
