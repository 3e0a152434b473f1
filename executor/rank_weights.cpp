#include <algorithm>
#include <cassert>
#include <map>
#include <utility>

#include "executor/weights.h"
#include "kernels/cpu/parallel.h"

namespace fathom::executor {
namespace {

using kernels::cpu::ConstMatrix;
using model_spec::Plan;
using model_spec::Shard;
using model_spec::Tensor;
using model_spec::Weight;

// A matrix to load, its numbers as WeightSource::load takes them.
struct Wanted {
  const Tensor* tensor = nullptr;
  std::int64_t layer = -1, expert = -1;
};

bool is_expert(const Tensor& t) { return t.shard == Shard::expert_rows || t.shard == Shard::expert_columns; }

// What a stage needs.
struct Needs {
  bool first = false, last = false, mtp = false;  // of the stages; the prediction layer
  std::vector<std::int64_t> layers;               // -1: tensors of the model; the prediction layer comes last
};
Needs needs_of(const Plan& p, std::int64_t stage) {
  const bool last = stage == p.layout.pp - 1;
  Needs n{.first = stage == 0, .last = last, .mtp = last && p.policy.mtp_depth > 0, .layers = {-1}};
  const auto own = stage_layers(p.model, p.layout, stage);
  for (std::int64_t i = 0; i < own.count; ++i) n.layers.push_back(own.first + i);
  if (n.mtp) n.layers.push_back(num_hidden_layers(p.model));
  return n;
}

// The prediction layer's embedding and head are the model's own where the stage has those.
bool loads(const Needs& n, const Tensor& t, std::int64_t layer) {
  if (t.layers.empty()) return layer == -1 && (t.id == Weight::embed_tokens ? n.first : n.last);
  if (t.id == Weight::mtp_lm_head || (t.id == Weight::mtp_embed_tokens && n.first)) return false;
  return std::ranges::any_of(t.layers, [&](const auto& range) { return layer >= range.first && layer < range.first + range.count; });
}

// Layer by layer, as a checkpoint's files hold them.
std::vector<Wanted> list_wanted(const Plan& p, const Place& place, const Needs& needs, const model_spec::TensorTable& table) {
  assert(p.layout.redundant_experts == 0);
  const auto experts = local_experts(p.model, p.layout);
  std::vector<Wanted> list;
  for (const auto layer : needs.layers)
    for (const auto& t : table) {
      if (!loads(needs, t, layer)) continue;
      if (!is_expert(t)) list.push_back({&t, layer});
      for (std::int64_t e = 0; is_expert(t) && e < experts; ++e) list.push_back({&t, layer, place.ep * experts + e});
    }
  return list;
}

double stored_bytes(DType type, std::int64_t rows, std::int64_t columns) {
  return model_spec::storage_bytes(type, static_cast<double>(rows), static_cast<double>(columns));
}

struct Absorbed {
  std::vector<ConstMatrix> k, v;  // of each head: [nope, latent], [latent, v]
  std::shared_ptr<const void> k_owner, v_owner;
};

// kv_b[heads * (nope + v), latent], a head's rows of W_UK before those of W_UV.
Absorbed absorb(const model_spec::ModelSpec& m, const ConstMatrix& kv_b, DType type) {
  const auto nope = m.qk_nope_head_dim, v = m.v_head_dim, latent = kv_b.columns(), heads = kv_b.rows() / (nope + v);
  auto k = new_matrix(type, heads * nope, latent), v_transposed = new_matrix(type, heads * latent, v);
  kernels::cpu::parallel_for(heads, [&](std::int64_t h) {
    for (std::int64_t r = 0; r < nope + v; ++r) {
      const auto row = kernels::cpu::load_row<float>(kv_b.type(), kv_b, h * (nope + v) + r, latent);
      for (std::int64_t c = 0; c < latent; ++c) {
        const float x = row[static_cast<std::size_t>(c)];
        r < nope ? k.view.set(h * nope + r, c, x) : v_transposed.view.set(h * latent + c, r - nope, x);
      }
    }
  });
  Absorbed result{.k = {}, .v = {}, .k_owner = k.stored.owner, .v_owner = v_transposed.stored.owner};
  for (std::int64_t h = 0; h < heads; ++h) {
    result.k.push_back(k.view.rows(h * nope, nope));
    result.v.push_back(v_transposed.view.rows(h * latent, latent));
  }
  return result;
}

}  // namespace

struct RankWeights::Layers {
  std::map<std::pair<Weight, std::int64_t>, std::vector<ConstMatrix>> matrices;  // by weight and layer; one for each expert
  std::map<std::int64_t, Absorbed> absorbed;                                     // by layer
  std::vector<std::shared_ptr<const void>> owners;
  double bytes = 0;

  void keep(const Tensor& t, std::int64_t layer, const StoredMatrix& m) {
    auto view = m.view();
    if (t.columns == 1) view = view.reshaped(1, m.rows);
    matrices[{t.id, layer}].push_back(view);
    owners.push_back(m.owner);
    bytes += stored_bytes(m.type, m.rows, m.columns);
  }
  void share(Weight as, std::int64_t layer, Weight own) { matrices[{as, layer}] = matrices.at({own, -1}); }
};

RankWeights::RankWeights(const Plan& plan, const Place& place, Numerics numerics, const WeightSource& source,
                         const std::function<void(double, double)>& progress) {
  const auto table = tensor_table(plan.model);
  const auto needs = needs_of(plan, place.stage);
  const auto wanted = list_wanted(plan, place, needs, table);
  const auto slice = [&](const Wanted& w) { return slice_of(*w.tensor, plan.layout, place); };
  const auto bytes = [&](const Wanted& w) { return stored_bytes(w.tensor->storage, slice(w).rows, slice(w).columns); };
  double all = 0, done = 0;
  for (const auto& w : wanted) all += bytes(w);

  auto layers = std::make_shared<Layers>();
  for (const auto& w : wanted) {
    auto m = source.load(*w.tensor, w.layer, w.expert, slice(w));
    if (numerics == Numerics::bf16 && model_spec::has_scales(m.type)) m = converted(m, DType::bf16);
    layers->keep(*w.tensor, w.layer, m);
    if (w.tensor->id == Weight::kv_b_proj) layers->absorbed[w.layer] = absorb(plan.model, m.view(), numerics == Numerics::exact ? DType::fp32 : DType::bf16);
    if (progress) progress(done += bytes(w), all);
  }
  if (needs.mtp) layers->share(Weight::mtp_lm_head, needs.layers.back(), Weight::lm_head);
  if (needs.mtp && needs.first) layers->share(Weight::mtp_embed_tokens, needs.layers.back(), Weight::embed_tokens);
  layers_ = std::move(layers);
}

bool RankWeights::has(Weight weight, std::int64_t layer) const { return layers_->matrices.contains({weight, layer}); }
const ConstMatrix& RankWeights::get(Weight weight, std::int64_t layer) const { return layers_->matrices.at({weight, layer}).front(); }
std::span<const ConstMatrix> RankWeights::experts(Weight weight, std::int64_t layer) const { return layers_->matrices.at({weight, layer}); }
std::span<const ConstMatrix> RankWeights::absorbed_k(std::int64_t layer) const { return layers_->absorbed.at(layer).k; }
std::span<const ConstMatrix> RankWeights::absorbed_v(std::int64_t layer) const { return layers_->absorbed.at(layer).v; }
double RankWeights::bytes() const { return layers_->bytes; }

}  // namespace fathom::executor
