// Kernels that work row by row, on the device against the CPU. What is only moved, added once or quantised is the same bit for bit; sums in another order
// and other roundings of exp keep 1e-6 of a number before it is rounded to bf16, so that at most its last place differs.
#include <algorithm>
#include <numeric>

#include "executor/cache.h"
#include "kernels/cpu/embedding.h"
#include "kernels/cpu/hadamard.h"
#include "kernels/cpu/layer_norm.h"
#include "kernels/cpu/rms_norm.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/swiglu.h"
#include "kernels/cuda/cache.h"
#include "kernels/cuda/embedding.h"
#include "kernels/cuda/hadamard.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/quantise.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/rope.h"
#include "kernels/cuda/swiglu.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using cpu::row_of;
using executor::Numerics;
using model_spec::CacheFormat;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row;
constexpr auto ue8m0 = cpu::Scales::ue8m0;

// Numbers and scales.
void expect_same(const cpu::Matrix& got, const cpu::Matrix& right) {
  ASSERT_EQ(got.rows(), right.rows());
  for (I r = 0; r < right.rows(); ++r) {
    ASSERT_EQ(row_of(got, r), row_of(right, r)) << "row " << r;
    if (!model_spec::has_scales(right.type())) continue;
    for (I c = 0; c < right.columns(); c += model_spec::scale_block) ASSERT_EQ(got.scale(r, c), right.scale(r, c)) << "row " << r << " from " << c;
  }
}

// Within the last place of bf16, 2^-7 of a number at most; 1e-6 for what is left of larger terms.
void expect_rounded_alike(const cpu::Matrix& got, const cpu::Matrix& right) {
  for (I r = 0; r < right.rows(); ++r)
    for (I c = 0; c < right.columns(); ++c)
      ASSERT_NEAR(got.get(r, c), right.get(r, c), 0x1p-7f * std::abs(right.get(r, c)) + 1e-6f) << "row " << r << " column " << c;
}

void expect_untouched(const cpu::Matrix& m, I r, I first, I last) {
  for (I c = first; c < last; ++c) ASSERT_TRUE(std::isnan(m.get(r, c))) << "row " << r << " column " << c;
}

Array quantised(const cpu::Matrix& x) {
  Array y(fp8_row, x.rows(), x.columns());
  cpu::quantise<float>({.tokens = x.rows(), .width = x.columns(), .output = fp8_row}, ue8m0, x, y);
  return y;
}

// From 2^-20 to 2^19 times (-1, 1) from group to group; a group of zeros now and then.
Array wide_range(I rows, I columns) {
  Array x = cpu::random_array(bf16, rows, columns);
  for (I r = 0; r < rows; ++r)
    for (I c = 0; c < columns; ++c) {
      const I group = r * 7 + c / 64;
      x.set(r, c, group % 11 == 5 ? 0 : std::ldexp(x.get(r, c), static_cast<int>(group * 3 % 40) - 20));
    }
  return x;
}

class Rows : public OnDevice {};

TEST_F(Rows, Embedding) {
  for (const I hidden : {8, 75, 80, 7168}) {
    const Array table = cpu::random_array(bf16, 5, hidden), ids(DType::int32, 1, 6, {12, 10, 9, 14, 15, 12});
    Array right(bf16, 6, hidden);
    const model_spec::Embedding<I> op{.tokens = 6, .hidden = hidden, .vocab = 5};
    cpu::embedding<float>(op, 10, ids, table, right);
    const DeviceMatrix on_table(table), y(bf16, 6, hidden + 8);
    const auto on_ids = upload<std::int32_t>({12, 10, 9, 14, 15, 12});
    embedding(op, 10, on_ids.as<std::int32_t>(), on_table.view(), y.slice(8, hidden), nullptr);
    const Array got = y.host();
    expect_same(got.slice(8, hidden), right);
    expect_untouched(got, 0, 0, 8);
  }
}

struct Norm {
  I tokens, width, first = 0;  // x stands from column `first` of a wider matrix
  bool residual = false, gathered = false;
};
void PrintTo(const Norm& n, std::ostream* to) {
  *to << n.tokens << " x " << n.width << " from " << n.first << (n.residual ? " residual" : "") << (n.gathered ? " gathered" : "");
}

// 0 .. tokens, or from the last to the first.
std::vector<std::int32_t> order_of(I tokens, bool reversed) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(tokens));
  std::iota(rows.begin(), rows.end(), 0);
  if (reversed) std::ranges::reverse(rows);
  return rows;
}
Array gathered(const cpu::Matrix& x, const std::vector<std::int32_t>& rows) {
  Array y(x.type(), static_cast<I>(rows.size()), x.columns());
  for (std::size_t t = 0; t < rows.size(); ++t) cpu::copy_row(x.type(), x.columns(), x, rows[t], y, static_cast<I>(t));
  return y;
}

void compare_rms_norm(const Norm& n) {
  SCOPED_TRACE(testing::PrintToString(n));
  const model_spec::RmsNorm<I> op{.tokens = n.tokens, .width = n.width, .residual = n.residual, .output = fp8_row, .keep_bf16 = true};
  const Array x = cpu::random_array(bf16, n.tokens, n.width + n.first + 8), r = cpu::random_array(bf16, n.tokens, n.width, 2);
  const Array w = cpu::random_array(bf16, 1, n.width, 3);
  const auto order = order_of(n.tokens, n.gathered);
  const Array right_x = gathered(x.slice(n.first, n.width), order);
  Array right_r = gathered(r, order);
  Array right_y(fp8_row, n.tokens, n.width), right_kept(bf16, n.tokens, n.width);
  cpu::rms_norm<float>(op, 1e-6f, ue8m0, right_x, right_r, w, right_y, right_kept);

  const DeviceMatrix on_x(x), on_r(r), on_w(w), y(fp8_row, n.tokens, n.width), kept(bf16, n.tokens, n.width + 8);
  const auto rows = upload(order);
  rms_norm(op, 1e-6f, on_x.slice(n.first, n.width), on_r.view(), on_w.view(), y.view(), kept.slice(0, n.width), n.gathered ? rows.as<std::int32_t>() : nullptr,
           nullptr);
  const Array got = kept.host();
  expect_rounded_alike(got.slice(0, n.width), right_kept);
  expect_same(y.host(), quantised(got.slice(0, n.width)));
  expect_untouched(got, 0, n.width, n.width + 8);
  expect_same(on_r.host(), n.residual && !n.gathered ? static_cast<const cpu::Matrix&>(right_r) : r);
}

TEST_F(Rows, RmsNorm) {
  for (const bool residual : {false, true})
    for (const bool rows : {false, true})
      for (const auto& [tokens, width, first] :
           {std::tuple<I, I, I>{1, 7168, 0}, {3, 80, 8}, {5, 75, 0}, {130, 512, 64}, {4, 1536, 3}, {2, 2056, 0}, {2, 16384, 0}, {2, 8, 0}})
        compare_rms_norm({tokens, width, first, residual, rows});
}

TEST_F(Rows, RmsNormInPlace) {
  const Array x = cpu::random_array(bf16, 3, 136), w = cpu::random_array(bf16, 1, 136, 3);
  Array right(bf16, 3, 136), none;
  const model_spec::RmsNorm<I> op{.tokens = 3, .width = 136};
  cpu::rms_norm<float>(op, 1e-6f, ue8m0, x, none, w, right, none);
  const DeviceMatrix on_x(x), on_w(w);
  rms_norm(op, 1e-6f, on_x.view(), {}, on_w.view(), on_x.view(), {}, nullptr, nullptr);
  expect_rounded_alike(on_x.host(), right);
}

TEST_F(Rows, RmsNormIsOfTheUnroundedSum) {
  const Array x(bf16, 1, 1, {256}), w(bf16, 1, 1, {1}), r(bf16, 1, 1, {1});
  const DeviceMatrix on_x(x), on_w(w), on_r(r), y(bf16, 1, 1);
  rms_norm({.tokens = 1, .width = 1, .residual = true}, 257.0f * 257.0f * 3, on_x.view(), on_r.view(), on_w.view(), y.view(), {}, nullptr, nullptr);
  EXPECT_EQ(y.host().get(0, 0), 0.5f);  // 257 / sqrt(4 * 257^2); a rounded 256 would give 0.498
  EXPECT_EQ(on_r.host().get(0, 0), 256.0f);
}

TEST_F(Rows, LayerNorm) {
  for (const DType parameters : {fp32, bf16})
    for (const auto& [tokens, width] : {std::pair<I, I>{1, 128}, {9, 128}, {3, 75}, {5, 80}, {2, 520}}) {
      SCOPED_TRACE(testing::Message() << tokens << " x " << width);
      const Array x = cpu::random_array(bf16, tokens, width), w = cpu::random_array(parameters, 1, width, 2), b = cpu::random_array(parameters, 1, width, 3);
      Array right(bf16, tokens, width);
      const model_spec::LayerNorm<I> op{.tokens = tokens, .width = width};
      cpu::layer_norm<float>(op, 1e-6f, x, w, b, right);
      const DeviceMatrix on_x(x), on_w(w), on_b(b), y(bf16, tokens, width + 8);
      layer_norm(op, 1e-6f, on_x.view(), on_w.view(), on_b.view(), y.slice(8, width), nullptr);
      expect_rounded_alike(y.host().slice(8, width), right);
      layer_norm(op, 1e-6f, on_x.view(), on_w.view(), on_b.view(), on_x.view(), nullptr);
      expect_rounded_alike(on_x.host(), right);
    }
}

TEST_F(Rows, Quantise) {
  for (const auto& [tokens, width] : {std::pair<I, I>{1, 7168}, {3, 128}, {5, 80}, {4, 75}, {2, 129}, {130, 576}, {1, 1}}) {
    SCOPED_TRACE(testing::Message() << tokens << " x " << width);
    const Array x = wide_range(tokens, width + 8);
    const DeviceMatrix on_x(x), y(fp8_row, tokens, width), copy(bf16, tokens, width);
    quantise({.tokens = tokens, .width = width, .output = fp8_row}, on_x.slice(8, width), y.view(), nullptr);
    expect_same(y.host(), quantised(x.slice(8, width)));
    quantise({.tokens = tokens, .width = width, .output = bf16}, on_x.slice(8, width), copy.view(), nullptr);
    expect_same(copy.host(), x.slice(8, width));
  }
}

TEST_F(Rows, Rope) {
  for (const bool interleaved : {true, false})
    for (const auto& [tokens, heads, dims, first] :
         {std::tuple<I, I, I, I>{3, 128, 64, 128}, {5, 1, 64, 0}, {2, 3, 20, 0}, {2, 2, 80, 8}, {3, 2, 8, 3}, {1, 1, 2, 0}}) {
      SCOPED_TRACE(testing::Message() << tokens << " x " << heads << " x " << dims << (interleaved ? " neighbours" : " halves"));
      Array x = cpu::random_array(bf16, tokens * heads, first + dims);
      const Array cosines = cpu::random_array(fp32, tokens, dims / 2, 2), sines = cpu::random_array(fp32, tokens, dims / 2, 3);
      const DeviceMatrix on_x(x), on_cosines(cosines), on_sines(sines);
      const model_spec::Rope<I> op{.tokens = tokens, .heads = heads, .dims = dims, .interleaved = interleaved};
      auto part = x.slice(first, dims);
      cpu::rope<float>(op, part, cosines, sines);
      rope(op, on_x.slice(first, dims), static_cast<float*>(on_cosines.view().data), static_cast<float*>(on_sines.view().data), nullptr);
      expect_rounded_alike(on_x.host(), x);
    }
}

TEST_F(Rows, Hadamard) {
  for (I stages = 0; stages <= 8; ++stages)
    for (const DType output : {bf16, fp8_row}) {
      const I width = I{1} << stages;
      SCOPED_TRACE(testing::Message() << width << " to " << name_of(output));
      const Array x = cpu::random_array(bf16, 3 * 7, width);
      Array right(output, 3 * 7, width);
      const model_spec::Hadamard<I> op{.tokens = 3, .heads = 7, .width = width, .stages = stages, .output = output};
      cpu::hadamard<float>(op, ue8m0, x, right);
      const DeviceMatrix on_x(x), y(output, 3 * 7, width);
      hadamard(op, on_x.view(), y.view(), nullptr);
      expect_same(y.host(), right);
    }
}

TEST_F(Rows, SwiGlu) {
  for (const auto& [rows, width] : {std::pair<I, I>{1, 2048}, {5, 80}, {4, 75}, {130, 256}, {2, 136}}) {
    SCOPED_TRACE(testing::Message() << rows << " x " << width);
    Array x = cpu::random_array(bf16, rows, 2 * width);
    for (I r = 0; r < rows; ++r)
      for (I c = 0; c < 2 * width; ++c) x.set(r, c, 8 * x.get(r, c));
    x.set(0, 0, -100);  // exp overflows
    Array right(bf16, rows, width);
    cpu::swiglu<float>({.rows = static_cast<double>(rows), .width = width}, ue8m0, x, right);
    const DeviceMatrix on_x(x), y(bf16, rows, width), fp8(fp8_row, rows, width);
    swiglu({.rows = static_cast<double>(rows), .width = width}, on_x.view(), y.view(), nullptr, nullptr);
    const Array got = y.host();
    expect_rounded_alike(got, right);
    const auto came = upload<std::int32_t>({static_cast<std::int32_t>(rows - 1)});
    swiglu({.rows = static_cast<double>(rows - 1), .width = width, .output = fp8_row}, on_x.view(), fp8.view(), came.as<std::int32_t>(), nullptr);
    const Array codes = fp8.host();
    if (rows > 1) expect_same(codes.rows(0, rows - 1), quantised(got.rows(0, rows - 1)));
    expect_untouched(codes, rows - 1, 0, width);
  }
}

// Slots of two pages, out of order; one token goes nowhere.
const std::vector<std::int32_t> slots{70, 3, -1, 127, 64, 0};
const I tokens = std::ssize(slots);

void compare_latent_cache(CacheFormat format, I latent, I rope) {
  SCOPED_TRACE(testing::Message() << name_of(format) << ' ' << latent << " + " << rope);
  const Array kv = wide_range(tokens, latent + rope);
  executor::LatentCache right(Numerics::fp8, latent, rope, 2, format);
  auto latent_part = right.latent(), rope_part = right.rope();
  for (I t = 0; t < tokens; ++t) {
    if (slots[static_cast<std::size_t>(t)] < 0) continue;
    const Array slot(DType::int32, 1, 1, {static_cast<double>(slots[static_cast<std::size_t>(t)])});
    cpu::latent_cache_write<float>({.tokens = 1, .latent = latent, .rope = rope, .format = format}, ue8m0, kv.slice(0, latent).rows(t, 1),
                                   kv.slice(latent, rope).rows(t, 1), slot, latent_part, rope_part);
  }
  const DeviceMatrix on_kv(kv), y(bf16, tokens, latent + rope);
  const auto memory = upload(std::vector<std::byte>(right.bytes().size()));
  const auto on_slots = upload(slots);
  const LatentCache cache{.format = format, .latent = latent, .rope = rope, .data = memory.get()};
  latent_cache_write({.tokens = tokens, .latent = latent, .rope = rope, .format = format}, on_kv.slice(0, latent), on_kv.slice(latent, rope),
                     on_slots.as<std::int32_t>(), cache, nullptr);
  const auto bytes = download<std::byte>(memory.get(), right.bytes().size());
  for (std::size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], right.bytes()[i]) << "byte " << i;

  latent_cache_read({.tokens = tokens, .latent = latent, .rope = rope, .format = format}, cache, on_slots.as<std::int32_t>(), y.view(), nullptr);
  const Array read = y.host();
  for (I t = 0; t < tokens; ++t) {
    const I slot = slots[static_cast<std::size_t>(t)];
    if (slot < 0) {
      expect_untouched(read, t, 0, latent + rope);
      continue;
    }
    std::vector<float> row(static_cast<std::size_t>(latent + rope));
    right.load(slot, row.data());
    for (float& v : row) v = cpu::round_bf16(v);
    ASSERT_EQ(row_of(read, t), row) << "token " << t;
  }
}

TEST_F(Rows, LatentCache) {
  for (const auto format : {CacheFormat::fp8, CacheFormat::bf16})
    for (const auto& [latent, rope] : {std::pair<I, I>{512, 64}, {80, 20}, {64, 16}, {132, 6}, {256, 64}}) compare_latent_cache(format, latent, rope);
}

TEST_F(Rows, IndexCache) {
  for (const DType type : {fp8_row, bf16})
    for (const I dims : {128, 64, 20, 256}) {
      SCOPED_TRACE(testing::Message() << name_of(type) << ' ' << dims);
      const Array k = cpu::random_array(type, tokens, dims);
      executor::IndexCache right(type == fp8_row ? Numerics::fp8 : Numerics::bf16, dims, 2);
      for (I t = 0; t < tokens; ++t)
        if (slots[static_cast<std::size_t>(t)] >= 0) cpu::copy_row(type, dims, k, t, right, slots[static_cast<std::size_t>(t)]);
      const DeviceMatrix on_k(k);
      const auto memory = upload(std::vector<std::byte>(right.bytes().size()));
      const auto on_slots = upload(slots);
      index_cache_write({.tokens = tokens, .dims = dims}, on_k.view(), on_slots.as<std::int32_t>(), {.type = type, .dims = dims, .data = memory.get()},
                        nullptr);
      const auto bytes = download<std::byte>(memory.get(), right.bytes().size());
      for (std::size_t i = 0; i < bytes.size(); ++i) ASSERT_EQ(bytes[i], right.bytes()[i]) << "byte " << i;
    }
}

TEST_F(Rows, NoTokensAreNoWork) {
  EXPECT_NO_THROW(quantise({.width = 8}, {.columns = 8, .stride = 8}, {.type = fp8_row, .columns = 8, .stride = 8}, nullptr));
  EXPECT_NO_THROW(swiglu({.width = 8}, {.columns = 16, .stride = 16}, {.columns = 8, .stride = 8}, nullptr, nullptr));
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

}  // namespace
}  // namespace fathom::kernels::cuda
