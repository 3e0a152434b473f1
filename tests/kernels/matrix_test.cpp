#include <gmock/gmock.h>

#include "tests/kernels/arrays.h"

namespace fathom::kernels::cpu {
namespace {

using testing::ElementsAre;

TEST(Matrix, HoldsNumbersOfEveryType) {
  for (const DType type : {DType::fp32, DType::bf16, DType::fp8_block, DType::fp8_row, DType::int8, DType::int4_group, DType::fp4}) {
    const Array m(type, 2, 3, {1, -2, 3, -4, 6, 0});
    EXPECT_THAT(row_of(m, 0), ElementsAre(1, -2, 3)) << name_of(type);
    EXPECT_THAT(row_of(m, 1), ElementsAre(-4, 6, 0)) << name_of(type);
  }
  const Array ids(DType::int32, 1, 3, {-1, 129279, 7});
  EXPECT_THAT(integers_of(ids, 0), ElementsAre(-1, 129279, 7));
}

TEST(Matrix, FourBitNeighboursDoNotDisturbEachOther) {
  Array m(DType::int4_group, 1, 4, {7, -7, 5, -1});
  m.set(0, 1, 2);
  m.set(0, 2, -3);
  EXPECT_THAT(row_of(m, 0), ElementsAre(7, 2, -3, -1));
}

TEST(Matrix, ScalesCoverTheirGroups) {
  Array block(DType::fp8_block, 130, 129);
  block.set_scale(129, 128, 8);
  EXPECT_EQ(block.scale(128, 128), 8);
  EXPECT_EQ(block.scale(128, 127), 1);
  EXPECT_EQ(block.scale(127, 128), 1);

  Array row(DType::fp8_row, 2, 129), channel(DType::int8, 2, 129), group(DType::fp4, 2, 17);
  for (Array* m : {&row, &channel, &group}) m->set_scale(1, m->columns() - 1, 4);
  EXPECT_EQ(row.scale(1, 127), 1);
  EXPECT_EQ(channel.scale(1, 0), 4);
  EXPECT_EQ(channel.scale(0, 0), 1);
  EXPECT_EQ(group.scale(1, 15), 1);
  EXPECT_EQ(group.scale(1, 16), 4);
}

TEST(Matrix, RowsLoadDequantised) {
  Array m(DType::fp4, 1, 18, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3, -6});
  m.set_scale(0, 16, 0.5f);
  const auto row = load_row<float>(DType::fp4, m, 0, 18);
  EXPECT_EQ(row[15], 1);
  EXPECT_EQ(row[16], 1.5f);
  EXPECT_EQ(row[17], -3);
}

TEST(Matrix, SlicesShareMemory) {
  Array m(DType::bf16, 2, 4, {1, 2, 3, 4, 5, 6, 7, 8});
  Matrix right = m.slice(2, 2);
  right.set(1, 1, 9);
  EXPECT_THAT(row_of(right, 0), ElementsAre(3, 4));
  EXPECT_THAT(row_of(m, 1), ElementsAre(5, 6, 7, 9));
}

TEST(Matrix, RowsCarryTheirScales) {
  for (const DType type : {DType::fp32, DType::bf16, DType::fp8_row, DType::int8, DType::int4_group, DType::fp4}) {
    const Array m = random_array(type, 4, 130);
    const ConstMatrix part = m.rows(2, 2);
    ASSERT_EQ(part.rows(), 2);
    EXPECT_EQ(load_row<float>(type, part, 1, 130), load_row<float>(type, m, 3, 130)) << name_of(type);
  }
  const Array blocks = random_array(DType::fp8_block, 131, 130);
  EXPECT_EQ(load_row<float>(DType::fp8_block, blocks.rows(128, 3), 2, 130), load_row<float>(DType::fp8_block, blocks, 130, 130));
  const Array wide(DType::bf16, 2, 3, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(wide.slice(1, 2).rows(1, 1).get(0, 1), 6);
}

TEST(Matrix, ReshapedElementsKeepOrderAndScales) {
  const Array m(DType::bf16, 2, 3, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(m.reshaped(3, 2).get(1, 1), 4);
  const Array scaled = random_array(DType::fp8_row, 2, 256);
  EXPECT_EQ(scaled.reshaped(4, 128).scale(1, 0), scaled.scale(0, 128));
  EXPECT_EQ(scaled.reshaped(1, 512).scale(0, 256), scaled.scale(1, 0));
}

}  // namespace
}  // namespace fathom::kernels::cpu
