// Literal numbers are those of a checkpoint that an independent program (PyTorch) made by the rule in synthetic.h with seed 21.
#include "executor/synthetic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cstring>

namespace fathom::executor {
namespace {

using model_spec::Tensor;
using model_spec::Weight;
using testing::ElementsAre;

constexpr std::uint64_t seed = 21;

Tensor tensor(const char* name, std::int64_t rows, std::int64_t columns = 1, DType storage = DType::bf16, Weight id = {}) {
  return {.id = id, .name = name, .rows = rows, .columns = columns, .storage = storage, .layers = {}};
}
StoredMatrix whole(const Tensor& t, DType unquantised = DType::bf16) {
  return SyntheticWeights(seed, unquantised).load(t, -1, -1, {.rows = t.rows, .columns = t.columns});
}

template <class T>
std::vector<T> bits(const std::byte* data, std::size_t count, std::size_t first = 0) {
  std::vector<T> list(count);
  std::memcpy(list.data(), data + first * sizeof(T), count * sizeof(T));
  return list;
}
std::vector<std::uint16_t> first_bf16(const Tensor& t) { return bits<std::uint16_t>(whole(t).data, 3); }
std::vector<std::uint32_t> first_fp32(const Tensor& t, std::size_t first = 0) { return bits<std::uint32_t>(whole(t).data, 3, first); }

TEST(Synthetic, HashAndGenerator) {
  EXPECT_EQ(fnv1a64(""), 0xCBF29CE484222325u);  // published test vectors of FNV-1a and SplitMix64
  EXPECT_EQ(fnv1a64("a"), 0xAF63DC4C8601EC8Cu);
  EXPECT_EQ(splitmix64(0), 0xE220A8397B1DCDAFu);
}

TEST(Synthetic, EveryKindOfName) {
  EXPECT_THAT(first_bf16(tensor("model.norm.weight", 256)), ElementsAre(0x3f8a, 0x3f86, 0x3f67));
  EXPECT_THAT(first_bf16(tensor("model.layers.0.self_attn.indexer.k_norm.bias", 128)), ElementsAre(0xbd8e, 0xbda1, 0x3cbf));
  EXPECT_THAT(first_bf16(tensor("model.embed_tokens.weight", 256, 256)), ElementsAre(0xbeff, 0xbfcb, 0xbf8a));
  EXPECT_THAT(first_bf16(tensor("lm_head.weight", 256, 256)), ElementsAre(0x3c02, 0xbda7, 0xbd63));
  EXPECT_THAT(first_fp32(tensor("model.layers.1.mlp.gate.e_score_correction_bias", 8, 1, DType::fp32)), ElementsAre(0x3b5284cd, 0xbc7e8133, 0x3c5455da));
}

TEST(Synthetic, ProductsAndSumsAreNotFused) {
  // A fused 1 + 0.1 u would give 0x3f871339 for element 40.
  EXPECT_EQ(first_fp32(tensor("model.norm.weight", 256, 1, DType::fp32), 40).front(), 0x3f871338u);
}

TEST(Synthetic, ThePredictionLayerHoldsCopies) {
  const SyntheticWeights weights(seed);
  const auto load = [&](Weight id, const char* name) {
    const auto t = tensor(name, 256, 256, DType::bf16, id);
    return bits<std::uint16_t>(weights.load(t, 3, -1, {.rows = 1, .columns = 3}).data, 3);
  };
  EXPECT_THAT(load(Weight::mtp_embed_tokens, "model.layers.{layer}.embed_tokens.weight"), ElementsAre(0xbeff, 0xbfcb, 0xbf8a));
  EXPECT_THAT(load(Weight::mtp_lm_head, "model.layers.{layer}.shared_head.head.weight"), ElementsAre(0x3c02, 0xbda7, 0xbd63));
}

TEST(Synthetic, NamesCarryLayerAndExpert) {
  const auto t = tensor("model.layers.{layer}.mlp.experts.{expert}.down_proj.weight", 256, 128, DType::fp8_block);
  const auto m = SyntheticWeights(seed).load(t, 1, 3, {.rows = 256, .columns = 128});
  EXPECT_THAT(bits<std::uint8_t>(m.data, 3), ElementsAre(0x45, 0x79, 0x7d));
  EXPECT_THAT(bits<std::uint32_t>(m.scales, 2), ElementsAre(0x39b328ba, 0x39b3247a));
}

const auto ragged = tensor("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", 192, 256, DType::fp8_block);  // one row of half blocks

TEST(Synthetic, BlocksWithARaggedEdge) {
  const auto m = whole(ragged);
  EXPECT_THAT(bits<std::uint8_t>(m.data, 3), ElementsAre(0x79, 0xfc, 0xfb));
  EXPECT_THAT(bits<std::uint8_t>(m.data, 3, 192 * 256 - 3), ElementsAre(0xfd, 0xfe, 0xf9));
  EXPECT_THAT(bits<std::uint32_t>(m.scales, 4), ElementsAre(0x397d5e0e, 0x397d5bd4, 0x397d5d0d, 0x397d5d51));
}

TEST(Synthetic, ASliceOfBlocksIsThatPart) {
  const auto all = whole(ragged);
  const auto part = SyntheticWeights(seed).load(ragged, -1, -1, {.first_row = 128, .rows = 64, .first_column = 128, .columns = 128});
  for (std::int64_t r = 0; r < 64; ++r)
    for (std::int64_t c = 0; c < 128; ++c) ASSERT_EQ(part.view().get(r, c), all.view().get(128 + r, 128 + c)) << r << " " << c;
  EXPECT_EQ(bits<std::uint32_t>(part.scales, 1).front(), 0x397d5d51u);
}

TEST(Synthetic, IndexNormHoldsWhatTheModelStores) {
  const auto t = tensor("model.layers.0.self_attn.indexer.k_norm.bias", 128, 1, DType::fp32, Weight::index_k_norm_bias);
  const auto rounded = whole(t), exact = whole(t, DType::fp32);
  EXPECT_EQ(rounded.type, DType::fp32);
  EXPECT_THAT(bits<std::uint32_t>(rounded.data, 3), ElementsAre(0xbd8e0000, 0xbda10000, 0x3cbf0000));
  const auto third = bits<float>(exact.data, 3).back();
  EXPECT_NE(std::bit_cast<std::uint32_t>(third), 0x3cbf0000u);
  EXPECT_EQ(kernels::cpu::encode_bf16(third), 0x3cbf);
}

// Types of our own extension: near the numbers in fp32, and a slice is that part.
class SyntheticRows : public testing::TestWithParam<DType> {};
TEST_P(SyntheticRows, AreQuantisedWhole) {
  auto t = tensor("x.weight", 3, 256, DType::fp32);
  const auto exact = whole(t);
  t.storage = GetParam();
  const auto all = whole(t);
  const auto part = SyntheticWeights(seed).load(t, -1, -1, {.first_row = 1, .rows = 2, .first_column = 128, .columns = 128});
  const double bound = std::sqrt(3.0 / 256);
  for (std::int64_t r = 0; r < 3; ++r)
    for (std::int64_t c = 0; c < 256; ++c) {
      const float x = all.view().get(r, c) * all.view().scale(r, c);
      ASSERT_NEAR(x, exact.view().get(r, c), bound / (t.storage == DType::int8 ? 127 : 5)) << r << " " << c;  // coarsest step: 4 to 6 of e2m1
      if (r < 1 || c < 128) continue;
      ASSERT_EQ(part.view().get(r - 1, c - 128), all.view().get(r, c)) << r << " " << c;
      ASSERT_EQ(part.view().scale(r - 1, c - 128), all.view().scale(r, c)) << r << " " << c;
    }
}
INSTANTIATE_TEST_SUITE_P(Types, SyntheticRows, testing::Values(DType::int8, DType::int4_group, DType::fp4));

TEST(Synthetic, Prompt) {
  const auto ids = random_prompt(1000, 256, seed);
  EXPECT_THAT(std::vector(ids.begin(), ids.begin() + 4), ElementsAre(108, 80, 105, 83));
  for (const auto id : ids) ASSERT_TRUE(id >= 0 && id < 256);
}

}  // namespace
}  // namespace fathom::executor
