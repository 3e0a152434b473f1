// MLA and the lightning indexer as steps (model-facts: DeepSeek-V3 report section 2.1, DeepSeek-V3.2 report section 2).
#include <bit>

#include "model_spec/lower.h"

namespace fathom::model_spec {
namespace {

struct Inputs {
  std::uint8_t x = 0, x_bf16 = 0;   // normed hidden state, as the projections and as weights_proj read it
  std::uint8_t q_latent = 0;        // normed query latent, as q_b reads it
  std::uint8_t q_latent_index = 0;  // the same as the indexer's wq_b may read it
  std::uint8_t kv = 0;              // key-value latent and RoPE part
  std::uint8_t index_key = 0;
};

void lower_norm(BlockBuilder& b, const Lowering& w, const Residual& r, bool sparse, bool first, Inputs& inputs) {
  const auto& m = w.model;
  const auto type = w.produced(m.storage.attention);
  inputs.x = b.activation("x", Rows::tokens, m.hidden_size, type);
  const bool keep = sparse && type != DType::bf16;
  inputs.x_bf16 = keep ? b.activation("x_bf16", Rows::tokens, m.hidden_size, DType::bf16) : inputs.x;
  const RmsNorm<std::int64_t> norm{.width = m.hidden_size, .residual = !first, .output = type, .keep_bf16 = keep};
  b.add("attn_norm", norm, Rows::tokens, {in(r.delta), in(r.sum), out(r.sum), weight(Weight::input_layernorm), out(inputs.x), out(inputs.x_bf16)});
}

// q_a, kv_a and the indexer's wk read the same input: one product if fused and stored alike.
void lower_down_projections(BlockBuilder& b, const Lowering& w, bool sparse, Inputs& inputs) {
  const auto& m = w.model;
  const auto storage = m.storage.attention;
  const auto x = quantised(b, "x_quantise", inputs.x, Rows::tokens, m.hidden_size, storage);
  const auto index_dims = sparse ? m.indexer->index_head_dim : 0;
  const bool join_index = sparse && w.policy.fused && m.storage.indexer == storage;
  inputs.q_latent = b.activation("q_a", Rows::tokens, m.q_lora_rank, DType::bf16);
  inputs.kv = b.activation("kv", Rows::tokens, latent_dim(m), DType::bf16);
  if (sparse) inputs.index_key = b.activation("index_k", Rows::tokens, index_dims, DType::bf16);
  if (w.policy.fused) {
    const auto width = m.q_lora_rank + latent_dim(m) + (join_index ? index_dims : 0);
    if (join_index)  // the ragged one last: scales belong to 128 rows
      b.add(
          "qkv_a", projection(m.hidden_size, width, storage), Rows::tokens,
          {in(x), weight(Weight::q_a_proj), weight(Weight::index_wk), weight(Weight::kv_a_proj), out(inputs.q_latent), out(inputs.index_key), out(inputs.kv)});
    else
      b.add("qkv_a", projection(m.hidden_size, width, storage), Rows::tokens,
            {in(x), weight(Weight::q_a_proj), weight(Weight::kv_a_proj), out(inputs.q_latent), out(inputs.kv)});
  } else {
    b.add("q_a", projection(m.hidden_size, m.q_lora_rank, storage), Rows::tokens, {in(x), weight(Weight::q_a_proj), out(inputs.q_latent)});
    b.add("kv_a", projection(m.hidden_size, latent_dim(m), storage), Rows::tokens, {in(x), weight(Weight::kv_a_proj), out(inputs.kv)});
  }
  if (sparse && !join_index) {
    const auto xi = quantised(b, "index_x_quantise", inputs.x_bf16, Rows::tokens, m.hidden_size, m.storage.indexer);
    b.add("index_wk", projection(m.hidden_size, index_dims, m.storage.indexer), Rows::tokens, {in(xi), weight(Weight::index_wk), out(inputs.index_key)});
  }
}

// Query latent normed and projected, RoPE on both, latent cached. Returns the query activation.
std::uint8_t lower_query(BlockBuilder& b, const Lowering& w, Inputs& inputs) {
  const auto& m = w.model;
  const auto type = w.produced(m.storage.attention);
  const bool keep = m.indexer && type != DType::bf16 && activation_for(m.storage.indexer) != type;
  const auto q_normed = b.activation("q_normed", Rows::tokens, m.q_lora_rank, type);
  inputs.q_latent_index = keep ? b.activation("q_normed_bf16", Rows::tokens, m.q_lora_rank, DType::bf16) : q_normed;
  b.add("q_a_norm", RmsNorm<std::int64_t>{.width = m.q_lora_rank, .output = type, .keep_bf16 = keep}, Rows::tokens,
        {in(inputs.q_latent), weight(Weight::q_a_layernorm), out(q_normed), out(inputs.q_latent_index)});
  b.add("kv_a_norm", RmsNorm<std::int64_t>{.width = m.kv_lora_rank}, Rows::tokens,
        {part(in(inputs.kv), 0, m.kv_lora_rank), weight(Weight::kv_a_layernorm), part(out(inputs.kv), 0, m.kv_lora_rank)})
      .launched = !w.policy.fused;
  inputs.q_latent = quantised(b, "q_quantise", q_normed, Rows::tokens, m.q_lora_rank, m.storage.attention);
  if (m.storage.indexer == m.storage.attention) inputs.q_latent_index = inputs.q_latent;
  const auto q = b.activation("q", Rows::tokens, w.heads() * qk_head_dim(m), DType::bf16);
  b.add("q_b", projection(m.q_lora_rank, w.heads() * qk_head_dim(m), m.storage.attention), Rows::tokens,
        {in(inputs.q_latent), weight(Weight::q_b_proj), out(q)});
  const auto rope = m.qk_rope_head_dim;
  b.add("rope_q", Rope<std::int64_t>{.heads = w.heads(), .dims = rope}, Rows::tokens,
        {part(in(q), m.qk_nope_head_dim, rope), part(out(q), m.qk_nope_head_dim, rope)});
  b.add("rope_k", Rope<std::int64_t>{.heads = 1, .dims = rope}, Rows::tokens,
        {part(in(inputs.kv), m.kv_lora_rank, rope), part(out(inputs.kv), m.kv_lora_rank, rope)})
      .launched = !w.policy.fused;
  b.add("latent_cache_write", LatentCacheWrite<std::int64_t>{.latent = m.kv_lora_rank, .rope = m.qk_rope_head_dim, .format = w.policy.cache}, Rows::tokens,
        {in(inputs.kv), writes(Cache::latent)})
      .launched = !w.policy.fused;
  return q;
}

// Keys are written for every token, whatever path the attention takes: later steps score against them.
void lower_index_key(BlockBuilder& b, const Lowering& w, const Inputs& inputs) {
  const auto& i = *w.model.indexer;
  const auto stages = static_cast<std::int64_t>(std::countr_zero(static_cast<std::uint64_t>(i.index_head_dim)));
  const auto k8 = b.activation("index_k8", Rows::tokens, i.index_head_dim, DType::fp8_row);
  b.add("index_k_norm", LayerNorm<std::int64_t>{.width = i.index_head_dim}, Rows::tokens,
        {in(inputs.index_key), weight(Weight::index_k_norm_weight), weight(Weight::index_k_norm_bias), out(inputs.index_key)});
  b.add("index_rope_k", Rope<std::int64_t>{.heads = 1, .dims = w.model.qk_rope_head_dim, .interleaved = false}, Rows::tokens,
        {part(in(inputs.index_key), 0, w.model.qk_rope_head_dim), part(out(inputs.index_key), 0, w.model.qk_rope_head_dim)})
      .launched = !w.policy.fused;
  b.add("index_hadamard_k", Hadamard<std::int64_t>{.heads = 1, .width = i.index_head_dim, .stages = stages, .output = DType::fp8_row}, Rows::tokens,
        {in(inputs.index_key), out(k8)})
      .launched = !w.policy.fused;
  b.add("index_cache_write", IndexCacheWrite<std::int64_t>{.dims = i.index_head_dim}, Rows::tokens, {in(k8), writes(Cache::index)}).launched = !w.policy.fused;
}

// Scores and choice for groups whose path wants them. Returns the indices.
std::uint8_t lower_index_choice(BlockBuilder& b, const Lowering& w, const Inputs& inputs) {
  const auto& m = w.model;
  const auto& i = *m.indexer;
  const auto width = i.index_n_heads * i.index_head_dim;
  const auto stages = static_cast<std::int64_t>(std::countr_zero(static_cast<std::uint64_t>(i.index_head_dim)));
  const auto q = b.activation("index_q", Rows::path, width, DType::bf16);
  const auto q8 = b.activation("index_q8", Rows::path, width, DType::fp8_row);
  const auto head_weights = b.activation("index_weights", Rows::path, i.index_n_heads, DType::fp32);
  const auto chosen = b.activation("topk", Rows::path, i.index_topk, DType::int32);
  const auto add = [&](const char* label, Op op, Rows rows, std::initializer_list<Operand> operands) -> Step& {
    auto& step = b.add(label, std::move(op), rows, operands);
    step.paths = indexed_paths;
    return step;
  };
  const auto latent = quantised(b, "index_q_quantise", inputs.q_latent_index, Rows::path, m.q_lora_rank, m.storage.indexer, indexed_paths);
  add("index_wq_b", projection(m.q_lora_rank, width, m.storage.indexer), Rows::path, {in(latent), weight(Weight::index_wq_b), out(q)});
  add("index_rope_q", Rope<std::int64_t>{.heads = i.index_n_heads, .dims = m.qk_rope_head_dim, .interleaved = false}, Rows::path,
      {part(in(q), 0, m.qk_rope_head_dim), part(out(q), 0, m.qk_rope_head_dim)});
  add("index_hadamard_q", Hadamard<std::int64_t>{.heads = i.index_n_heads, .width = i.index_head_dim, .stages = stages, .output = DType::fp8_row}, Rows::path,
      {in(q), out(q8)})
      .launched = !w.policy.fused;
  auto weights = projection(m.hidden_size, i.index_n_heads, DType::bf16);
  weights.output = DType::fp32;
  add("index_weights", weights, Rows::path, {in(inputs.x_bf16), weight(Weight::index_weights_proj), out(head_weights)});
  // Scores live in a chunked workspace (memory.h), not in an activation of their own.
  add("index_logits", IndexLogits<std::int64_t>{.heads = i.index_n_heads, .dims = i.index_head_dim}, Rows::group,
      {in(q8), in(head_weights), reads(Cache::index), out(chosen)});
  add("top_k", TopK<std::int64_t>{.topk = i.index_topk}, Rows::group, {in(chosen), out(chosen)});
  return chosen;
}

struct Core {
  std::uint8_t q = 0, kv = 0, chosen = 0, result = 0;
};

// Keys and values expanded for the whole context; what is cached of it comes back from the cache first.
void lower_mha(BlockBuilder& b, const Lowering& w, const Core& core, bool sparse) {
  const auto& m = w.model;
  const auto width = w.heads() * (m.qk_nope_head_dim + m.v_head_dim);
  const auto context = b.activation("context", Rows::context, latent_dim(m), DType::bf16);
  b.stand_for(context, core.kv);  // if nothing is cached, the new tokens are the whole context
  const auto expanded = b.activation("kv_expanded", Rows::context, width, DType::bf16);
  b.add("latent_cache_read_mha", LatentCacheRead<std::int64_t>{.latent = m.kv_lora_rank, .rope = m.qk_rope_head_dim, .format = w.policy.cache}, Rows::cached,
        {in(core.kv), reads(Cache::latent), out(context)})
      .paths = mha_paths;
  const auto x = quantised(b, "context_quantise", context, Rows::context, m.kv_lora_rank, m.storage.attention, mha_paths);
  b.add("kv_b", projection(m.kv_lora_rank, width, m.storage.attention), Rows::context,
        {part(in(x), 0, m.kv_lora_rank), weight(Weight::kv_b_proj), out(expanded)})
      .paths = mha_paths;
  DenseMha<std::int64_t> mha{.heads = w.heads(), .nope = m.qk_nope_head_dim, .rope = m.qk_rope_head_dim, .v = m.v_head_dim};
  b.add("mha", mha, Rows::group, {in(core.q), in(expanded), in(context), out(core.result)}).paths = bit(Path::dense_mha);
  if (!sparse) return;
  mha.masked = true;
  b.add("mha_masked", mha, Rows::group, {in(core.q), in(expanded), in(context), in(core.chosen), out(core.result)}).paths = bit(Path::masked_mha);
}

void lower_mqa(BlockBuilder& b, const Lowering& w, const Core& core, bool sparse) {
  const auto& m = w.model;
  const auto q = b.activation("q_absorbed", Rows::path, w.heads() * latent_dim(m), DType::bf16);
  const auto o = b.activation("o_latent", Rows::path, w.heads() * m.kv_lora_rank, DType::bf16);
  b.add("absorb_q", BatchedGemm<std::int64_t>{.heads = w.heads(), .in = m.qk_nope_head_dim, .out = m.kv_lora_rank}, Rows::path,
        {part(in(core.q), 0, m.qk_nope_head_dim), part(weight(Weight::kv_b_proj), 0, m.qk_nope_head_dim), part(out(q), 0, m.kv_lora_rank),
         part(in(core.q), m.qk_nope_head_dim, m.qk_rope_head_dim), part(out(q), m.kv_lora_rank, m.qk_rope_head_dim)})  // the RoPE part goes along
      .paths = mqa_paths;
  b.add("mqa", DenseMqa<std::int64_t>{.heads = w.heads(), .latent = m.kv_lora_rank, .rope = m.qk_rope_head_dim, .cache = w.policy.cache}, Rows::group,
        {in(q), reads(Cache::latent), out(o)})
      .paths = bit(Path::dense_mqa);
  if (sparse) {
    SparseMla<std::int64_t> mla{
        .heads = w.heads(), .latent = m.kv_lora_rank, .rope = m.qk_rope_head_dim, .topk = m.indexer->index_topk, .cache = w.policy.cache};
    b.add("sparse_mla", mla, Rows::group, {in(q), in(core.chosen), reads(Cache::latent), out(o)}).paths = bit(Path::sparse_decode);
    auto keys = reads(Cache::latent);
    if (w.policy.cache != CacheFormat::bf16) {
      const auto copy = b.activation("context_bf16", Rows::context, latent_dim(m), DType::bf16);
      b.add("latent_cache_read", LatentCacheRead<std::int64_t>{.latent = m.kv_lora_rank, .rope = m.qk_rope_head_dim, .format = w.policy.cache}, Rows::context,
            {keys, out(copy)})
          .paths = bit(Path::sparse_prefill);
      keys = in(copy);
    }
    mla.cache = CacheFormat::bf16;
    b.add("sparse_mla_prefill", mla, Rows::group, {in(q), in(core.chosen), keys, out(o)}).paths = bit(Path::sparse_prefill);
  }
  b.add("absorb_v", BatchedGemm<std::int64_t>{.heads = w.heads(), .in = m.kv_lora_rank, .out = m.v_head_dim}, Rows::path,
        {in(o), part(weight(Weight::kv_b_proj), m.qk_nope_head_dim, m.v_head_dim), out(core.result)})
      .paths = mqa_paths;
}

}  // namespace

void lower_attention(BlockBuilder& b, const Lowering& w, Attention kind, const Residual& r, bool first) {
  const auto& m = w.model;
  const bool sparse = kind == Attention::mla_sparse;
  Inputs inputs;
  lower_norm(b, w, r, sparse, first, inputs);
  lower_down_projections(b, w, sparse, inputs);
  Core core{.q = lower_query(b, w, inputs), .kv = inputs.kv};
  if (sparse) lower_index_key(b, w, inputs);
  if (sparse) core.chosen = lower_index_choice(b, w, inputs);
  core.result = b.activation("attention", Rows::tokens, w.heads() * m.v_head_dim, DType::bf16);
  lower_mha(b, w, core, sparse);
  lower_mqa(b, w, core, sparse);

  // Attention kernels write bf16: their result is quantised by a kernel of its own.
  const auto result = quantised(b, "o_quantise", core.result, Rows::tokens, w.heads() * m.v_head_dim, m.storage.attention);
  b.add("o_proj", projection(w.heads() * m.v_head_dim, m.hidden_size, m.storage.attention), Rows::tokens, {in(result), weight(Weight::o_proj), out(r.delta)});
  if (w.layout.tp > 1)
    b.add("attn_all_reduce", AllReduce<std::int64_t>{.ranks = w.layout.tp, .width = m.hidden_size}, Rows::tokens, {in(r.delta), out(r.delta)});
}

}  // namespace fathom::model_spec
