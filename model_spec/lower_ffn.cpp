// Dense FFN, shared expert and routed experts as steps (DeepSeek-V3 report section 2.1.2).
#include "model_spec/lower.h"

namespace fathom::model_spec {
namespace {

struct Normed {
  std::uint8_t x = 0, x_bf16 = 0;
};

Normed lower_norm(BlockBuilder& b, const Lowering& w, const Residual& r, DType storage, bool keep) {
  const auto d = w.model.hidden_size;
  const auto type = w.produced(storage);
  keep = keep && type != DType::bf16;
  Normed n{.x = b.activation("ffn_x", Rows::tokens, d, type)};
  n.x_bf16 = keep ? b.activation("ffn_x_bf16", Rows::tokens, d, DType::bf16) : n.x;
  b.add("ffn_norm", RmsNorm<std::int64_t>{.width = d, .residual = true, .output = type, .keep_bf16 = keep}, Rows::tokens,
        {in(r.delta), in(r.sum), out(r.sum), weight(Weight::post_attention_layernorm), out(n.x), out(n.x_bf16)});
  return n;
}

struct MlpNames {
  const char *gate_up, *quantise, *swiglu, *mid_quantise, *down;
};
struct MlpWeights {
  Weight gate, up, down;
};

// down(silu(gate x) * up x), each rank its slice of the width; partial sums if tp > 1.
void lower_mlp(BlockBuilder& b, const Lowering& w, const MlpNames& names, const MlpWeights& weights, std::uint8_t x, std::uint8_t y, std::int64_t width,
               DType storage) {
  const auto d = w.model.hidden_size;
  const auto both = b.activation("gate_up", Rows::tokens, 2 * width, DType::bf16);
  const auto mid = b.activation("mid", Rows::tokens, width, w.produced(storage));
  const auto xq = quantised(b, names.quantise, x, Rows::tokens, d, storage);
  b.add(names.gate_up, projection(d, 2 * width, storage), Rows::tokens, {in(xq), weight(weights.gate), weight(weights.up), out(both)});
  b.add(names.swiglu, SwiGlu<std::int64_t>{.width = width, .output = w.produced(storage)}, Rows::tokens, {in(both), out(mid)});
  const auto midq = quantised(b, names.mid_quantise, mid, Rows::tokens, width, storage);
  b.add(names.down, projection(width, d, storage), Rows::tokens, {in(midq), weight(weights.down), out(y)});
}

constexpr std::uint8_t only(Transport t) { return static_cast<std::uint8_t>(1U << static_cast<unsigned>(t)); }

// How tokens reach the experts and come back.
enum class Exchange { none, dispatch, gather };  // none: every rank holds all tokens of its tp group; gather: experts sliced over all ranks
Exchange exchange_of(const Layout& l) { return l.dp == 1 ? Exchange::none : has_dispatch(l) ? Exchange::dispatch : Exchange::gather; }

// The rows this rank's experts read, sorted by expert.
// `chosen` becomes the choices of those rows' tokens.
std::uint8_t lower_to_experts(BlockBuilder& b, const Lowering& w, Exchange exchange, std::uint8_t x, std::uint8_t& chosen, DType type) {
  const auto& l = w.layout;
  const auto d = w.model.hidden_size;
  const auto rows = b.activation("expert_x", Rows::routed, d, type);
  const auto permute = Permute<std::int64_t>{.hidden = d, .type = type};
  if (exchange == Exchange::none) {
    b.add("permute", permute, Rows::routed, {in(x), in(chosen), out(rows)});
    return rows;
  }
  const auto received = b.activation("received", exchange == Exchange::gather ? Rows::gathered : Rows::routed, d, type);
  if (exchange == Exchange::gather) {
    const auto all = b.activation("all_experts", Rows::gathered, 2 * w.model.num_experts_per_tok, DType::int32);
    b.add("moe_all_gather", AllGather<std::int64_t>{.ranks = stage_ranks(l), .width = d, .type = type}, Rows::gathered, {in(x), out(received)});
    b.add("experts_all_gather", AllGather<std::int64_t>{.ranks = stage_ranks(l), .width = 2 * w.model.num_experts_per_tok, .type = DType::int32},
          Rows::gathered, {in(chosen), out(all)})
        .launched = false;  // one exchange with the one before
    chosen = all;
    b.add("permute", permute, Rows::routed, {in(received), in(chosen), out(rows)});
    return rows;
  }
  Dispatch<std::int64_t> dispatch{.ranks = stage_ranks(l), .hidden = d, .topk = w.model.num_experts_per_tok, .type = type, .transport = Transport::normal};
  b.add("dispatch", dispatch, Rows::slice, {in(x), in(chosen), out(received)}).transports = only(Transport::normal);
  b.add("permute", permute, Rows::routed, {in(received), in(chosen), out(rows)}).transports = only(Transport::normal);
  dispatch.transport = Transport::low_latency;
  b.add("dispatch_ll", dispatch, Rows::slice, {in(x), in(chosen), out(rows)}).transports = only(Transport::low_latency);
  return rows;
}

void lower_from_experts(BlockBuilder& b, const Lowering& w, Exchange exchange, std::uint8_t rows, std::uint8_t chosen, std::uint8_t y) {
  const auto& l = w.layout;
  const auto d = w.model.hidden_size;
  const Unpermute<std::int64_t> unpermute{.hidden = d};
  if (exchange == Exchange::none) {
    b.add("unpermute", unpermute, Rows::gathered, {in(rows), in(chosen), out(y)});
    return;
  }
  const auto partial = b.activation("partial", exchange == Exchange::gather ? Rows::gathered : Rows::routed, d, DType::bf16);
  if (exchange == Exchange::gather) {
    b.add("unpermute", unpermute, Rows::gathered, {in(rows), in(chosen), out(partial)});
    b.add("moe_reduce_scatter", ReduceScatter<std::int64_t>{.ranks = stage_ranks(l), .width = d}, Rows::gathered, {in(partial), out(y)});
    return;
  }
  Combine<std::int64_t> combine{.ranks = stage_ranks(l), .hidden = d, .type = w.policy.combine_type, .transport = Transport::normal};
  b.add("unpermute", unpermute, Rows::routed, {in(rows), in(chosen), out(partial)}).transports = only(Transport::normal);
  b.add("combine", combine, Rows::slice, {in(partial), in(chosen), out(y)}).transports = only(Transport::normal);
  combine.transport = Transport::low_latency;
  b.add("combine_ll", combine, Rows::slice, {in(rows), in(chosen), out(y)}).transports = only(Transport::low_latency);
}

void lower_experts(BlockBuilder& b, const Lowering& w, std::uint8_t x, std::uint8_t y) {
  const auto& m = w.model;
  const auto storage = m.storage.routed_experts, type = activation_for(storage);
  const auto width = m.moe_intermediate_size / w.layout.etp, local = local_experts(m, w.layout);
  const auto both = b.activation("expert_gate_up", Rows::routed, 2 * width, DType::bf16);
  const auto mid = b.activation("expert_mid", Rows::routed, width, type);
  const GroupedGemm<std::int64_t> up{.experts = local, .in = m.hidden_size, .out = 2 * width, .weight = storage, .activation = type};
  const GroupedGemm<std::int64_t> down{.experts = local, .in = width, .out = m.hidden_size, .weight = storage, .activation = type};
  b.add("expert_gate_up", up, Rows::routed, {in(x), weight(Weight::expert_gate), weight(Weight::expert_up), out(both)});
  b.add("expert_swiglu", SwiGlu<std::int64_t>{.width = width, .output = type}, Rows::routed, {in(both), out(mid)});
  b.add("expert_down", down, Rows::routed, {in(mid), weight(Weight::expert_down), out(y)});
}

}  // namespace

void lower_dense_ffn(BlockBuilder& b, const Lowering& w, const Residual& r) {
  const auto& m = w.model;
  const auto x = lower_norm(b, w, r, m.storage.dense_ffn, false).x;
  lower_mlp(b, w, {"ffn_gate_up", "ffn_quantise", "ffn_swiglu", "ffn_mid_quantise", "ffn_down"}, {Weight::ffn_gate, Weight::ffn_up, Weight::ffn_down}, x,
            r.delta, m.intermediate_size / w.layout.tp, m.storage.dense_ffn);
  if (w.layout.tp > 1)
    b.add("ffn_all_reduce", AllReduce<std::int64_t>{.ranks = w.layout.tp, .width = m.hidden_size}, Rows::tokens, {in(r.delta), out(r.delta)});
}

void lower_moe(BlockBuilder& b, const Lowering& w, const Residual& r) {
  const auto& m = w.model;
  const auto& l = w.layout;
  const auto d = m.hidden_size;
  const auto exchange = exchange_of(l);
  const bool sliced = exchange != Exchange::none && l.tp > 1;  // each tp rank sends its slice of the tokens they share
  const auto [x, x_bf16] = lower_norm(b, w, r, m.storage.routed_experts, true);

  const auto logits = b.activation("router_logits", Rows::tokens, m.n_routed_experts, DType::fp32);
  auto chosen = b.activation("experts", Rows::tokens, 2 * m.num_experts_per_tok, DType::int32);
  auto router = projection(d, m.n_routed_experts, m.storage.embedding);
  router.output = DType::fp32;
  b.add("router", router, Rows::tokens, {in(x_bf16), weight(Weight::router), out(logits)});
  b.add("gate", Gate<std::int64_t>{.experts = m.n_routed_experts, .groups = m.n_group, .topk_group = m.topk_group, .topk = m.num_experts_per_tok}, Rows::tokens,
        {in(logits), weight(Weight::router_bias), out(chosen)});

  const auto type = activation_for(m.storage.routed_experts);
  const auto sent = quantised(b, "moe_quantise", x, Rows::tokens, d, m.storage.routed_experts);
  const auto expert_x = lower_to_experts(b, w, exchange, sent, chosen, type);
  std::uint8_t shared = 0;
  if (m.n_shared_experts > 0) {
    shared = b.activation("shared", Rows::tokens, d, DType::bf16);
    lower_mlp(b, w, {"shared_gate_up", "shared_quantise", "shared_swiglu", "shared_mid_quantise", "shared_down"},
              {Weight::shared_gate, Weight::shared_up, Weight::shared_down}, b.type_of(sent) == activation_for(m.storage.shared_experts) ? sent : x_bf16,
              shared, m.moe_intermediate_size * m.n_shared_experts / l.tp, m.storage.shared_experts);
    if (sliced) b.add("shared_reduce_scatter", ReduceScatter<std::int64_t>{.ranks = l.tp, .width = d}, Rows::tokens, {in(shared), out(shared)});
  }
  const auto expert_y = b.activation("expert_y", Rows::routed, d, DType::bf16);
  lower_experts(b, w, expert_x, expert_y);
  lower_from_experts(b, w, exchange, expert_y, chosen, r.delta);
  if (m.n_shared_experts > 0) {
    auto& add = b.add("add_shared", Add<std::int64_t>{.hidden = d}, sliced ? Rows::slice : Rows::tokens, {in(r.delta), in(shared), out(r.delta)});
    add.launched = !w.policy.fused;
  }
  if (sliced) b.add("moe_tp_all_gather", AllGather<std::int64_t>{.ranks = l.tp, .width = d}, Rows::tokens, {in(r.delta), out(r.delta)});
  if (exchange == Exchange::none && l.tp > 1)
    b.add("moe_all_reduce", AllReduce<std::int64_t>{.ranks = l.tp, .width = d}, Rows::tokens, {in(r.delta), out(r.delta)});
}

}  // namespace fathom::model_spec
