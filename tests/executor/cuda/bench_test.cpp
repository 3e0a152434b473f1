#include "executor/cuda/bench.h"

#include <gmock/gmock.h>

#include <cmath>

#include "executor/cuda/fill.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::executor {
namespace {

using namespace model_spec;
using kernels::cuda::download;
using kernels::cuda::Memory;
using OnDevice = kernels::cuda::OnDevice;

constexpr std::int64_t latent = 512, rope = 64, dims = 128, pages = 1030;  // more than are made at once
constexpr std::size_t record_bytes = 656, page_bytes = 8448;

bool is_number(std::byte e4m3) { return (e4m3 & std::byte{0x7f}) != std::byte{0x7f}; }
bool is_scale(const std::byte* at) {
  float scale = 0;
  std::memcpy(&scale, at, sizeof scale);
  return std::isfinite(scale) && scale > 0;
}

std::vector<std::byte> latent_bytes(std::uint64_t seed) {
  const Memory memory(record_bytes * pages * page_tokens);
  fill(kernels::cuda::LatentCache{CacheFormat::fp8, latent, rope, memory.get()}, pages, seed, nullptr);
  return download<std::byte>(memory.get(), memory.bytes());
}
std::vector<std::byte> index_bytes(std::uint64_t seed) {
  const Memory memory(page_bytes * pages);
  fill(kernels::cuda::IndexCache{DType::fp8_row, dims, memory.get()}, pages, seed, nullptr);
  return download<std::byte>(memory.get(), memory.bytes());
}

class Fill : public OnDevice {};

TEST_F(Fill, LatentRecordsAreValid) {
  const auto bytes = latent_bytes(1);
  std::size_t zeros = 0;
  for (std::size_t record = 0; record < bytes.size(); record += record_bytes) {
    for (std::size_t i = 0; i < latent; ++i) ASSERT_TRUE(is_number(bytes[record + i])) << record << ' ' << i;
    for (std::size_t i = 0; i < 4; ++i) ASSERT_TRUE(is_scale(&bytes[record + latent + 4 * i])) << record;
    for (std::size_t i = latent; i < record_bytes; ++i) zeros += bytes[record + i] == std::byte{};
  }
  EXPECT_LT(zeros, bytes.size() / 10);  // of scales, powers of two, most bytes are
  EXPECT_EQ(bytes, latent_bytes(1));
  EXPECT_NE(bytes, latent_bytes(2));
}

TEST_F(Fill, IndexPagesAreValid) {
  const auto bytes = index_bytes(1);
  for (std::size_t page = 0; page < bytes.size(); page += page_bytes) {
    for (std::size_t i = 0; i < page_tokens * dims; ++i) ASSERT_TRUE(is_number(bytes[page + i])) << page << ' ' << i;
    for (std::size_t i = page_tokens * dims; i < page_bytes; i += 4) ASSERT_TRUE(is_scale(&bytes[page + i])) << page << ' ' << i;
  }
  EXPECT_EQ(bytes, index_bytes(1));
  EXPECT_NE(bytes, index_bytes(2));
}

class BenchOnDevice : public OnDevice {};

// Every operator of decode and of prompts; that each of them writes its results is checked where it is timed.
void time_all(Numerics numerics) {
  const auto model = cut(find_model("deepseek-v3.2"), 4, 16);
  const std::vector<Group> points{{3, 1, 300}, {2, 100, 0}, {1, 70, 4000}};
  Bench bench(model, numerics);
  for (const auto& record : bench_records(plan(model, {}, {}), numerics, points, {})) {
    const auto t = bench.time(record);
    EXPECT_EQ(t.reason, "");
    EXPECT_GE(t.n, 5) << record.labels.front();
    EXPECT_GT(t.p10.value, 1e-7) << record.labels.front();
    EXPECT_LE(t.p10, t.median);
    EXPECT_LE(t.median, t.p90);
  }
}

TEST_F(BenchOnDevice, TimesEveryOperatorInFp8) { time_all(Numerics::fp8); }
TEST_F(BenchOnDevice, TimesEveryOperatorInBf16) { time_all(Numerics::bf16); }

TEST_F(BenchOnDevice, TheLoadOfExpertsIsTheOneThatCame) {
  const auto model = cut(find_model("deepseek-v3.2"), 4, 64);
  const std::vector<Group> points{{32, 1, 300}};
  const std::vector<std::string> ops{"grouped_gemm"};
  Bench bench(model, Numerics::fp8);
  for (const auto& record : bench_records(plan(model, {}, {}), Numerics::fp8, points, ops)) {
    const auto op = std::get<GroupedGemm<std::int64_t>>(bench.time(record).op);
    EXPECT_EQ(op.rows, 32 * 8);
    EXPECT_EQ(op.active, std::round(op.active));
    EXPECT_EQ(op.largest, std::round(op.largest));
    EXPECT_NEAR(op.active, std::get<GroupedGemm<std::int64_t>>(record.op).active, 4);
  }
}

TEST_F(BenchOnDevice, WhatDoesNotFitIsSaid) {
  const auto model = find_model("deepseek-v3.2");
  Bench bench(model, Numerics::fp8);
  const auto t =
      bench.time({.labels = {"top_k"}, .op = TopK<std::int64_t>{.sequences = 32, .new_tokens = 16384, .cached_tokens = 131072, .topk = 2048}, .at = {}});
  EXPECT_THAT(t.reason, testing::HasSubstr("GB of device memory are free"));
}

}  // namespace
}  // namespace fathom::executor
