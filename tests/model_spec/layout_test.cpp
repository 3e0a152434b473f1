#include "model_spec/layout.h"

#include <gtest/gtest.h>

#include "model_spec/routing.h"

namespace fathom::model_spec {
namespace {

std::string reason(const Layout& l) { return check(find_model("deepseek-v3.2"), l).value_or(""); }

TEST(Layout, GoodOnes) {
  for (const auto& l : {Layout{}, Layout{.tp = 8, .ep = 8}, Layout{.dp = 8, .ep = 8}, Layout{.tp = 4, .dp = 8, .ep = 32},
                        Layout{.dp = 144, .ep = 144, .redundant_experts = 32}, Layout{.tp = 16, .etp = 16}, Layout{.dp = 8, .pp = 4, .ep = 8}})
    EXPECT_EQ(reason(l), "") << label(l);
}

TEST(Layout, ReasonsAgainst) {
  EXPECT_EQ(reason({.tp = 3, .ep = 3}), "128 attention heads are not divisible by tp = 3");
  EXPECT_EQ(reason({.dp = 144, .ep = 144}), "256 experts cannot be placed evenly on ep = 144; 32 redundant experts would make 288");
  EXPECT_EQ(reason({.dp = 144, .ep = 144, .redundant_experts = 31}), "256 experts and 31 redundant ones cannot be placed evenly on ep = 144");
  EXPECT_EQ(reason({.dp = 8, .ep = 4}), "tp * dp = 8 ranks of attention are not the etp * ep = 4 ranks of experts");
  EXPECT_EQ(reason({.tp = 32, .etp = 32}), "intermediate_size = 18432 over tp = 32 gives slices of 576, which cut a 128-element scale block of fp8_block");
  EXPECT_EQ(reason({.dp = 32, .etp = 32}), "moe_intermediate_size = 2048 over etp = 32 gives slices of 64, which cut a 128-element scale block of fp8_block");
  EXPECT_EQ(reason({.tp = 128, .ep = 128}).substr(0, 16), "rows of q_b_proj");
  EXPECT_EQ(reason({.pp = 62}), "pp = 62 stages are more than the 61 layers");
  EXPECT_EQ(reason({.dp = 2, .cp = 2, .ep = 4}), "cp = 2: context parallelism is not modelled");
  EXPECT_EQ(reason({.tp = 0}), "tp = 0 is not between 1 and 1000000");
}

TEST(Layout, LabelIsTheFieldsOwn) { EXPECT_EQ(label({.tp = 2, .dp = 4, .pp = 1, .etp = 1, .ep = 8}), "tp2pp1dp4etp1ep8"); }

TEST(Layout, StagesShareTheLayers) {
  const auto spec = find_model("deepseek-v3.2");
  const Layout l{.pp = 4};
  EXPECT_EQ(stage_layers(spec, l, 0).count, 16);
  EXPECT_EQ(stage_layers(spec, l, 3).first, 46);
  EXPECT_EQ(stage_layers(spec, l, 3).count, 15);
}

TEST(Routing, ExpectedMaximumOfNormals) {
  EXPECT_EQ(expected_maximum(1), 0);
  EXPECT_NEAR(expected_maximum(2), 1 / std::sqrt(std::acos(-1.0)), 1e-9);  // 1 / sqrt(pi)
  EXPECT_NEAR(expected_maximum(3), 1.5 / std::sqrt(std::acos(-1.0)), 1e-9);
  EXPECT_NEAR(expected_maximum(100), 2.50759, 1e-4);  // tables of order statistics
}

TEST(Routing, PlacesTouched) {
  const auto spec = find_model("deepseek-v3.2");
  EXPECT_EQ(expected_places(spec, 1), 1);
  // Two places of four groups each: one is missed only if all four kept groups, or all eight choices, lie in the other.
  EXPECT_GT(expected_places(spec, 2), 1.9);
  EXPECT_LT(expected_places(spec, 2), 2.0);
  EXPECT_LE(expected_places(spec, 8), 4.0);             // only four groups are kept
  EXPECT_NEAR(expected_places(spec, 256), 8, 1e-9);     // one expert a rank: eight different ones
  EXPECT_NEAR(expected_places(spec, 8), 3.629, 2e-3);   // mean of 300,000 simulated choices, standard error 1e-3
  EXPECT_NEAR(expected_places(spec, 32), 6.595, 2e-3);  // likewise
}

TEST(Routing, UniformLoad) {
  const auto spec = find_model("deepseek-v3.2");
  const Layout one{};
  const auto load = expected_load(spec, one, routing_constants(spec, one), 32);
  EXPECT_EQ(load.rows, 256);
  EXPECT_NEAR(load.active, 256 * (1 - std::pow(1 - 1.0 / 32, 32)), 1e-9);
  EXPECT_EQ(load.capacity, 256);
  const Layout many{.dp = 144, .ep = 144, .redundant_experts = 32};
  const auto slow = expected_load(spec, many, routing_constants(spec, many), 144 * 128);
  EXPECT_GT(slow.rows, 1024);
  EXPECT_LT(slow.rows, 1024 * 1.12);  // 2.6 standard deviations of sqrt(1024)
}

}  // namespace
}  // namespace fathom::model_spec
