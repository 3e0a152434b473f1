// What looks at the keys of a context: index scores, the choice of keys, attention. Queries of a group, as bind() sizes them.
#include <cmath>

#include "executor/cuda/stand.h"
#include "executor/rope.h"
#include "executor/synthetic.h"
#include "kernels/cuda/attention.h"
#include "kernels/cuda/index_logits.h"
#include "kernels/cuda/top_k.h"

namespace fathom::executor::stands {

using namespace model_spec;
namespace cuda = kernels::cuda;
using cuda::Matrix;
using Stream = cuda::Stream;

namespace {

// The queries of a group and where their keys stand.
struct Keys {
  I sequences = 0, fresh = 0, cached = 0;
  Stand::Operand sequence{}, visible{}, pages{}, first_key{};

  [[nodiscard]] I tokens() const { return sequences * fresh; }
  [[nodiscard]] I context() const { return cached + fresh; }  // of a sequence
  [[nodiscard]] I all() const { return sequences * context(); }
  [[nodiscard]] I pages_each() const { return (context() + page_tokens - 1) / page_tokens; }
  [[nodiscard]] I seen_by(I token) const { return cached + token % fresh + 1; }
};

template <class Op>
Keys keys_of(Stand& s, const Op& op) {
  Keys k{.sequences = op.sequences, .fresh = op.new_tokens, .cached = op.cached_tokens};
  std::vector<std::int32_t> sequence, visible, pages, first_key;
  for (I t = 0; t < k.tokens(); ++t) sequence.push_back(static_cast<std::int32_t>(t / k.fresh)), visible.push_back(static_cast<std::int32_t>(k.seen_by(t)));
  for (const auto page : bench_order(static_cast<std::size_t>(k.sequences * k.pages_each()))) pages.push_back(static_cast<std::int32_t>(page));
  for (I i = 0; i < k.sequences; ++i) first_key.push_back(static_cast<std::int32_t>(i * k.context()));
  k.sequence = s.list<std::int32_t>(sequence);
  k.visible = s.list<std::int32_t>(visible);
  k.pages = s.list<std::int32_t>(pages);
  k.first_key = s.list<std::int32_t>(first_key);
  return k;
}

cuda::Context context_of(const Stand& s, const Keys& k) {
  return {s.data<std::int32_t>(k.sequence, 0), s.data<std::int32_t>(k.visible, 0), s.data<std::int32_t>(k.pages, 0), k.pages_each(), k.context()};
}

// Distinct positions among those that each query sees, ascending, then -1: one at random of each of `topk` equal parts. Others in each set.
std::vector<std::int32_t> chosen_keys(const Keys& k, I topk, I set) {
  std::vector<std::int32_t> all;
  all.reserve(static_cast<std::size_t>(k.tokens() * topk));
  auto draw = static_cast<std::uint64_t>(set) << 32;
  for (I t = 0; t < k.tokens(); ++t)
    for (I i = 0, n = k.seen_by(t); i < topk; ++i) {
      const I first = n > topk ? i * n / topk : i, last = n > topk ? (i + 1) * n / topk : i + 1;
      all.push_back(i < n ? static_cast<std::int32_t>(first + static_cast<I>(splitmix64(draw++) % static_cast<std::uint64_t>(last - first))) : -1);
    }
  return all;
}
Stand::Operand chosen_of(Stand& s, const Keys& k, I topk) {
  return s.lists<std::int32_t>([k, topk](I set) { return chosen_keys(k, topk, set); });
}
Matrix chosen_view(const Stand& s, Stand::Operand chosen, const Keys& k, I topk, I set) {
  return {.type = DType::int32, .rows = k.tokens(), .columns = topk, .stride = topk, .data = s.data<std::int32_t>(chosen, set)};
}

I multiple_of_4(I n) { return (n + 3) / 4 * 4; }

}  // namespace

void declare(Stand& s, const IndexLogits<I>& op, const StandFacts& facts) {
  const auto k = keys_of(s, op);
  const auto q = s.random(facts.index_keys, k.tokens() * op.heads, op.dims), w = s.random(DType::fp32, k.tokens(), op.heads);
  const auto cache = s.index_cache(facts.index_keys, op.dims, k.sequences * k.pages_each());
  const auto logits = s.output(DType::fp32, k.tokens(), multiple_of_4(k.context()));
  const float factor = 1 / std::sqrt(static_cast<float>(op.heads * op.dims));
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::index_logits(op, k.tokens(), factor, s.matrix(q, set), s.matrix(w, set), s.index(cache, set), context_of(s, k), s.matrix(logits, set), stream);
  });
}

void declare(Stand& s, const TopK<I>& op) {
  const auto k = keys_of(s, op);
  const auto scores = s.random(DType::fp32, k.tokens(), multiple_of_4(k.context())), indices = s.output(DType::int32, k.tokens(), op.topk);
  s.on_launch([=, &s](I set, Stream stream) { cuda::top_k(op, k.tokens(), s.matrix(scores, set), context_of(s, k).visible, s.matrix(indices, set), stream); });
}

void declare(Stand& s, const DenseMha<I>& op, const StandFacts& facts) {
  const auto k = keys_of(s, op);
  const auto q = s.random(DType::bf16, k.tokens() * op.heads, op.nope + op.rope), kv = s.random(DType::bf16, k.all() * op.heads, op.nope + op.v);
  const auto k_pe = s.random(DType::bf16, k.all(), op.rope), o = s.output(DType::bf16, k.tokens() * op.heads, op.v);
  const I topk = op.masked ? facts.model.indexer->index_topk : 0;
  const auto chosen = chosen_of(s, k, topk);
  const auto bits = s.scratch(op.masked ? cuda::mha_workspace(k.tokens(), k.context()) : 0);
  const float scale = softmax_scale(facts.model);
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::dense_mha(op, k.tokens(), scale, s.matrix(q, set), s.matrix(kv, set), s.matrix(k_pe, set), context_of(s, k), s.data<std::int32_t>(k.first_key, set),
                    op.masked ? chosen_view(s, chosen, k, topk, set) : Matrix{}, op.masked ? s.workspace(bits, set) : cuda::Workspace{}, s.matrix(o, set),
                    stream);
  });
}

void declare(Stand& s, const DenseMqa<I>& op, const StandFacts& facts) {
  const auto k = keys_of(s, op);
  const auto rows = k.tokens() * op.heads;
  const auto q = s.random(DType::bf16, rows, op.latent + op.rope), o = s.output(DType::bf16, rows, op.latent);
  const auto cache = s.latent_cache(op.cache, op.latent, op.rope, k.sequences * k.pages_each());
  const auto workspace = s.scratch(cuda::attention_workspace(k.tokens(), op.heads, op.latent));
  const float scale = softmax_scale(facts.model);
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::dense_mqa(op, k.tokens(), scale, s.matrix(q, set), s.latent(cache, set), context_of(s, k), s.workspace(workspace, set), s.matrix(o, set), stream);
  });
}

void declare(Stand& s, const SparseMla<I>& op, const StandFacts& facts, bool from_copy) {
  const auto k = keys_of(s, op);
  const auto rows = k.tokens() * op.heads;
  const auto q = s.random(DType::bf16, rows, op.latent + op.rope), o = s.output(DType::bf16, rows, op.latent), chosen = chosen_of(s, k, op.topk);
  const auto cache = s.latent_cache(from_copy ? CacheFormat::fp8 : op.cache, op.latent, op.rope, from_copy ? 0 : k.sequences * k.pages_each());
  const auto copy = s.random(DType::bf16, from_copy ? k.all() : 0, op.latent + op.rope);
  const auto workspace = s.scratch(cuda::attention_workspace(k.tokens(), op.heads, op.latent));
  const float scale = softmax_scale(facts.model);
  s.on_launch([=, &s](I set, Stream stream) {
    cuda::sparse_mla(op, k.tokens(), scale, s.matrix(q, set), chosen_view(s, chosen, k, op.topk, set), s.latent(cache, set),
                     from_copy ? s.matrix(copy, set) : Matrix{}, from_copy ? s.data<std::int32_t>(k.first_key, set) : nullptr, context_of(s, k),
                     s.workspace(workspace, set), s.matrix(o, set), stream);
  });
}

}  // namespace fathom::executor::stands
