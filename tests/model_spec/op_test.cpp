#include "model_spec/op.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fathom::model_spec {
namespace {

TEST(OpNames, FindTheOperatorAgain) {
  const auto names = op_names();
  EXPECT_EQ(names.size(), std::variant_size_v<Op>);
  EXPECT_EQ(names.front(), "embedding");
  for (const auto& name : names) {
    const auto op = op_named(name);
    ASSERT_TRUE(op) << name;
    EXPECT_EQ(op_name(*op), name);
  }
  EXPECT_FALSE(op_named("gem"));
  EXPECT_FALSE(op_named(""));
}

TEST(OpNames, ExchangesAreThoseBetweenRanks) {
  std::vector<std::string> exchanges;
  for (const auto& name : op_names())
    if (is_exchange(*op_named(name))) exchanges.push_back(name);
  EXPECT_THAT(exchanges, testing::UnorderedElementsAre("all_reduce", "all_gather", "reduce_scatter", "dispatch", "combine", "send_recv"));
}

TEST(SizesText, SaysEverySizeTypeAndSwitch) {
  EXPECT_EQ(sizes_text(Gemm<std::int64_t>{.tokens = 32, .in = 7168, .out = 1536, .weight = DType::fp8_block, .activation = DType::fp8_row}),
            "tokens=32 in=7168 out=1536 weight=fp8_block activation=fp8_row output=bf16");
  EXPECT_EQ(sizes_text(RmsNorm<std::int64_t>{.tokens = 1, .width = 512, .residual = true}), "tokens=1 width=512 residual=true output=bf16 keep_bf16=false");
  EXPECT_EQ(sizes_text(SwiGlu<std::int64_t>{.rows = 10.5, .width = 2048}), "rows=10.5 width=2048 output=bf16");
  EXPECT_EQ(sizes_text(SparseMla<std::int64_t>{.sequences = 2, .new_tokens = 1, .cached_tokens = 9, .heads = 8, .latent = 512, .rope = 64, .topk = 4}),
            "sequences=2 new_tokens=1 cached_tokens=9 heads=8 latent=512 rope=64 topk=4 cache=fp8");
}

}  // namespace
}  // namespace fathom::model_spec
