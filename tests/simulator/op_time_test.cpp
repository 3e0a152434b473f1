#include "simulator/op_time.h"

#include <gtest/gtest.h>

#include "model_spec/error.h"
#include "tests/simulator/fixture.h"

namespace fathom::simulator {
namespace {

double us(Seconds s) { return s.value * 1e6; }

TEST(OpTime, ComputeBoundProduct) {
  const auto machine = round_machine({});
  const auto t = op_time(machine, Gemm<std::int64_t>{.tokens = 1000, .in = 1000, .out = 100'000});  // 200 GFLOP in BF16
  EXPECT_EQ(t.bound, Bound::compute);
  EXPECT_DOUBLE_EQ(us(t.compute), 2000);
  EXPECT_DOUBLE_EQ(us(t.total), 2001);
  EXPECT_DOUBLE_EQ(us(t.floor), 2000);
  EXPECT_EQ(t.arithmetic, Arithmetic::bf16);
}

TEST(OpTime, MemoryBoundProduct) {
  const auto t = op_time(round_machine({}), Gemm<std::int64_t>{.tokens = 1, .in = 1000, .out = 100'000});
  EXPECT_EQ(t.bound, Bound::memory);
  EXPECT_DOUBLE_EQ(us(t.memory), (2 * 1000 + 2 * 1e8 + 2 * 1e5) / 1e12 * 1e6);
}

TEST(OpTime, FixedCostOfSmallKernelsAndNoneOfRiders) {
  const RmsNorm<std::int64_t> norm{.tokens = 1, .width = 512};
  EXPECT_EQ(op_time(round_machine({}), norm).bound, Bound::fixed);
  EXPECT_GT(us(op_time(round_machine({}), norm).total), 1);
  EXPECT_LT(us(op_time(round_machine({}), norm, false).total), 0.1);
}

TEST(OpTime, VectorWorkIsARoofOfItsOwn) {
  const auto t = op_time(round_machine({}), Hadamard<std::int64_t>{.tokens = 1'000'000, .heads = 1, .width = 128, .stages = 70});
  EXPECT_EQ(t.bound, Bound::vector);
  EXPECT_DOUBLE_EQ(us(t.vector), 128e6 * 71 / 10e12 * 1e6);
}

TEST(OpTime, EfficiencyLengthensAndIsHeldOutsideItsDomain) {
  auto machine = round_machine({});
  auto& e = *machine.calibration.entries[static_cast<std::size_t>(Family::gemm)][0];
  e.compute = hardware_profiles::Curve({20, 40}, {0.25, 0.5});
  const auto large = op_time(machine, Gemm<std::int64_t>{.tokens = 10'000, .in = 1000, .out = 100'000});
  EXPECT_DOUBLE_EQ(us(large.compute), 20'000 / 0.5);
  EXPECT_FALSE(large.inside);
  const auto middle = op_time(machine, Gemm<std::int64_t>{.tokens = 1 << 15, .in = 1 << 7, .out = 1 << 7});  // 2^30 FLOP: half way
  EXPECT_NEAR(us(middle.compute), (1 << 30) / 100e12 * 1e6 / 0.375, 1e-9);
  EXPECT_TRUE(middle.inside);
}

TEST(OpTime, MissingRateIsRefusedByName) {
  try {
    static_cast<void>(op_time(round_machine({}), Gemm<std::int64_t>{.tokens = 1, .in = 128, .out = 128, .weight = DType::int8, .activation = DType::int8}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::bad_file);
    EXPECT_NE(std::string(e.what()).find("round: compute.int8_TOPS is missing"), std::string::npos) << e.what();
  }
}

TEST(OpTime, MissingEfficiencyIsRefusedByName) {
  auto machine = round_machine({});
  machine.calibration.entries[static_cast<std::size_t>(Family::top_k)] = {};
  EXPECT_THROW(static_cast<void>(op_time(machine, TopK<std::int64_t>{.sequences = 1, .new_tokens = 1, .cached_tokens = 9, .topk = 4})), Error);
}

TEST(WireTime, RingInsideANode) {
  const auto machine = round_machine({.tp = 8, .ep = 8});
  const auto t = op_time(machine, AllReduce<std::int64_t>{.ranks = 8, .tokens = 1000, .width = 5000});  // 10 MB: 17.5 MB sent at 100 GB/s
  EXPECT_DOUBLE_EQ(us(t.wire), 175);
  EXPECT_DOUBLE_EQ(us(t.total), 180);
}

TEST(WireTime, RingsOverTwoNodesUseAllRails) {
  // One eighth of what each of 16 ranks sends crosses between nodes, over 8 rails of 10 GB/s: each rail carries an eighth of a byte per byte.
  const auto machine = round_machine({.tp = 16, .etp = 16});
  const AllGather<std::int64_t> gather{.ranks = 16, .tokens = 1600, .width = 5000};  // 16 MB: 15 MB sent by each
  EXPECT_NEAR(us(op_time(machine, gather).wire), 15e6 / 8 / 10e9 * 1e6, 1e-6);
}

TEST(WireTime, LowLatencyDispatchInOneNodeAndBeyond) {
  const Dispatch<std::int64_t> d{.ranks = 8, .tokens = 128, .hidden = 7168, .copies = 8, .transport = Transport::low_latency};
  const double payload = 8.0 * 128 * (7168 + 4 * 56 + 16);
  EXPECT_NEAR(us(op_time(round_machine({.dp = 8, .ep = 8}), d).wire), payload * 7 / 8 / 100e9 * 1e6, 1e-6);
  auto far = d;
  far.ranks = 32;  // three quarters of the copies leave the node, each GPU over its own NIC
  EXPECT_NEAR(us(op_time(round_machine({.dp = 32, .ep = 32}), far).wire), payload * 24 / 32 / 10e9 * 1e6, 1e-6);
}

TEST(WireTime, ForwardedDispatchSendsOneCopyPerNode) {
  const auto spec = find_model("deepseek-v3.2");
  const Layout layout{.dp = 32, .ep = 32};
  const auto copies = expected_places(spec, 32);
  const Dispatch<std::int64_t> d{.ranks = 32, .tokens = 4096, .hidden = 7168, .copies = copies, .transport = Transport::normal};
  const double token = 7168 + 4 * 56 + 16;
  EXPECT_NEAR(us(op_time(round_machine(layout), d).wire), 4096 * token * expected_places(spec, 4) * 0.75 / 10e9 * 1e6, 1e-3);
}

TEST(WireTime, SlicesOfAnExpertShareTheCopyBetweenNodes) {
  const auto time = [](std::int64_t etp) {
    const Layout layout{.dp = 32, .etp = etp, .ep = 32 / etp};
    const auto copies = expected_places(find_model("deepseek-v3.2"), layout.ep) * static_cast<double>(etp);
    const Dispatch<std::int64_t> d{.ranks = 32, .tokens = 4096, .hidden = 7168, .copies = copies, .transport = Transport::normal};
    return us(op_time(round_machine(layout), d).wire);
  };
  EXPECT_NEAR(time(2), time(1), 1e-6 * time(1));
}

TEST(WireTime, SlowestStageBorderCounts) {
  // Stages of four GPUs on nodes of eight: the second border crosses nodes, four GPUs to four.
  const auto machine = round_machine({.tp = 4, .pp = 4, .ep = 4});
  EXPECT_DOUBLE_EQ(us(op_time(machine, SendRecv<std::int64_t>{.tokens = 1000, .width = 5000}).wire), 1000);
}

TEST(WireTime, PipelineSendCrossesOneNic) {
  const auto machine = round_machine({.dp = 8, .pp = 2, .ep = 8});
  EXPECT_DOUBLE_EQ(us(op_time(machine, SendRecv<std::int64_t>{.tokens = 1000, .width = 5000}).wire), 1000);
}

TEST(Machine, MoreGpusThanTheClusterHas) {
  auto profile = round_profile();
  profile.cluster.max_nodes = 2;
  const auto machine = prepare(profile, round_calibration(), plan(find_model("deepseek-v3.2"), {.dp = 32, .ep = 32}, {}));
  EXPECT_EQ(machine.refusal, "32 GPUs are more than the 16 of the cluster round");
}

}  // namespace
}  // namespace fathom::simulator
