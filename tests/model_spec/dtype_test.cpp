#include "model_spec/dtype.h"

#include <gtest/gtest.h>

#include "model_spec/op.h"

namespace fathom::model_spec {
namespace {

TEST(DType, StorageCountsScales) {
  EXPECT_EQ(storage_bytes(DType::fp8_block, 576.0, 7168.0), 576 * 7168 + 4 * 5 * 56);  // kv_a_proj_with_mqa: the last block of rows is half empty
  EXPECT_EQ(storage_bytes(DType::fp8_row, 3.0, 7168.0), 3 * (7168 + 4 * 56));
  EXPECT_EQ(storage_bytes(DType::fp8_row, 3.0, 129.0), 3 * (129 + 4 * 2));
  EXPECT_EQ(storage_bytes(DType::int8, 1536.0, 7168.0), 1536 * (7168 + 4));
  EXPECT_EQ(storage_bytes(DType::int4_group, 1536.0, 7168.0), 1536 * (3584 + 2 * 56));
  EXPECT_EQ(storage_bytes(DType::fp4, 1536.0, 7168.0), 1536 * (3584 + 448));
  EXPECT_EQ(storage_bytes(DType::bf16, 3.0, 5.0), 30);
  EXPECT_EQ(storage_bytes(DType::fp32, 3.0, 5.0), 60);
  EXPECT_EQ(storage_bytes(DType::int32, 3.0, 5.0), 60);
}

TEST(DType, CacheRecordsOfV32) {
  EXPECT_EQ(latent_cache_bytes(CacheFormat::fp8, 1.0, 512.0, 64.0), 656);
  EXPECT_EQ(latent_cache_bytes(CacheFormat::bf16, 1.0, 512.0, 64.0), 1152);
  EXPECT_EQ(index_cache_bytes(1.0, 128.0), 132);
}

TEST(DType, NamesReadBack) {
  for (const auto& [type, name] : dtype_names) {
    EXPECT_EQ(dtype_from(name), type);
    EXPECT_EQ(name_of(type), name);
  }
  for (const auto& [arithmetic, name] : arithmetic_names) {
    EXPECT_EQ(arithmetic_from(name), arithmetic);
    EXPECT_EQ(name_of(arithmetic), name);
  }
  EXPECT_FALSE(dtype_from("fp8"));
}

TEST(DType, WeightsDecideTheArithmetic) {
  struct Row {
    DType weight;
    Arithmetic arithmetic;
    DType activation;
  };
  for (const auto& [weight, arithmetic, activation] : {Row{DType::fp8_block, Arithmetic::fp8, DType::fp8_row}, Row{DType::int8, Arithmetic::int8, DType::int8},
                                                       Row{DType::int4_group, Arithmetic::bf16, DType::bf16}, Row{DType::fp4, Arithmetic::fp4, DType::fp4},
                                                       Row{DType::bf16, Arithmetic::bf16, DType::bf16}, Row{DType::fp32, Arithmetic::fp32, DType::fp32}}) {
    EXPECT_EQ(arithmetic_for(weight), arithmetic) << name_of(weight);
    EXPECT_EQ(activation_for(weight), activation) << name_of(weight);
    EXPECT_EQ(cost(Op(Gemm<std::int64_t>{.tokens = 2, .in = 3, .out = 5, .weight = weight})).matrix(arithmetic), 60);
    EXPECT_EQ(cost(Op(GroupedGemm<std::int64_t>{.in = 3, .out = 5, .rows = 2, .weight = weight})).matrix(arithmetic), 60);
  }
  EXPECT_EQ(cost(Op(BatchedGemm<std::int64_t>{.tokens = 2, .heads = 1, .in = 3, .out = 5, .weight = DType::fp8_block})).matrix(Arithmetic::bf16), 60);
}

}  // namespace
}  // namespace fathom::model_spec
