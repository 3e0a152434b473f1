// Weights by rule made on the device, bit for bit as SyntheticWeights makes them on the host; and what is absorbed from them.
#include "kernels/cuda/synthetic.h"

#include "executor/synthetic.h"
#include "kernels/cuda/absorb.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using executor::Slice;
using executor::StoredMatrix;
using executor::SyntheticWeights;
using model_spec::Tensor;
using model_spec::Weight;

constexpr std::uint64_t seed = 21;

Tensor tensor(const char* name, I rows, I columns, DType storage, Weight id = {}) {
  return {.id = id, .name = name, .rows = rows, .columns = columns, .storage = storage, .layers = {}};
}
Slice whole(const Tensor& t) { return {.rows = t.rows, .columns = t.columns}; }

// A vector is a row.
Synthetic how(const executor::Rule& rule, const Tensor& t, const Slice& s) {
  const bool vector = t.columns == 1;
  return {.offset = rule.offset,
          .factor = rule.factor,
          .rounded = rule.rounded,
          .columns = t.columns,
          .first_row = vector ? 0 : s.first_row,
          .first_column = vector ? s.first_row : s.first_column};
}

void expect_same_bits(const cpu::Matrix& got, const cpu::ConstMatrix& right) {
  ASSERT_EQ(got.type(), right.type());
  ASSERT_EQ(got.rows() * got.columns(), right.rows() * right.columns());
  const auto bytes = static_cast<I>(model_spec::element_bytes(got.type())) * got.rows() * got.columns();
  for (I i = 0; i < bytes; ++i) ASSERT_EQ(got.data()[i], right.data()[i]) << "byte " << i;
  if (!model_spec::has_scales(right.type())) return;
  for (I r = 0; r < right.rows(); r += model_spec::scale_block)
    for (I c = 0; c < right.columns(); c += model_spec::scale_block) ASSERT_EQ(got.scale(r, c), right.scale(r, c)) << r << " " << c;
}

class SyntheticOnDevice : public OnDevice {
 protected:
  // As the tensor is stored, and dequantised where it has blocks.
  static void expect_same(const Tensor& t, const Slice& s, DType unquantised = DType::bf16) {
    SCOPED_TRACE(t.name + " as " + std::string(name_of(t.storage)));
    const SyntheticWeights source(seed, unquantised);
    const auto right = source.load(t, 3, -1, s);
    const auto rule = source.rule(t, 3, -1);
    ASSERT_TRUE(rule);
    const auto [rows, columns] = t.columns == 1 ? std::pair{I{1}, s.rows} : std::pair{s.rows, s.columns};
    for (const auto type : {t.storage, DType::bf16}) {
      if (type != t.storage && t.storage != DType::fp8_block) continue;
      const DeviceMatrix y(type, rows, columns);
      synthetic(how(*rule, t, s), t.storage, {&rule->base, 1}, {.first = y.view(), .count = 1}, nullptr);
      expect_same_bits(y.host(), (type == t.storage ? right : converted(right, type)).view());
    }
  }
};

TEST_F(SyntheticOnDevice, EveryKindOfName) {
  for (const auto type : {DType::bf16, DType::fp32}) {
    for (const auto* name : {"model.norm.weight", "model.layers.{layer}.self_attn.indexer.k_norm.bias", "mlp.gate.e_score_correction_bias", "a.vector"}) {
      const auto t = tensor(name, 1000, 1, type);
      expect_same(t, whole(t));
    }
    for (const auto* name : {"model.embed_tokens.weight", "lm_head.weight", "model.layers.{layer}.mlp.gate.weight"}) {
      const auto t = tensor(name, 300, 264, type);
      expect_same(t, whole(t));
    }
  }
  const auto blocks = tensor("model.layers.{layer}.self_attn.q_a_proj.weight", 384, 256, DType::fp8_block);
  expect_same(blocks, whole(blocks));
}

TEST_F(SyntheticOnDevice, ThePredictionLayerHoldsCopies) {
  const auto embed = tensor("model.layers.{layer}.embed_tokens.weight", 256, 128, DType::bf16, Weight::mtp_embed_tokens);
  const auto head = tensor("model.layers.{layer}.shared_head.head.weight", 256, 128, DType::bf16, Weight::mtp_lm_head);
  expect_same(embed, whole(embed));
  expect_same(head, whole(head));
}

TEST_F(SyntheticOnDevice, IndexNormHoldsWhatTheModelStores) {
  const auto weight = tensor("indexer.k_norm.weight", 128, 1, DType::fp32, Weight::index_k_norm_weight);
  const auto bias = tensor("indexer.k_norm.bias", 128, 1, DType::fp32, Weight::index_k_norm_bias);
  for (const auto unquantised : {DType::bf16, DType::fp32})
    for (const auto& t : {weight, bias}) expect_same(t, whole(t), unquantised);
}

TEST_F(SyntheticOnDevice, RaggedEdges) {
  for (const auto& [rows, columns] : {std::pair{1, 1}, {1, 8}, {3, 13}, {127, 129}, {129, 127}, {130, 250}, {192, 264}, {576, 136}})
    for (const auto type : {DType::fp32, DType::bf16, DType::fp8_block}) {
      const auto t = tensor("x.weight", rows, columns, type);
      if (columns > 1 || type != DType::fp8_block) expect_same(t, whole(t));
    }
}

TEST_F(SyntheticOnDevice, Slices) {
  const auto vector = tensor("input_layernorm.weight", 512, 1, DType::bf16);
  expect_same(vector, {.first_row = 100, .rows = 57, .columns = 1});
  const auto plain = tensor("x.weight", 300, 301, DType::bf16);
  expect_same(plain, {.first_row = 17, .rows = 200, .first_column = 31, .columns = 99});
  const auto blocks = tensor("x.weight", 450, 401, DType::fp8_block);
  expect_same(blocks, {.first_row = 128, .rows = 256, .first_column = 256, .columns = 128});
  expect_same(blocks, {.first_row = 256, .rows = 194, .first_column = 128, .columns = 273});  // to the edges
}

TEST_F(SyntheticOnDevice, BeyondFourBillionElements) {  // indices need 64 bits
  const auto t = tensor("lm_head.weight", I{1} << 21, 4096, DType::bf16);
  expect_same(t, {.first_row = t.rows - 3, .rows = 3, .columns = t.columns});
  const auto blocks = tensor("x.weight", I{1} << 21, 4096, DType::fp8_block);
  expect_same(blocks, {.first_row = t.rows - 128, .rows = 128, .first_column = 3968, .columns = 128});
}

// More than one launch takes, with room between the matrices.
TEST_F(SyntheticOnDevice, StacksOfExperts) {
  constexpr I experts = 300;
  const SyntheticWeights source(seed);
  for (const auto type : {DType::fp8_block, DType::bf16}) {
    const auto t = tensor("model.layers.{layer}.mlp.experts.{expert}.up_proj.weight", 136, 200, type);
    constexpr I step = 136 * 200 + 96, scale_stride = 4, scale_step = 2 * scale_stride;
    const Memory numbers(static_cast<std::size_t>(experts * step * static_cast<I>(model_spec::element_bytes(type)))), scales(experts * scale_step * 4);
    std::vector<std::uint64_t> bases;
    for (I e = 0; e < experts; ++e) bases.push_back(source.rule(t, 5, e)->base);
    const bool blocks = type == DType::fp8_block;
    const Stack stack{.first = {type, 136, 200, 200, numbers.get(), blocks ? scales.as<float>() : nullptr, blocks ? scale_stride : 0},
                      .count = experts,
                      .step = step,
                      .scale_step = blocks ? scale_step : 0};
    synthetic(how(*source.rule(t, 5, 0), t, whole(t)), type, bases, stack, nullptr);
    for (I e = 0; e < experts; ++e) {
      SCOPED_TRACE(e);
      const auto right = source.load(t, 5, e, whole(t));
      const auto size = static_cast<I>(model_spec::element_bytes(type));
      const auto got = download<std::byte>(numbers.as<std::byte>() + e * step * size, static_cast<std::size_t>(136 * 200 * size));
      ASSERT_EQ(std::memcmp(got.data(), right.data, got.size()), 0);
      if (!blocks) continue;
      const auto factors = download<float>(scales.as<float>() + e * scale_step, scale_step);
      for (I r = 0; r < 136; r += 128)
        for (I c = 0; c < 200; c += 128) ASSERT_EQ(factors[static_cast<std::size_t>(r / 128 * scale_stride + c / 128)], right.view().scale(r, c));
    }
  }
}

TEST_F(SyntheticOnDevice, AbsorbedFromKvB) {
  constexpr I heads = 3, nope = 40, v = 24, latent = 200;
  for (const auto type : {DType::fp8_block, DType::bf16, DType::fp32}) {
    const auto host = cpu::random_array(type, heads * (nope + v), latent);
    const DeviceMatrix kv_b(host), k(DType::bf16, heads * nope, latent), v_transposed(DType::bf16, heads * latent, v);
    auto k_view = k.view(), v_view = v_transposed.view();
    k_view.rows = nope;
    v_view.rows = latent;
    absorb(kv_b.view(), {.first = k_view, .count = heads, .step = nope * latent}, {.first = v_view, .count = heads, .step = latent * v}, nullptr);
    const auto got_k = k.host(), got_v = v_transposed.host();
    for (I h = 0; h < heads; ++h)
      for (I r = 0; r < nope + v; ++r) {
        const auto row = cpu::load_row<float>(type, host, h * (nope + v) + r, latent);
        for (I c = 0; c < latent; ++c) {
          const float got = r < nope ? got_k.get(h * nope + r, c) : got_v.get(h * latent + c, r - nope);
          ASSERT_EQ(got, cpu::round_bf16(row[static_cast<std::size_t>(c)])) << h << " " << r << " " << c;
        }
      }
  }
}

}  // namespace
}  // namespace fathom::kernels::cuda
