// Routing of tokens to experts, and every exchange between ranks.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "executor/cpu_backend.h"
#include "kernels/cpu/gate.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/permute.h"
#include "kernels/cpu/quantise.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

using I = std::int64_t;

std::vector<I> times(std::vector<I> counts, I factor) {
  for (auto& n : counts) n *= factor;
  return counts;
}
I sum(const std::vector<I>& counts) { return std::accumulate(counts.begin(), counts.end(), I{0}); }

// Ids and weights of tokens' experts lie side by side as int32 and fp32 in an activation of int32.
Matrix weights_in(const Matrix& experts, I topk) { return Matrix(DType::fp32, experts.rows(), experts.columns(), experts.data()).slice(topk, topk); }

// What each rank sends every other is told to it beforehand.
std::vector<I> exchange_counts(Communicator& ranks, const std::vector<I>& send) {
  std::vector<I> received(send.size()), bytes(send.size(), sizeof(I));
  ranks.all_to_all(std::as_bytes(std::span(send)), bytes, std::as_writable_bytes(std::span(received)), bytes);
  return received;
}

// Rows of a buffer, numbers and scales, to other ranks and from them; counts by rank.
void exchange_rows(Communicator& ranks, Buffer& from, const std::vector<I>& send, Buffer& to, const std::vector<I>& receive) {
  ranks.all_to_all(from.numbers(0, sum(send)), times(send, from.row_bytes()), to.numbers(0, sum(receive)), times(receive, to.row_bytes()));
  if (from.scale_row_bytes() == 0) return;
  ranks.all_to_all(from.scales(0, sum(send)), times(send, from.scale_row_bytes()), to.scales(0, sum(receive)), times(receive, to.scale_row_bytes()));
}

}  // namespace

RowRange CpuBackend::slice_of_tp(I tokens, I tp) const {
  const auto size = (tokens + plan_.layout.tp - 1) / plan_.layout.tp, first = std::min(tp * size, tokens);
  return {first, std::min(size, tokens - first)};
}

Communicator& CpuBackend::ranks_for(I count) { return plan_.layout.dp > 1 && count == stage_ranks(plan_.layout) ? *stage_ : *tp_; }

// Rows of each rank: its slice of the tokens that its tensor-parallel group has.
std::vector<I> CpuBackend::shares_of(const Communicator& ranks) const {
  const auto& batch = at_.input().batch;
  std::vector<I> shares;
  for (I rank = 0; rank < ranks.size(); ++rank) {
    const auto dp = static_cast<std::size_t>(&ranks == stage_.get() ? rank / plan_.layout.tp : place_.dp);
    shares.push_back(slice_of_tp(batch.dp_tokens.empty() ? batch.tokens() : batch.dp_tokens[dp], rank % plan_.layout.tp).count);
  }
  return shares;
}

CpuBackend::Routing CpuBackend::read_routing(const Matrix& experts) const {
  Routing r{.tokens = experts.rows(), .ids = {}, .weights = {}};
  const auto topk = plan_.model.num_experts_per_tok;
  const auto weights = weights_in(experts, topk);
  for (I t = 0; t < experts.rows(); ++t)
    for (I i = 0; i < topk; ++i) {
      r.ids.push_back(static_cast<std::int32_t>(experts.integer(t, i)));
      r.weights.push_back(weights.get(t, i));
    }
  return r;
}

void CpuBackend::run_op(Gate<I>& op) {
  const auto logits = view(at_.inputs()[0]);
  auto experts = view(at_.outputs()[0]);
  auto weights = weights_in(experts, op.topk);
  kernels::cpu::parallel_for(op.tokens, [&](I t) {
    auto one = op;
    one.tokens = 1;
    auto ids = experts.rows(t, 1), w = weights.rows(t, 1);
    kernels::cpu::gate<float>(one, static_cast<float>(plan_.model.routed_scaling_factor), logits.rows(t, 1), weight(0), ids, w);
  });
  if (at_.input().forced && at_.input().forced->expert_ids.contains(at_.layer())) {
    const auto& ids = at_.input().forced->expert_ids.at(at_.layer());
    const auto& forced_weights = at_.input().forced->expert_weights.at(at_.layer());
    for (I t = 0; t < op.tokens; ++t)
      for (I i = 0; i < op.topk; ++i) {
        if (ids[static_cast<std::size_t>(t)].empty()) continue;
        experts.set_integer(t, i, ids[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)]);
        weights.set(t, i, forced_weights[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)]);
      }
  }
  own_ = here_ = read_routing(experts);
}

// Rows in the order of experts, those of one in the order of tokens.
void CpuBackend::sort_by_expert(const Routing& routing, I topk) {
  const auto local = local_experts(plan_.model, plan_.layout), first = place_.ep * local;
  std::vector<std::vector<I>> chosen(static_cast<std::size_t>(local));
  for (I i = 0; i < routing.tokens * topk; ++i)
    if (const auto e = routing.ids[static_cast<std::size_t>(i)] - first; e >= 0 && e < local) chosen[static_cast<std::size_t>(e)].push_back(i);
  rows_ = {};
  for (const auto& choices : chosen) {
    rows_.counts.push_back(static_cast<I>(choices.size()));
    for (const auto i : choices) {
      rows_.source.push_back(static_cast<std::int32_t>(i / topk));
      rows_.weights.push_back(routing.weights[static_cast<std::size_t>(i)]);
    }
  }
}

void CpuBackend::run_op(Permute<I>& op) {
  sort_by_expert(here_, plan_.model.num_experts_per_tok);
  auto distinct = rows_.source;
  std::ranges::sort(distinct);
  op.tokens = static_cast<double>(std::unique(distinct.begin(), distinct.end()) - distinct.begin());
  op.rows = static_cast<double>(rows_.rows());
  const auto x = whole(at_.inputs()[0]);
  auto y = shape(at_.outputs()[0], rows_.rows(), op.hidden);
  kernels::cpu::parallel_for(rows_.rows(), [&](I r) { kernels::cpu::copy_row(x.type(), op.hidden, x, rows_.source[static_cast<std::size_t>(r)], y, r); });
}

void CpuBackend::run_op(Unpermute<I>& op) {
  op.rows = static_cast<double>(rows_.rows());
  op.tokens = static_cast<double>(here_.tokens);
  const auto x = whole(at_.inputs()[0]);
  auto y = shape(at_.outputs()[0], here_.tokens, op.hidden);
  const ConstMatrix weights(DType::fp32, 1, rows_.rows(), std::as_bytes(std::span(rows_.weights)).data());
  const ConstMatrix source(DType::int32, 1, rows_.rows(), std::as_bytes(std::span(rows_.source)).data());
  const I width = 64;  // columns a piece
  kernels::cpu::parallel_for((op.hidden + width - 1) / width, [&](I i) {
    auto part = op;
    part.hidden = std::min(width, op.hidden - i * width);
    auto columns = y.slice(i * width, part.hidden);
    kernels::cpu::unpermute<float>(part, x.slice(i * width, part.hidden), weights, source, columns);
  });
}

// Ranks that hold a part of an expert.
std::vector<I> CpuBackend::ranks_of(std::int32_t expert) const {
  std::vector<I> ranks;
  const auto ep = expert / local_experts(plan_.model, plan_.layout);
  for (I etp = 0; etp < plan_.layout.etp; ++etp) ranks.push_back(ep * plan_.layout.etp + etp);
  return ranks;
}

// Which choices (token * topk + i) go to which rank. normal: a token once to each rank that holds one of its experts. low_latency: once for each
// choice and rank that holds it.
std::vector<std::vector<I>> CpuBackend::copies_by_rank(const Dispatch<I>& op) const {
  const auto topk = plan_.model.num_experts_per_tok;
  const auto mine = slice_of_tp(at_.input().batch.tokens(), place_.tp);
  std::vector<std::vector<I>> copies(static_cast<std::size_t>(op.ranks));
  for (I choice = mine.first * topk; choice < (mine.first + mine.count) * topk; ++choice)
    for (const auto rank : ranks_of(own_.ids[static_cast<std::size_t>(choice)])) {
      auto& list = copies[static_cast<std::size_t>(rank)];
      if (op.transport == Transport::low_latency || list.empty() || list.back() / topk != choice / topk) list.push_back(choice);
    }
  return copies;
}

// Header of a copy: its expert, three spares; with the normal transport then the token's choices.
void CpuBackend::write_header(Transport transport, I choice, std::span<std::byte> bytes) const {
  const auto topk = static_cast<std::size_t>(plan_.model.num_experts_per_tok), first = static_cast<std::size_t>(choice) / topk * topk;
  std::ranges::fill(bytes, std::byte{0});
  std::memcpy(bytes.data(), &own_.ids[static_cast<std::size_t>(choice)], sizeof(std::int32_t));
  if (transport != Transport::normal) return;
  std::memcpy(bytes.data() + dispatch_header_bytes, &own_.ids[first], topk * sizeof(std::int32_t));
  std::memcpy(bytes.data() + dispatch_header_bytes + topk * sizeof(std::int32_t), &own_.weights[first], topk * sizeof(float));
}

void CpuBackend::run_op(Dispatch<I>& op) {
  const auto topk = plan_.model.num_experts_per_tok;
  const auto copies = copies_by_rank(op);
  exchange_ = {};
  for (const auto& list : copies) exchange_.sent.push_back(static_cast<I>(list.size()));
  exchange_.received = exchange_counts(*control_, exchange_.sent);
  const auto x = whole(at_.inputs()[0]);
  const auto sending = sum(exchange_.sent), arriving = sum(exchange_.received);
  Buffer numbers, arrived, headers, arrived_headers;
  auto rows = numbers.shape(x.type(), sending, op.hidden);
  const auto header_bytes = static_cast<I>(dispatch_header(op.transport, static_cast<double>(topk)));
  headers.shape(DType::int8, sending, header_bytes);
  for (const auto& list : copies)
    for (const auto choice : list) {
      const auto row = static_cast<I>(exchange_.token.size());
      kernels::cpu::copy_row(x.type(), op.hidden, x, choice / topk, rows, row);
      write_header(op.transport, choice, headers.numbers(row, 1));
      exchange_.token.push_back(static_cast<std::int32_t>(choice / topk - slice_of_tp(at_.input().batch.tokens(), place_.tp).first));
      exchange_.weights.push_back(own_.weights[static_cast<std::size_t>(choice)]);
    }
  arrived.shape(x.type(), arriving, op.hidden);
  arrived_headers.shape(DType::int8, arriving, header_bytes);
  exchange_rows(*stage_, numbers, exchange_.sent, arrived, exchange_.received);
  stage_->all_to_all(headers.numbers(0, sending), times(exchange_.sent, header_bytes), arrived_headers.numbers(0, arriving),
                     times(exchange_.received, header_bytes));
  receive_copies(op, arrived, arrived_headers);
  note_copies(op, exchange_.sent);
}

// So many copies a token, that those which left this rank are what the record says.
template <class Op_>
void CpuBackend::note_copies(Op_& op, const std::vector<I>& by_rank) const {
  const auto away = static_cast<double>(sum(by_rank) - by_rank[static_cast<std::size_t>(place_.stage_rank)]);
  op.copies = away / static_cast<double>(op.tokens) * static_cast<double>(op.ranks) / static_cast<double>(op.ranks - 1);
}

void CpuBackend::receive_copies(const Dispatch<I>& op, Buffer& arrived, Buffer& headers) {
  const auto topk = plan_.model.num_experts_per_tok, count = arrived.rows();
  const auto from = arrived.view();
  if (op.transport == Transport::normal) {
    here_ = {.tokens = count,
             .ids = std::vector<std::int32_t>(static_cast<std::size_t>(count * topk)),
             .weights = std::vector<float>(static_cast<std::size_t>(count * topk))};
    for (I r = 0; r < count; ++r) {
      const auto bytes = headers.numbers(r, 1);
      std::memcpy(&here_.ids[static_cast<std::size_t>(r * topk)], bytes.data() + dispatch_header_bytes, static_cast<std::size_t>(4 * topk));
      std::memcpy(&here_.weights[static_cast<std::size_t>(r * topk)], bytes.data() + dispatch_header_bytes + 4 * topk, static_cast<std::size_t>(4 * topk));
    }
    auto y = shape(at_.outputs()[0], count, op.hidden);
    for (I r = 0; r < count; ++r) kernels::cpu::copy_row(from.type(), op.hidden, from, r, y, r);
    return;
  }
  std::vector<std::int32_t> expert(static_cast<std::size_t>(count));
  for (I r = 0; r < count; ++r) std::memcpy(&expert[static_cast<std::size_t>(r)], headers.numbers(r, 1).data(), 4);
  std::vector<I> sorted(static_cast<std::size_t>(count));
  std::iota(sorted.begin(), sorted.end(), 0);
  std::ranges::stable_sort(sorted, {}, [&](I r) { return expert[static_cast<std::size_t>(r)]; });
  const auto local = local_experts(plan_.model, plan_.layout);
  rows_ = {.counts = std::vector<I>(static_cast<std::size_t>(local)), .source = std::vector<std::int32_t>(static_cast<std::size_t>(count)), .weights = {}};
  exchange_.order.resize(static_cast<std::size_t>(count));
  auto y = shape(at_.outputs()[0], count, op.hidden);
  for (I r = 0; r < count; ++r) {
    const auto source = sorted[static_cast<std::size_t>(r)];
    ++rows_.counts[static_cast<std::size_t>(expert[static_cast<std::size_t>(source)] - place_.ep * local)];
    exchange_.order[static_cast<std::size_t>(source)] = r;
    kernels::cpu::copy_row(from.type(), op.hidden, from, source, y, r);
  }
}

// Rows go back the way they came; the sums run over ranks in order.
void CpuBackend::run_op(Combine<I>& op) {
  const bool normal = op.transport == Transport::normal;
  const auto x = whole(at_.inputs()[0]);
  Buffer numbers, arrived;
  const auto type = held(numerics_, op.type);
  auto rows = numbers.shape(type, sum(exchange_.received), op.hidden);
  for (I r = 0; r < rows.rows(); ++r) {
    const auto from = normal ? r : exchange_.order[static_cast<std::size_t>(r)];
    kernels::cpu::store_row<float>(type, kernels::cpu::Scales::ue8m0, kernels::cpu::load_row<float>(x.type(), x, from, op.hidden), r, rows);
  }
  const auto back = arrived.shape(type, sum(exchange_.sent), op.hidden);
  exchange_rows(*stage_, numbers, exchange_.received, arrived, exchange_.sent);
  const auto mine = slice_of_tp(at_.input().batch.tokens(), place_.tp);
  std::vector<float> sums(static_cast<std::size_t>(mine.count * op.hidden));
  for (I r = 0; r < back.rows(); ++r) {
    const auto row = kernels::cpu::load_row<float>(type, back, r, op.hidden);
    const float w = normal ? 1.0f : exchange_.weights[static_cast<std::size_t>(r)];
    float* y = sums.data() + exchange_.token[static_cast<std::size_t>(r)] * op.hidden;
    for (I c = 0; c < op.hidden; ++c) y[c] += w * row[static_cast<std::size_t>(c)];
  }
  auto y = whole(at_.outputs()[0]);
  for (I t = 0; t < mine.count; ++t)
    for (I c = 0; c < op.hidden; ++c) y.set(t, c, sums[static_cast<std::size_t>(t * op.hidden + c)]);
  note_copies(op, exchange_.received);
}

void CpuBackend::run_op(AllReduce<I>&) {
  auto& x = buffer(at_.outputs()[0].id);
  tp_->all_reduce(x.type(), x.numbers(0, x.rows()));
}

// A part of the columns from each rank, or rows: each rank's slice of its tokens.
void CpuBackend::run_op(AllGather<I>& op) {
  const auto& operand = at_.inputs()[0];
  auto& x = buffer(operand.id);
  auto& ranks = ranks_for(op.ranks);
  if (operand.columns > 0 && operand.columns < x.columns()) return gather_columns(ranks, operand, op.ranks);
  const auto shares = shares_of(ranks);
  const bool sliced = operand.id == at_.outputs()[0].id;  // this rank's rows stand at the beginning already
  const auto mine = slice_of_tp(at_.input().batch.tokens(), place_.tp);
  const auto first = sliced ? 0 : mine.first;
  Buffer all;
  all.shape(x.type(), sum(shares), x.columns());
  ranks.all_gather(x.numbers(first, mine.count), times(shares, x.row_bytes()), all.numbers(0, all.rows()));
  if (x.scale_row_bytes() > 0) ranks.all_gather(x.scales(first, mine.count), times(shares, x.scale_row_bytes()), all.scales(0, all.rows()));
  auto& y = buffer(at_.outputs()[0].id);
  std::swap(y, all);
  if (y.type() == DType::int32) here_ = read_routing(y.view());
}

void CpuBackend::gather_columns(Communicator& ranks, const Operand& operand, I count) {
  const auto from = view(operand);
  Buffer mine, all;
  auto part = mine.shape(from.type(), from.rows(), from.columns());
  const auto together = all.shape(from.type(), count * from.rows(), from.columns());
  for (I r = 0; r < from.rows(); ++r) kernels::cpu::copy_row(from.type(), from.columns(), from, r, part, r);
  ranks.all_gather(mine.numbers(0, mine.rows()), std::vector<I>(static_cast<std::size_t>(count), mine.rows() * mine.row_bytes()), all.numbers(0, all.rows()));
  const auto y = view(at_.outputs()[0]);
  for (I rank = 0; rank < count; ++rank) {
    auto columns = y.slice(rank * from.columns(), from.columns());
    for (I r = 0; r < from.rows(); ++r) kernels::cpu::copy_row(from.type(), from.columns(), together, rank * from.rows() + r, columns, r);
  }
}

void CpuBackend::run_op(ReduceScatter<I>& op) {
  auto& x = buffer(at_.inputs()[0].id);
  auto& ranks = ranks_for(op.ranks);
  const auto shares = shares_of(ranks);
  const auto mine = shares[static_cast<std::size_t>(ranks.rank())];
  Buffer result;
  result.shape(x.type(), mine, x.columns());
  ranks.reduce_scatter(x.type(), x.numbers(0, sum(shares)), times(shares, x.row_bytes()), result.numbers(0, mine));
  std::ranges::copy(result.numbers(0, mine), buffer(at_.outputs()[0].id).numbers(0, mine).begin());
}

void CpuBackend::run_op(SendRecv<I>&) {
  auto& x = buffer(at_.inputs()[0].id);
  stages_->send(static_cast<int>(place_.stage) + 1, x.numbers(0, x.rows()));
}

}  // namespace fathom::executor
