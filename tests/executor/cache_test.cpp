#include "executor/cache.h"

#include <gmock/gmock.h>

#include <thread>

#include "model_spec/error.h"
#include "tests/kernels/arrays.h"

namespace fathom::executor {
namespace {

using kernels::cpu::Array;
using kernels::cpu::random_array;
using kernels::cpu::Scales;
using model_spec::page_tokens;
using testing::Each;
using testing::ElementsAre;
using testing::ElementsAreArray;

constexpr std::array all_numerics{Numerics::exact, Numerics::bf16, Numerics::fp8};

std::span<const std::byte> bytes_of(const kernels::cpu::Matrix& m, std::int64_t row, std::int64_t row_bytes) {
  return {m.data() + row * row_bytes, static_cast<std::size_t>(row_bytes)};
}
template <class T>
T read(std::span<const std::byte> bytes, std::int64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

TEST(PagePool, HandsOutTheLowestFreePage) {
  PagePool pool(4);
  EXPECT_THAT((std::array{pool.take(), pool.take(), pool.take()}), ElementsAre(0, 1, 2));
  pool.release(2);
  pool.release(0);
  EXPECT_EQ(pool.free_pages(), 3);
  EXPECT_THAT((std::array{pool.take(), pool.take(), pool.take()}), ElementsAre(0, 2, 3));
}

TEST(PagePool, RefusesWhenAllAreInUse) {
  PagePool pool(1);
  (void)pool.take();
  try {
    (void)pool.take();
    FAIL() << "a page from nowhere";
  } catch (const model_spec::Error& error) {
    EXPECT_EQ(error.failure(), model_spec::Failure::usage);
    EXPECT_STREQ(error.what(), "cache: all 1 pages of 64 tokens are in use");
  }
}

TEST(PagePool, APageIsFreeWhenItsLastOwnerReleasesIt) {
  PagePool pool(1);
  const auto page = pool.take();
  pool.share(page);
  pool.release(page);
  EXPECT_EQ(pool.free_pages(), 0);
  pool.release(page);
  EXPECT_EQ(pool.free_pages(), 1);
  EXPECT_DEBUG_DEATH(pool.release(page), "owners > 0");
}

TEST(BlockTable, TakesPagesAsTheyAreNeeded) {
  PagePool pool(4);
  BlockTable table(pool);
  table.reserve(0);
  EXPECT_TRUE(table.pages().empty());
  table.reserve(page_tokens);
  EXPECT_THAT(table.pages(), ElementsAre(0));
  EXPECT_EQ(pool.take(), 1);
  table.reserve(page_tokens + 1);
  table.reserve(5);
  EXPECT_THAT(table.pages(), ElementsAre(0, 2));
  EXPECT_EQ(table.slot(63), 63);
  EXPECT_EQ(table.slot(64), 2 * 64);
  EXPECT_EQ(table.slot(127), 2 * 64 + 63);
}

TEST(BlockTable, GivesItsPagesBack) {
  PagePool pool(3);
  {
    BlockTable first(pool), second(pool);
    first.reserve(2 * page_tokens);
    second.reserve(1);
    BlockTable moved(std::move(first));
    EXPECT_THAT(moved.pages(), ElementsAre(0, 1));
    EXPECT_EQ(pool.free_pages(), 0);
    second = std::move(moved);  // page 2 goes back
    EXPECT_THAT(second.pages(), ElementsAre(0, 1));
    EXPECT_EQ(pool.free_pages(), 1);
    EXPECT_THROW(second.reserve(4 * page_tokens), model_spec::Error);
    EXPECT_THAT(second.pages(), ElementsAre(0, 1, 2));
  }
  EXPECT_EQ(pool.free_pages(), 3);
}

TEST(BlockTable, SharesWholePages) {
  PagePool pool(4);
  BlockTable later(pool);
  {
    BlockTable first(pool), none(pool);
    first.reserve(3 * page_tokens);
    EXPECT_EQ(none.share_prefix(first, page_tokens - 1), 0);
    EXPECT_EQ(later.share_prefix(first, 2 * page_tokens + 63), 2 * page_tokens);
    EXPECT_THAT(later.pages(), ElementsAre(0, 1));
    EXPECT_EQ(pool.free_pages(), 1);
  }
  EXPECT_EQ(pool.free_pages(), 2);  // the third page only
  later.reserve(2 * page_tokens + 1);
  EXPECT_THAT(later.pages(), ElementsAre(0, 1, 2));
}

TEST(LatentCache, RecordsHaveTheSizeThatTheModelSays) {
  EXPECT_EQ(LatentCache(Numerics::fp8, 512, 64, 1).record_bytes(), 656);
  EXPECT_EQ(LatentCache(Numerics::bf16, 512, 64, 1).record_bytes(), 1152);
  EXPECT_EQ(LatentCache(Numerics::exact, 512, 64, 1).record_bytes(), 2304);
  EXPECT_EQ(LatentCache(Numerics::fp8, 512, 64, 1, CacheFormat::bf16).record_bytes(), 1152);
  EXPECT_EQ(LatentCache(Numerics::fp8, 130, 4, 1).record_bytes(), 130 + 2 * 4 + 8);  // two scales, not aligned
  const LatentCache cache(Numerics::fp8, 512, 64, 2);
  EXPECT_EQ(cache.bytes().size(), 2u * 64 * 656);
  EXPECT_THAT(cache.bytes(), Each(std::byte{0}));
}

// c_kv[2, latent] and k_pe[2, rope] to slots 70 and 3; every format.
struct Written {
  static constexpr std::int64_t latent = 512, rope = 64;
  Written(Numerics n, CacheFormat planned) : numerics(n), cache(n, latent, rope, 2, planned) {
    auto c = cache.latent(), r = cache.rope();
    latent_cache_write<float>({.tokens = 2, .latent = latent, .rope = rope, .format = format()}, Scales::ue8m0, c_kv, k_pe, slots, c, r);
  }
  [[nodiscard]] CacheFormat format() const { return cache.record_bytes() == 656 ? CacheFormat::fp8 : CacheFormat::bf16; }

  Numerics numerics;
  Array c_kv = random_array(held(numerics, DType::bf16), 2, latent, 1), k_pe = random_array(held(numerics, DType::bf16), 2, rope, 2);
  Array slots{DType::int32, 1, 2, {70, 3}};
  LatentCache cache;
};

TEST(LatentCache, Fp8RecordIsWhatQuantiseGivesThenScalesThenRope) {
  const Written w(Numerics::fp8, CacheFormat::fp8);
  Array q(DType::fp8_row, 2, 512);
  kernels::cpu::quantise<float>({.tokens = 2, .width = 512, .output = DType::fp8_row}, Scales::ue8m0, w.c_kv, q);
  for (const std::int64_t t : {0, 1}) {
    const auto record = w.cache.bytes().subspan(static_cast<std::size_t>(w.slots.integer(0, t) * 656), 656);
    EXPECT_THAT(record.first(512), ElementsAreArray(bytes_of(q, t, 512)));
    for (std::int64_t g = 0; g < 4; ++g) EXPECT_EQ(read<float>(record, 512 + 4 * g), q.scale(t, 128 * g));
    EXPECT_THAT(record.last(128), ElementsAreArray(bytes_of(w.k_pe, t, 128)));
  }
  // Nothing else was touched.
  EXPECT_THAT(w.cache.bytes().first(3 * 656), Each(std::byte{0}));
  EXPECT_THAT(w.cache.bytes().subspan(4 * 656, (70 - 4) * 656), Each(std::byte{0}));
  EXPECT_THAT(w.cache.bytes().subspan(71 * 656), Each(std::byte{0}));
}

TEST(LatentCache, RecordsWithoutScalesAreTheNumbersThemselves) {
  for (const auto& [numerics, size] : {std::pair{Numerics::exact, 4}, {Numerics::bf16, 2}, {Numerics::fp8, 2}}) {
    const Written w(numerics, CacheFormat::bf16);
    for (const std::int64_t t : {0, 1}) {
      const auto record = w.cache.bytes().subspan(static_cast<std::size_t>(w.slots.integer(0, t) * 576 * size), static_cast<std::size_t>(576 * size));
      EXPECT_THAT(record.first(static_cast<std::size_t>(512 * size)), ElementsAreArray(bytes_of(w.c_kv, t, 512 * size)));
      EXPECT_THAT(record.last(static_cast<std::size_t>(64 * size)), ElementsAreArray(bytes_of(w.k_pe, t, 64 * size)));
    }
  }
}

TEST(LatentCache, WhatIsReadIsWhatWasWritten) {
  for (const Numerics numerics : all_numerics) {
    Written w(numerics, CacheFormat::fp8);
    Array y(DType::fp32, 2, 576);
    const auto latent = w.cache.latent(), rope = w.cache.rope();
    latent_cache_read<float>({.tokens = 2, .latent = 512, .rope = 64, .format = w.format()}, latent, rope, w.slots, y);
    for (const std::int64_t t : {0, 1}) {
      // ue8m0: a scale is at most 2 / 448 where the largest number is near 1, and e4m3's largest step is 32 scales.
      for (std::int64_t c = 0; c < 512; ++c) EXPECT_NEAR(y.get(t, c), w.c_kv.get(t, c), numerics == Numerics::fp8 ? 16 * 2.0 / 448 : 0) << name_of(numerics);
      for (std::int64_t c = 0; c < 64; ++c) EXPECT_EQ(y.get(t, 512 + c), w.k_pe.get(t, c));
      std::vector<float> loaded(576);
      w.cache.load(w.slots.integer(0, t), loaded.data());
      EXPECT_EQ(loaded, row_of(y, t));
    }
  }
}

TEST(LatentCache, WithoutScalesTheScaleIsOne) {
  LatentCache cache(Numerics::bf16, 4, 2, 1);
  auto part = cache.latent();
  part.set(5, 3, 2.5f);
  part.set_scale(5, 3, 1.0f);
  EXPECT_EQ(part.scale(5, 3), 1.0f);
  EXPECT_EQ(part.get(5, 3), 2.5f);
  EXPECT_DEBUG_DEATH(part.set_scale(5, 3, 2.0f), "1.0f");
  EXPECT_DEBUG_DEATH(part.set(4, 4, 1.0f), "columns");
}

TEST(LatentCache, ThreadsMayWriteDifferentSlots) {
  LatentCache cache(Numerics::fp8, 130, 3, 1);  // odd sizes: records share words of memory
  const auto write = [&](std::int64_t first) {
    auto latent = cache.latent(), rope = cache.rope();
    for (std::int64_t slot = first; slot < page_tokens; slot += 2) {
      for (std::int64_t c = 0; c < 130; ++c) latent.set(slot, c, static_cast<float>(slot));
      for (const std::int64_t c : {0, 128}) latent.set_scale(slot, c, 0.5f);
      for (std::int64_t c = 0; c < 3; ++c) rope.set(slot, c, static_cast<float>(slot + 100));
    }
  };
  { const std::jthread even(write, 0), odd(write, 1); }
  for (std::int64_t slot = 0; slot < page_tokens; ++slot) {
    std::vector<float> y(133);
    cache.load(slot, y.data());
    EXPECT_THAT(std::span(y).first(130), Each(0.5f * kernels::cpu::decode_e4m3(kernels::cpu::encode_e4m3(static_cast<float>(slot)))));
    EXPECT_THAT(std::span(y).last(3), Each(static_cast<float>(slot + 100)));
  }
}

// A key as the Hadamard step leaves it when numbers have no scales.
struct Unscaled {
  const Array& numbers;
  [[nodiscard]] float get(std::int64_t r, std::int64_t c) const { return numbers.get(r, c); }
  [[nodiscard]] float scale(std::int64_t, std::int64_t) const { return 1.0f; }
};

TEST(IndexCache, AnFp8PageIsKeysThenScales) {
  IndexCache cache(Numerics::fp8, 128, 2);
  EXPECT_EQ(cache.page_bytes(), 8448);
  EXPECT_EQ(cache.bytes().size(), 2u * 8448);
  EXPECT_THAT(cache.bytes(), Each(std::byte{0}));

  const Array x = random_array(DType::bf16, 2, 128), slots(DType::int32, 1, 2, {67, 0});
  Array k(DType::fp8_row, 2, 128);
  kernels::cpu::quantise<float>({.tokens = 2, .width = 128, .output = DType::fp8_row}, Scales::exact, x, k);
  index_cache_write<float>({.tokens = 2, .dims = 128}, k, slots, cache);
  for (const std::int64_t t : {0, 1}) {
    const std::int64_t slot = slots.integer(0, t);
    const auto page = cache.bytes().subspan(static_cast<std::size_t>(slot / 64 * 8448), 8448);
    EXPECT_THAT(page.subspan(static_cast<std::size_t>(slot % 64 * 128), 128), ElementsAreArray(bytes_of(k, t, 128)));
    EXPECT_EQ(read<float>(page, 64 * 128 + slot % 64 * 4), k.scale(t, 0));
    std::vector<float> y(128);
    cache.load(slot, y.data());
    EXPECT_EQ(y, kernels::cpu::load_row<float>(DType::fp8_row, k, t, 128));
  }
  EXPECT_THAT(cache.bytes().subspan(128, 63 * 128), Each(std::byte{0}));
}

TEST(IndexCache, WithoutScalesItIsTheNumbersThemselves) {
  for (const auto& [numerics, size] : {std::pair{Numerics::exact, 4}, {Numerics::bf16, 2}}) {
    IndexCache cache(numerics, 128, 2);
    EXPECT_EQ(cache.page_bytes(), 64 * 128 * size);
    const Array k = random_array(held(numerics, DType::fp8_row), 1, 128), slots(DType::int32, 1, 1, {65});
    index_cache_write<float>({.tokens = 1, .dims = 128}, Unscaled{k}, slots, cache);
    EXPECT_THAT(cache.bytes().subspan(static_cast<std::size_t>(65 * 128 * size), static_cast<std::size_t>(128 * size)),
                ElementsAreArray(bytes_of(k, 0, 128 * size)));
    EXPECT_EQ(cache.scale(65, 0), 1.0f);
    EXPECT_EQ(cache.get(65, 7), k.get(0, 7));
    std::vector<float> y(128);
    cache.load(65, y.data());
    EXPECT_EQ(y, row_of(k, 0));
    EXPECT_DEBUG_DEATH(cache.set_scale(65, 0, 2.0f), "1.0f");
    EXPECT_DEBUG_DEATH((void)cache.get(128, 0), "pages");
  }
}

TEST(IndexCache, WideKeysHaveSeveralScales) {
  IndexCache cache(Numerics::fp8, 130, 1);
  EXPECT_EQ(cache.page_bytes(), 64 * (130 + 8));
  cache.set(2, 129, 3.0f);
  cache.set_scale(2, 128, 0.25f);
  cache.set_scale(2, 0, 8.0f);
  EXPECT_EQ(read<float>(cache.bytes(), 64 * 130 + 2 * 8 + 4), 0.25f);
  std::vector<float> y(130);
  cache.load(2, y.data());
  EXPECT_EQ(y[129], 0.75f);
}

}  // namespace
}  // namespace fathom::executor
