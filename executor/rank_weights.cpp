#include <map>
#include <utility>

#include "executor/wanted_weights.h"
#include "kernels/cpu/parallel.h"

namespace fathom::executor {
namespace {

using kernels::cpu::ConstMatrix;
using model_spec::Plan;
using model_spec::Tensor;
using model_spec::Weight;

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

RankWeights::RankWeights(const Plan& plan, const model_spec::Place& place, Numerics numerics, const WeightSource& source, const LoadProgress& progress) {
  const auto table = tensor_table(plan.model);
  const auto wanted = wanted_weights(plan, place, table);
  const double all = wanted.stored_bytes();
  double done = 0;
  auto layers = std::make_shared<Layers>();
  for (const auto& w : wanted.load)
    for (std::int64_t i = 0; i < w.count; ++i) {
      auto m = source.load(*w.tensor, w.layer, w.expert(i), w.slice);
      if (numerics == Numerics::bf16 && model_spec::has_scales(m.type)) m = converted(m, DType::bf16);
      layers->keep(*w.tensor, w.layer, m);
      if (w.tensor->id == Weight::kv_b_proj) layers->absorbed[w.layer] = absorb(plan.model, m.view(), numerics == Numerics::exact ? DType::fp32 : DType::bf16);
      done += w.stored_bytes() / static_cast<double>(w.count);
      if (progress) progress(done, all);
    }
  for (const auto& s : wanted.shared) layers->share(s.as, s.layer, s.own);
  layers_ = std::move(layers);
}

bool RankWeights::has(Weight weight, std::int64_t layer) const { return layers_->matrices.contains({weight, layer}); }
const ConstMatrix& RankWeights::get(Weight weight, std::int64_t layer) const { return layers_->matrices.at({weight, layer}).front(); }
std::span<const ConstMatrix> RankWeights::experts(Weight weight, std::int64_t layer) const { return layers_->matrices.at({weight, layer}); }
std::span<const ConstMatrix> RankWeights::absorbed_k(std::int64_t layer) const { return layers_->absorbed.at(layer).k; }
std::span<const ConstMatrix> RankWeights::absorbed_v(std::int64_t layer) const { return layers_->absorbed.at(layer).v; }
double RankWeights::bytes() const { return layers_->bytes; }

}  // namespace fathom::executor
