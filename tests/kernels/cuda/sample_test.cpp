// Sampled ids on the device: those of the executor's own way on the CPU.
#include "kernels/cuda/sample.h"

#include "executor/sampling.h"
#include "kernels/cpu/sample.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

constexpr DType fp32 = DType::fp32;

std::vector<std::int32_t> on_cpu(const executor::Sampling& sampling, Array logits, const std::vector<std::uint64_t>& streams) {
  Array ids(DType::int32, 1, logits.rows());
  for (I r = 0; r < logits.rows(); ++r) executor::keep_nucleus(sampling, logits, r);
  const auto noise = [&](I r, I v) { return executor::exponential_noise(sampling.seed, streams[static_cast<std::size_t>(r)], v); };
  cpu::sample<float>({.tokens = logits.rows(), .vocab = logits.columns()}, sampling.temperature, logits, noise, ids);
  std::vector<std::int32_t> result;
  for (I r = 0; r < logits.rows(); ++r) result.push_back(static_cast<std::int32_t>(ids.integer(0, r)));
  return result;
}

std::vector<std::int32_t> on_device(const executor::Sampling& sampling, const Array& logits, const std::vector<std::uint64_t>& streams) {
  const DeviceMatrix on_logits(logits);
  const auto on_streams = upload(streams);
  const auto ids = upload(std::vector<std::int32_t>(static_cast<std::size_t>(logits.rows()), -1));
  sample({.tokens = logits.rows(), .vocab = logits.columns()}, sampling.temperature, sampling.top_p, sampling.seed, on_logits.view(),
         on_streams.as<std::uint64_t>(), ids.as<std::int32_t>(), nullptr);
  return download<std::int32_t>(ids.get(), static_cast<std::size_t>(logits.rows()));
}

Array same_numbers(const Array& a) {
  Array b(a.type(), a.rows(), a.columns());
  for (I r = 0; r < a.rows(); ++r) cpu::copy_row(a.type(), a.columns(), a, r, b, r);
  return b;
}

// Logits in (-range, range), in steps of `step` if that is not 0: then the nucleus ends among equal ones.
Array some_logits(I tokens, I vocab, float range, float step) {
  Array logits = cpu::random_array(fp32, tokens, vocab);
  for (I r = 0; r < tokens; ++r)
    for (I v = 0; v < vocab; ++v) {
      const float x = range * logits.get(r, v);
      logits.set(r, v, step > 0 ? std::round(x / step) * step : x);
    }
  return logits;
}

std::vector<std::uint64_t> streams_of(I tokens) {
  std::vector<std::uint64_t> streams;
  for (I t = 0; t < tokens; ++t) streams.push_back(executor::random_stream(t % 3, 100 + t));
  return streams;
}

class SampleOnDevice : public OnDevice {};

TEST_F(SampleOnDevice, TakesTheIdsOfTheCpu) {
  for (const auto& [tokens, vocab] : {std::pair<I, I>{20, 5}, {1, 1}, {20, 1000}, {3, 129280}})
    for (const float temperature : {0.0f, 0.01f, 0.6f, 1.0f, 3.0f, 100.0f})
      for (const float top_p : {1.0f, 0.9f, 0.3f, 1e-6f})
        for (const float step : {0.0f, 0.5f}) {
          if (temperature == 0 && top_p < 1) continue;
          const executor::Sampling sampling{.temperature = temperature, .top_p = top_p, .seed = 42};
          const Array logits = some_logits(tokens, vocab, 8, step);
          EXPECT_EQ(on_device(sampling, logits, streams_of(tokens)), on_cpu(sampling, same_numbers(logits), streams_of(tokens)))
              << vocab << " entries, temperature " << temperature << ", top_p " << top_p << ", step " << step;
        }
}

// Many draws from few tokens: each kept one comes up, no other does.
TEST_F(SampleOnDevice, EqualTokensBelongToTheNucleusFromTheFirst) {
  const I tokens = 400;
  Array logits(fp32, tokens, 8);  // all equal: half of the weight is the first four
  const auto ids = on_device({.temperature = 1, .top_p = 0.5f, .seed = 7}, logits, streams_of(tokens));
  for (std::int32_t v = 0; v < 8; ++v) EXPECT_EQ(std::ranges::count(ids, v) > 0, v < 4) << v;
}

TEST_F(SampleOnDevice, ZeroTemperatureTakesTheFirstOfEquals) {
  const float none = -std::numeric_limits<float>::infinity();
  const Array logits(fp32, 4, 10, {1,    5,    5,    2,    0,    0,    0,    0,    0,    5,     //
                                   -3,   -2,   -9,   -2,   -5,   -5,   -5,   -5,   -5,   -2,    //
                                   none, none, none, none, none, none, none, none, none, none,  //
                                   none, none, none, -0.0, 0,    none, none, none, none, none});
  EXPECT_EQ(on_device({}, logits, streams_of(4)), (std::vector<std::int32_t>{1, 1, 0, 3}));
}

// Quotients so large that they are rounded to tens: chance alone decides between equal logits, and near ones are equal or nothing.
TEST_F(SampleOnDevice, TakesTheIdsOfTheCpuAtTheLowestTemperatures) {
  const I tokens = 64, vocab = 1000;
  for (const float temperature : {3e-8f, 7e-9f, 2.3546e-7f})
    for (const float logit : {20.5f, 5.5f, 8.0012f}) {
      Array logits(fp32, tokens, vocab);
      for (I t = 0; t < tokens; ++t)
        for (I v = 0; v < vocab; ++v) logits.set(t, v, v % 3 ? logit : std::nextafter(logit, 0.0f));
      const executor::Sampling sampling{.temperature = temperature, .top_p = 1, .seed = 42};
      EXPECT_EQ(on_device(sampling, logits, streams_of(tokens)), on_cpu(sampling, same_numbers(logits), streams_of(tokens))) << temperature << " " << logit;
    }
}

TEST_F(SampleOnDevice, WhatIsRuledOutNeverComes) {
  const I tokens = 64, vocab = 300;
  Array logits(fp32, tokens, vocab);
  for (I t = 0; t < tokens; ++t)
    for (I v = 0; v < vocab; ++v)
      if (v != 150 && v != 299) logits.set(t, v, -std::numeric_limits<float>::infinity());
  for (const float top_p : {1.0f, 0.99f})
    for (const auto id : on_device({.temperature = 1, .top_p = top_p, .seed = 1}, logits, streams_of(tokens))) EXPECT_TRUE(id == 150 || id == 299) << id;
}

}  // namespace
}  // namespace fathom::kernels::cuda
