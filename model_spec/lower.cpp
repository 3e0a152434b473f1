#include "model_spec/lower.h"

#include <algorithm>

namespace fathom::model_spec {
namespace {

// Lifetimes of activations, and the paths on which they exist at all.
void note_uses(Block& block) {
  std::vector<bool> used(block.activations.size(), false);
  for (std::size_t i = 0; i < block.steps.size(); ++i) {
    const auto& step = block.steps[i];
    for (const auto& operand : step.operands) {
      if (operand.role != Role::input && operand.role != Role::output) continue;
      auto& a = block.activations[operand.id];
      if (!used[operand.id]) a.first_use = static_cast<std::uint16_t>(i);
      used[operand.id] = true;
      a.last_use = static_cast<std::uint16_t>(i);
      if (operand.role != Role::output) continue;
      a.paths |= step.paths;
      a.transports |= step.transports;
    }
  }
}

void add_gather(BlockBuilder& b, const Lowering& w, const char* label, std::uint8_t logits, Rows rows) {
  if (w.layout.tp == 1) return;
  b.add(label, AllGather<std::int64_t>{.ranks = w.layout.tp, .width = w.model.vocab_size, .type = DType::fp32}, rows,
        {part(in(logits), 0, w.model.vocab_size / w.layout.tp), out(logits)});
}

// Vocabulary rows are sharded over tp: every rank looks up its own and the sum has them all.
void add_embedding(BlockBuilder& b, const Lowering& w, const char* label, const char* reduce, Weight table, std::uint8_t y) {
  const auto& m = w.model;
  b.add(label, Embedding<std::int64_t>{.hidden = m.hidden_size, .vocab = m.vocab_size / w.layout.tp, .table = m.storage.embedding}, Rows::tokens,
        {weight(table), out(y)});
  if (w.layout.tp > 1) b.add(reduce, AllReduce<std::int64_t>{.ranks = w.layout.tp, .width = m.hidden_size}, Rows::tokens, {in(y), out(y)});
}

void add_head(BlockBuilder& b, const Lowering& w, const char* label, const char* gather, const char* sample, Weight head, std::uint8_t x, Rows rows) {
  const auto& m = w.model;
  const auto logits = b.activation("logits", rows, m.vocab_size, DType::fp32);
  const auto id = b.activation("sampled_id", rows, 1, DType::int32);
  auto product = projection(m.hidden_size, m.vocab_size / w.layout.tp, m.storage.embedding);
  product.output = DType::fp32;
  b.add(label, product, rows, {in(x), weight(head), part(out(logits), 0, product.out)});  // this rank's share of the vocabulary
  add_gather(b, w, gather, logits, rows);
  b.add(sample, Sample<std::int64_t>{.vocab = m.vocab_size}, rows, {in(logits), out(id)});
}

Block embedding_block(const Lowering& w) {
  BlockBuilder b("embedding", -1, 1);
  add_embedding(b, w, "embedding", "embedding_all_reduce", Weight::embed_tokens, residual(b, w).delta);
  return b.take();
}

Block head_block(const Lowering& w) {
  BlockBuilder b("head", -1, 1);
  const auto d = w.model.hidden_size;
  const auto r = residual(b, w);
  // The prediction layer reads the normed state of every token, the head only of those that are sampled.
  const auto rows = w.policy.mtp_depth > 0 ? Rows::tokens : Rows::sampled;
  const auto x = b.activation("final", rows, d, DType::bf16);
  if (w.policy.mtp_depth > 0) b.persist(x);
  b.add("final_norm", RmsNorm<std::int64_t>{.width = d, .residual = true}, rows, {in(r.delta), in(r.sum), out(r.sum), weight(Weight::final_norm), out(x)});
  add_head(b, w, "lm_head", "logits_all_gather", "sample", Weight::lm_head, x, Rows::sampled);
  return b.take();
}

void lower_ffn(BlockBuilder& b, const Lowering& w, Ffn kind, const Residual& r) {
  if (kind == Ffn::dense) lower_dense_ffn(b, w, r);
  else lower_moe(b, w, r);
}

Block layer_block(const Lowering& w, const LayerRun& run, std::int64_t first, std::int64_t repeats, bool no_sum) {
  BlockBuilder b(run.ffn == Ffn::dense ? "dense layer" : "MoE layer", first, repeats);
  const auto r = residual(b, w);
  lower_attention(b, w, run.attention, r, no_sum);
  lower_ffn(b, w, run.ffn, r);
  auto block = b.take();
  block.attention = run.attention;
  return block;
}

// One draft: the next token's embedding and the last hidden state, both normed, joined by eh_proj, through one layer and the head.
// Priced on all tokens of the batch for every draft: its cache must hold them, and drafts after the first are a small part of it.
Block mtp_block(const Lowering& w) {
  const auto& m = w.model;
  const auto d = m.hidden_size;
  BlockBuilder b("MTP layer", num_hidden_layers(m), w.policy.mtp_depth);
  const auto r = residual(b, w);
  const auto embedded = b.activation("mtp_embedded", Rows::tokens, d, DType::bf16);
  const auto joined = b.activation("mtp_joined", Rows::tokens, 2 * d, DType::bf16);
  auto hidden = r.sum;
  if (w.policy.mtp_normed_hidden) b.persist(hidden = b.activation("final", Rows::tokens, d, DType::bf16));
  add_embedding(b, w, "mtp_embedding", "mtp_embedding_all_reduce", Weight::mtp_embed_tokens, embedded);
  b.add("mtp_enorm", RmsNorm<std::int64_t>{.width = d}, Rows::tokens, {in(embedded), weight(Weight::mtp_enorm), part(out(joined), 0, d)});
  b.add("mtp_hnorm", RmsNorm<std::int64_t>{.width = d}, Rows::tokens, {in(hidden), weight(Weight::mtp_hnorm), part(out(joined), d, d)}).launched =
      !w.policy.fused;
  b.add("mtp_eh_proj", projection(2 * d, d, m.storage.embedding), Rows::tokens, {in(joined), weight(Weight::mtp_eh_proj), out(r.delta)});
  const auto run = mtp_layer(m);
  lower_attention(b, w, run.attention, r, true);
  lower_ffn(b, w, run.ffn, r);
  const auto x = b.activation("mtp_final", Rows::drafted, d, DType::bf16);
  b.add("mtp_norm", RmsNorm<std::int64_t>{.width = d, .residual = true}, Rows::drafted, {in(r.delta), in(r.sum), out(r.sum), weight(Weight::mtp_norm), out(x)});
  add_head(b, w, "mtp_lm_head", "mtp_logits_all_gather", "mtp_sample", Weight::mtp_lm_head, x, Rows::drafted);
  auto block = b.take();
  block.attention = run.attention;
  return block;
}

// The residual stream to the next pipeline stage, as one tensor.
Block send_block(const Lowering& w) {
  BlockBuilder b("send", -1, 1);
  const auto r = residual(b, w);
  b.add("stage_sum", Add<std::int64_t>{.hidden = w.model.hidden_size}, Rows::tokens, {in(r.delta), in(r.sum), out(r.delta)});
  b.add("send", SendRecv<std::int64_t>{.width = w.model.hidden_size}, Rows::tokens, {in(r.delta)});
  return b.take();
}

// The layers [first, first + count) of the stage as blocks: each run once for all its layers, but for the stage's first layer (no sum yet).
void add_layers(std::vector<Block>& blocks, const Lowering& w, const LayerRange& stage, bool unrolled) {
  for (const auto& run : layer_runs(w.model)) {
    auto from = std::max(run.first, stage.first);
    const auto to = std::min(run.first + run.count, stage.first + stage.count);
    if (from == stage.first && from < to) blocks.push_back(layer_block(w, run, from++, 1, true));
    for (; unrolled && from < to; ++from) blocks.push_back(layer_block(w, run, from, 1, false));
    if (from < to) blocks.push_back(layer_block(w, run, from, to - from, false));
  }
}

// How many of this tensor (of layers, if layers own it) a stage keeps.
std::int64_t owned(const Tensor& t, const Plan& p, const Stage& stage, bool first, bool last) {
  if (t.layers.empty()) return t.id == Weight::embed_tokens ? first : last;
  std::int64_t layers = 0;
  const auto stop = stage.layers.first + stage.layers.count, main = num_hidden_layers(p.model);
  for (const auto& range : t.layers) {
    layers += std::max<std::int64_t>(0, std::min(range.first + range.count, stop) - std::max(range.first, stage.layers.first));
    // The prediction layer's head is the model's own; its embedding too where one rank holds both.
    const bool copy = t.id == Weight::mtp_lm_head || (t.id == Weight::mtp_embed_tokens && first);
    if (last && p.policy.mtp_depth > 0 && range.first + range.count > main && !copy) layers += 1;
  }
  return layers;
}

void weigh(Stage& stage, const Plan& p, const TensorTable& table, bool first, bool last) {
  for (const auto& t : table) {
    const auto layers = owned(t, p, stage, first, last);
    if (layers == 0) continue;
    stage.weight_bytes[static_cast<std::size_t>(t.part)] += static_cast<double>(layers) * rank_bytes(t, p.model, p.layout);
    if (t.id == Weight::input_layernorm) stage.latent_layers += layers;
    if (t.id == Weight::index_wk) stage.index_layers += layers;
    // Absorption multiplies with kv_b in bf16, which is kept besides the stored one that prefill projects with.
    if (t.id == Weight::kv_b_proj && t.storage != DType::bf16) stage.absorbed_bytes += static_cast<double>(layers * 2 * (t.rows / p.layout.tp) * t.columns);
  }
}

}  // namespace

Step& BlockBuilder::add(const char* label, Op op, Rows rows, std::initializer_list<Operand> operands) {
  block_.steps.push_back({.label = label, .op = std::move(op), .rows = rows});
  auto& step = block_.steps.back();
  step.stream = is_collective(family(step.op)) ? Stream::communication : Stream::compute;
  std::ranges::copy(operands, step.operands.begin());
  return step;
}

Block BlockBuilder::take() {
  note_uses(block_);
  block_.dependencies = std::make_shared<Dependencies>(block_.steps);
  return std::move(block_);
}

Residual residual(BlockBuilder& b, const Lowering& w) {
  const auto stream = [&](const char* name) {
    const auto id = b.activation(name, Rows::tokens, w.model.hidden_size, DType::bf16);
    b.persist(id);
    return id;
  };
  return {.delta = stream("delta"), .sum = stream("sum")};
}

std::uint8_t quantised(BlockBuilder& b, const char* label, std::uint8_t x, Rows rows, std::int64_t columns, DType weight, PathSet paths) {
  const auto type = activation_for(weight);
  if (b.type_of(x) == type || !has_scales(type)) return x;
  const auto y = b.activation(label, rows, columns, type);
  b.add(label, Quantise<std::int64_t>{.width = columns, .output = type}, rows, {part(in(x), 0, columns), out(y)}).paths = paths;
  return y;
}

Plan plan(const ModelSpec& m, const Layout& l, const Policy& policy, bool unrolled) {
  Plan p{.model = m, .layout = l, .policy = policy, .routing = routing_constants(m, l), .stages = {}};
  const Lowering w{p.model, p.layout, p.policy};
  const auto table = tensor_table(m);
  for (std::int64_t s = 0; s < l.pp; ++s) {
    const bool first = s == 0, last = s == l.pp - 1;
    Stage stage{.layers = stage_layers(m, l, s), .blocks = {}};
    if (first) stage.blocks.push_back(embedding_block(w));
    add_layers(stage.blocks, w, stage.layers, unrolled);
    if (last) stage.blocks.push_back(head_block(w));
    if (last && policy.mtp_depth > 0) stage.blocks.push_back(mtp_block(w));
    if (!last) stage.blocks.push_back(send_block(w));
    weigh(stage, p, table, first, last);
    p.stages.push_back(std::move(stage));
  }
  return p;
}

}  // namespace fathom::model_spec
