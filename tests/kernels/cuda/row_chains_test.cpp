// Chains of operators against the kernels of their own: the same bits.
#include "kernels/cuda/row_chains.h"
#include "kernels/cuda/cache.h"
#include "kernels/cuda/drafts.h"
#include "kernels/cuda/hadamard.h"
#include "kernels/cuda/layer_norm.h"
#include "kernels/cuda/permute.h"
#include "kernels/cuda/quantise.h"
#include "kernels/cuda/rms_norm.h"
#include "kernels/cuda/rope.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using model_spec::CacheFormat;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row;

class RowChains : public OnDevice {};

// Slots of two pages, out of order; one token goes nowhere.
const std::vector<std::int32_t> slots{70, 3, -1, 127, 64, 0, 5};
const I tokens = std::ssize(slots);

template <class T>
void expect_same_bytes(const Memory& a, const Memory& b) {
  EXPECT_EQ(download<T>(a.get(), a.bytes() / sizeof(T)), download<T>(b.get(), b.bytes() / sizeof(T)));
}
void expect_same(const DeviceMatrix& a, const DeviceMatrix& b) {
  const Array x = a.host(), y = b.host();
  for (I r = 0; r < y.rows(); ++r) ASSERT_EQ(cpu::row_of(x, r), cpu::row_of(y, r)) << "row " << r;
}
Memory zeros(std::size_t bytes) { return upload(std::vector<std::byte>(bytes)); }

struct OnDeviceAngles {
  DeviceMatrix cosines, sines;
  explicit OnDeviceAngles(I rope) : cosines(cpu::random_array(fp32, tokens, rope / 2, 2)), sines(cpu::random_array(fp32, tokens, rope / 2, 3)) {}
  [[nodiscard]] Angles angles() const { return {static_cast<const float*>(cosines.view().data), static_cast<const float*>(sines.view().data)}; }
};

TEST_F(RowChains, Latent) {
  for (const auto format : {CacheFormat::fp8, CacheFormat::bf16})
    for (const auto& [latent, rope, before] : {std::tuple<I, I, I>{512, 64, 1664}, {512, 64, 0}, {64, 16, 8}, {200, 8, 16}}) {
      SCOPED_TRACE(testing::Message() << name_of(format) << ' ' << latent << " + " << rope);
      const Array kv = cpu::random_array(bf16, tokens, before + latent + rope);
      const DeviceMatrix whole(kv), apart(kv), w(cpu::random_array(bf16, 1, latent, 4));
      const OnDeviceAngles at(rope);
      const auto on_slots = upload(slots);
      const auto chained = zeros(static_cast<std::size_t>(128 * (latent + rope) * 4)), separate = zeros(chained.bytes());
      const model_spec::LatentCacheWrite<I> op{.tokens = tokens, .latent = latent, .rope = rope, .format = format};
      LatentCache cache{.format = format, .latent = latent, .rope = rope, .data = chained.get()};
      latent_chain(op, 1e-6f, whole.slice(before, latent + rope), w.view(), at.angles(), on_slots.as<std::int32_t>(), cache, nullptr);

      const auto part = apart.slice(before, latent);
      rms_norm({.tokens = tokens, .width = latent}, 1e-6f, part, {}, w.view(), part, {}, nullptr, nullptr);
      fathom::kernels::cuda::rope({.tokens = tokens, .heads = 1, .dims = rope}, apart.slice(before + latent, rope), at.angles().cosines, at.angles().sines,
                                  nullptr);
      cache.data = separate.get();
      latent_cache_write(op, part, apart.slice(before + latent, rope), on_slots.as<std::int32_t>(), cache, nullptr);
      expect_same(whole, apart);
      expect_same_bytes<std::uint8_t>(chained, separate);
    }
}

TEST_F(RowChains, IndexKeys) {
  for (const DType type : {fp8_row, bf16})
    for (const auto& [dims, rope_dims] : {std::pair<I, I>{128, 64}, {256, 64}, {64, 32}, {32, 32}, {64, 16}, {16, 16}}) {
      ASSERT_TRUE(suits_index_chain(dims, rope_dims));
      SCOPED_TRACE(testing::Message() << name_of(type) << ' ' << dims << ", of which " << rope_dims);
      const Array k = cpu::random_array(bf16, tokens, dims + 8);
      const DeviceMatrix whole(k), apart(k), w(cpu::random_array(fp32, 1, dims, 4)), b(cpu::random_array(bf16, 1, dims, 5)), k8(fp8_row, tokens, dims);
      const OnDeviceAngles at(rope_dims);
      const auto on_slots = upload(slots);
      const auto chained = zeros(static_cast<std::size_t>(128 * (2 * dims + 16))), separate = zeros(chained.bytes());
      const model_spec::IndexCacheWrite<I> op{.tokens = tokens, .dims = dims};
      index_key_chain(op, rope_dims, {1e-6f, w.view(), b.view()}, whole.slice(8, dims), at.angles(), on_slots.as<std::int32_t>(),
                      {.type = type, .dims = dims, .data = chained.get()}, nullptr);

      const auto part = apart.slice(8, dims);
      layer_norm({.tokens = tokens, .width = dims}, 1e-6f, part, w.view(), b.view(), part, nullptr);
      rope({.tokens = tokens, .heads = 1, .dims = rope_dims, .interleaved = false}, apart.slice(8, rope_dims), at.angles().cosines, at.angles().sines, nullptr);
      const I stages = std::bit_width(static_cast<std::uint64_t>(dims)) - 1;
      hadamard({.tokens = tokens, .heads = 1, .width = dims, .stages = stages, .output = fp8_row}, part, k8.view(), nullptr);
      index_cache_write(op, type == fp8_row ? k8.view() : part, on_slots.as<std::int32_t>(), {.type = type, .dims = dims, .data = separate.get()}, nullptr);
      expect_same_bytes<std::uint8_t>(chained, separate);
    }
  EXPECT_FALSE(suits_index_chain(128, 48));  // halves of 24: no power of two
  EXPECT_FALSE(suits_index_chain(96, 32));
  EXPECT_FALSE(suits_latent_chain(1024, 64));
}

TEST_F(RowChains, IndexQueries) {
  for (const DType type : {fp8_row, bf16})
    for (const auto& [heads, dims, rope_dims] : {std::tuple<I, I, I>{64, 128, 64}, {3, 64, 32}, {5, 32, 16}}) {
      SCOPED_TRACE(testing::Message() << name_of(type) << ' ' << heads << " x " << dims);
      const Array q = cpu::random_array(bf16, tokens * heads, dims);
      const DeviceMatrix whole(q), apart(q), y(type, tokens * heads, dims), right(type, tokens * heads, dims);
      const OnDeviceAngles at(rope_dims);
      const I stages = std::bit_width(static_cast<std::uint64_t>(dims)) - 1;
      const model_spec::Hadamard<I> op{.tokens = tokens, .heads = heads, .width = dims, .stages = stages, .output = type};
      index_query_chain(op, rope_dims, whole.view(), at.angles(), y.view(), nullptr);
      rope({.tokens = tokens, .heads = heads, .dims = rope_dims, .interleaved = false}, apart.slice(0, rope_dims), at.angles().cosines, at.angles().sines,
           nullptr);
      if (type == fp8_row) hadamard(op, apart.view(), right.view(), nullptr);
      else quantise({.tokens = tokens * heads, .width = dims, .output = bf16}, apart.view(), right.view(), nullptr);
      expect_same(y, right);
    }
}

TEST_F(RowChains, UnpermuteThenAdd) {
  const I hidden = 256, topk = 3;
  const Array x = cpu::random_array(bf16, tokens * topk, hidden), shared = cpu::random_array(bf16, tokens, hidden, 2),
              w = cpu::random_array(fp32, tokens, topk, 3);
  const DeviceMatrix on_x(x), on_shared(shared), on_w(w), y(bf16, tokens, hidden), right(bf16, tokens, hidden);
  std::vector<std::int32_t> row;
  for (I i = 0; i < tokens * topk; ++i) row.push_back(static_cast<std::int32_t>((i * 5) % (tokens * topk)));  // 21 rows
  const auto on_row = upload(row);
  const ExpertRows rows{.experts = 1, .capacity = tokens * topk, .row = on_row.as<std::int32_t>()};
  const auto* weights = static_cast<const float*>(on_w.view().data);
  unpermute({.hidden = hidden}, topk, on_x.view(), weights, topk, rows, y.view(), nullptr, on_shared.view());
  unpermute({.hidden = hidden}, topk, on_x.view(), weights, topk, rows, right.view(), nullptr);
  add({.tokens = tokens, .hidden = hidden}, right.view(), on_shared.view(), right.view(), nullptr);
  expect_same(y, right);
}

// Three sequences: a draft that was right and one that was wrong; no drafts; a prompt whose end is sampled.
TEST_F(RowChains, DraftsAreSettledAsSampledIdsSay) {
  const auto ids = upload<std::int32_t>({1, 5, 6, 9, 2, 3, 4}), next = upload<std::int32_t>({-1, -1, -1, -1, 3, 4, -1});
  const auto sampled_at = upload<std::int32_t>({0, 1, 2, 3, -1, -1, 4}), first = upload<std::int32_t>({0, 3, 4, 7}),
             sampled = upload<std::int32_t>({5, 7, 8, 1, 2});
  const auto out = zeros(7 * 4), confirmed = zeros(3 * 4);
  settle_drafts({ids.as<std::int32_t>(), next.as<std::int32_t>(), sampled_at.as<std::int32_t>(), first.as<std::int32_t>(), 7, 3}, sampled.as<std::int32_t>(),
                out.as<std::int32_t>(), confirmed.as<std::int32_t>(), nullptr);
  EXPECT_EQ(download<std::int32_t>(out.get(), 7), (std::vector<std::int32_t>{5, 7, 8, 1, 3, 4, 2}));
  EXPECT_EQ(download<std::int32_t>(confirmed.get(), 3), (std::vector<std::int32_t>{1, 3, 6}));
}

}  // namespace
}  // namespace fathom::kernels::cuda
