// Weights on the device, the same numbers as RankWeights hold on the host.
#include "executor/cuda/device_weights.h"

#include <gmock/gmock.h>

#include "executor/cuda/cuda_backend.h"
#include "tests/executor/fixture.h"

namespace fathom::executor {
namespace {

using kernels::cpu::ConstMatrix;
using kernels::cuda::Stack;
using I = std::int64_t;

// Loads what it could make by rule.
struct Loaded : WeightSource {
  explicit Loaded(std::shared_ptr<const WeightSource> of) : source(std::move(of)) {}
  [[nodiscard]] StoredMatrix load(const Tensor& t, I layer, I expert, const Slice& s) const override { return source->load(t, layer, expert, s); }
  std::shared_ptr<const WeightSource> source;
};

// As it stands on the device: scales padded.
struct Downloaded {
  Downloaded(const Stack& stack, I i) : m(stack.first) {
    const auto size = static_cast<I>(element_bytes(m.type));
    numbers = download(static_cast<const std::byte*>(m.data) + i * stack.step * size, static_cast<std::size_t>(m.rows * m.columns * size), nullptr);
    if (has_scales(m.type)) scales = download(m.scales + i * stack.scale_step, static_cast<std::size_t>(stack.scale_step), nullptr);
  }
  [[nodiscard]] ConstMatrix view() const { return {m.type, m.rows, m.columns, numbers.data()}; }
  [[nodiscard]] float scale(I r, I c) const { return scales[static_cast<std::size_t>(r / scale_block * m.scale_stride + c / scale_block)]; }
  kernels::cuda::Matrix m;
  std::vector<std::byte> numbers;
  std::vector<float> scales;
};

void expect_same(const Stack& stack, std::span<const ConstMatrix> right) {
  ASSERT_EQ(stack.count, std::ssize(right));
  for (I i = 0; i < stack.count; ++i) {
    const auto& want = right[static_cast<std::size_t>(i)];
    const Downloaded got(stack, i);
    ASSERT_EQ(got.m.rows, want.rows());
    ASSERT_EQ(got.m.columns, want.columns());
    ASSERT_EQ(has_scales(got.m.type), has_scales(want.type()));
    for (I r = 0; r < want.rows(); ++r)
      for (I c = 0; c < want.columns(); ++c) {
        ASSERT_EQ(got.view().get(r, c), want.get(r, c)) << i << ": " << r << " " << c;
        if (!has_scales(want.type())) continue;
        ASSERT_EQ(got.scale(r, c), want.scale(r, c)) << i << ": " << r << " " << c;
      }
  }
}

class DeviceWeightsTest : public testing::TestWithParam<Numerics> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (const auto status = cudaGetDeviceCount(&devices); status != cudaSuccess || devices == 0)
      GTEST_SKIP() << "no CUDA device: " << cudaGetErrorString(status);
  }

  static void expect_as_on_the_host(const WeightSource& source) {
    const auto p = plan(find_model("tests/fixtures/v32-yarn-fp8-mtp"), {}, {.mtp_depth = 1});
    const RankWeights host(p, {}, GetParam(), source);
    double done = 0, all = -1;
    const DeviceWeights device(p, {}, GetParam(), source, [&](double d, double a) {
      EXPECT_GT(d, done);
      done = d, all = a;
    });
    EXPECT_EQ(done, all);
    EXPECT_GE(device_weight_bytes(p, {}, GetParam()), device.bytes());
    for (const auto& t : tensor_table(p.model))
      for (I layer = -1; layer <= num_hidden_layers(p.model); ++layer) {
        if (!host.has(t.id, layer)) continue;
        SCOPED_TRACE(tensor_name(t, layer, -1));
        EXPECT_EQ(device.get(t.id, layer).type, held(GetParam(), t.storage));
        expect_same(device.experts(t.id, layer), host.experts(t.id, layer));
        if (t.id != Weight::kv_b_proj) continue;
        expect_same(device.absorbed_k(layer), host.absorbed_k(layer));
        expect_same(device.absorbed_v(layer), host.absorbed_v(layer));
      }
  }
};

TEST_P(DeviceWeightsTest, OfACheckpoint) { expect_as_on_the_host(Checkpoint::open("tests/fixtures/v32-yarn-fp8-mtp")); }
TEST_P(DeviceWeightsTest, MadeByRule) { expect_as_on_the_host(SyntheticWeights(5)); }
TEST_P(DeviceWeightsTest, SyntheticAndUploaded) { expect_as_on_the_host(Loaded(std::make_shared<SyntheticWeights>(5))); }

TEST_P(DeviceWeightsTest, ThePredictionLayerSharesTheModelsOwn) {
  const auto p = plan(find_model("tests/fixtures/v32-yarn-fp8-mtp"), {}, {.mtp_depth = 1});
  const DeviceWeights device(p, {}, GetParam(), SyntheticWeights(5));
  const auto last = num_hidden_layers(p.model);
  EXPECT_EQ(device.get(Weight::mtp_lm_head, last).data, device.get(Weight::lm_head, -1).data);
  EXPECT_EQ(device.get(Weight::mtp_embed_tokens, last).data, device.get(Weight::embed_tokens, -1).data);
}

TEST_P(DeviceWeightsTest, WhatDoesNotFitIsSaidBeforeAnythingIsLoaded) {
  const auto p = plan(find_model("tests/fixtures/v32-yarn-fp8-mtp"), {}, {});
  const auto loads = [](double, double) { ADD_FAILURE() << "loads"; };
  try {
    (void)make_cuda_backend(p, {}, GetParam(), SyntheticWeights(5), loads, 1'000'000'000);
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), Failure::device);
    EXPECT_THAT(e.what(),
                testing::ContainsRegex("^needs [0-9.]+ GB of device memory \\(weights [0-9.]+, caches [0-9.]+, activations [0-9.]+\\), [0-9.]+ GB are free$"));
  }
}

INSTANTIATE_TEST_SUITE_P(Numerics, DeviceWeightsTest, testing::Values(Numerics::bf16, Numerics::fp8),
                         [](const auto& i) { return std::string(name_of(i.param)); });

}  // namespace
}  // namespace fathom::executor
