#include "tests/kernels/exchange.h"

#include <gmock/gmock.h>

namespace fathom::kernels {
namespace {

using testing::ElementsAre;

TEST(Exchange, ReduceScatterLeavesEachRankTheSumOfOneChunk) {
  Ranks all = numbered_ranks(3, 3, 10);
  ring_reduce_scatter(all);
  EXPECT_EQ(all.rows[0][1], 303);  // 1 + 101 + 201
  EXPECT_EQ(all.rows[1][2], 306);
  EXPECT_EQ(all.rows[2][0], 300);
  EXPECT_EQ(all.sent, 3 * 2 * 10);
}

TEST(Exchange, AllGatherBringsEveryRankEveryChunk) {
  Ranks all = numbered_ranks(3, 6, 10);
  ring_all_gather(all);
  for (const auto& rows : all.rows) EXPECT_THAT(rows, ElementsAre(0, 1, 102, 103, 204, 205));
}

TEST(Exchange, BothMakeAnAllReduce) {
  Ranks all = numbered_ranks(2, 3, 10);
  ring_reduce_scatter(all);
  ring_all_gather(all, 1);
  for (const auto& rows : all.rows) EXPECT_THAT(rows, ElementsAre(100, 102, 104));
}

TEST(Exchange, CopiesToTheOwnRankAreNotSent) {
  Ranks all = numbered_ranks(2, 2, 10);
  const auto received = all_to_all(all, 2);
  EXPECT_THAT(received[0], ElementsAre(0, 1, 100, 101));
  EXPECT_EQ(all.sent_by_each(), 20);
}

}  // namespace
}  // namespace fathom::kernels
