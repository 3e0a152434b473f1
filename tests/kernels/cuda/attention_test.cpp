// Attention on the device against that of the CPU in float, on the same bf16 and fp8 numbers. Two roundings to bf16, 2^-9 each, differ: that of the
// result, and that of the probabilities, whose errors are as independent as the terms they belong to, so that they add up as those do. Terms may be
// larger than their sum: half as much again.
#include "kernels/cuda/attention.h"

#include "kernels/cpu/attention.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using model_spec::CacheFormat;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row;
constexpr double tolerance = 0x1.8p-8;

struct Sequence {
  I new_tokens, cached;
  [[nodiscard]] I keys() const { return new_tokens + cached; }
};
using Sequences = std::vector<Sequence>;

// Where the queries and keys of a batch stand: keys of later sequences first, and a row that nobody owns between two; pages in no order.
struct Where {
  std::vector<std::int32_t> sequence, visible, first_key, pages;
  std::vector<I> first_token;
  I tokens = 0, keys = 0, max_pages = 0, page_count = 0, max_visible = 0;

  explicit Where(const Sequences& batch) : first_key(batch.size()) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      first_token.push_back(tokens);
      for (I t = 0; t < batch[i].new_tokens; ++t) {
        sequence.push_back(static_cast<std::int32_t>(i));
        visible.push_back(static_cast<std::int32_t>(batch[i].cached + t + 1));
      }
      tokens += batch[i].new_tokens;
      max_visible = std::max(max_visible, batch[i].keys());
      max_pages = std::max(max_pages, pages_of(batch[i]));
      page_count += pages_of(batch[i]);
    }
    for (std::size_t i = batch.size(); i-- > 0; keys += batch[i].keys() + 1) first_key[i] = static_cast<std::int32_t>(keys);
    I page = 0;
    for (const auto& s : batch)
      for (I j = 0; j < max_pages; ++j) pages.push_back(j < pages_of(s) ? static_cast<std::int32_t>(page_count - 1 - page++) : -1);
  }
  static I pages_of(const Sequence& s) { return (s.keys() + model_spec::page_tokens - 1) / model_spec::page_tokens; }
  [[nodiscard]] I slot(std::size_t i, I position) const {
    return pages[i * static_cast<std::size_t>(max_pages) + static_cast<std::size_t>(position / model_spec::page_tokens)] * I{model_spec::page_tokens} +
           position % model_spec::page_tokens;
  }
};

// The same in device memory.
struct OnDeviceWhere {
  Memory sequence, visible, first_key, pages;
  I max_pages, max_visible;
  explicit OnDeviceWhere(const Where& w)
      : sequence(upload(w.sequence)),
        visible(upload(w.visible)),
        first_key(upload(w.first_key)),
        pages(upload(w.pages)),
        max_pages(w.max_pages),
        max_visible(w.max_visible) {}
  [[nodiscard]] Context context() const { return {sequence.as<std::int32_t>(), visible.as<std::int32_t>(), pages.as<std::int32_t>(), max_pages, max_visible}; }
};

// Each token's every third position, from one that differs by token, up to itself; then -1.
Array some_positions(const Where& w, I topk) {
  Array indices(DType::int32, w.tokens, topk);
  for (I t = 0; t < w.tokens; ++t)
    for (I i = 0, visible = w.visible[static_cast<std::size_t>(t)]; i < topk; ++i) {
      const I position = std::min<I>(t % 7, visible - 1) + (t % 4 == 1 ? 1 : 3) * i;
      indices.set_integer(t, i, position < visible ? position : -1);
    }
  return indices;
}
struct IndexMask {
  const cpu::Matrix& indices;
  [[nodiscard]] bool bit(I t, I position) const {
    for (I i = 0; i < indices.columns(); ++i)
      if (indices.integer(t, i) == position) return true;
    return false;
  }
};

// Scores that spread enough for some keys to matter much more than others: dots of `width` products of numbers below 1 have variance width / 9.
float spread(I width) { return 6 / std::sqrt(static_cast<float>(width)); }

// run(o) twice; the first result, after seeing that it comes again bit for bit.
template <class Run>
Array repeated(I rows, I columns, Run run) {
  const DeviceMatrix first(bf16, rows, columns), second(bf16, rows, columns);
  run(first.view());
  run(second.view());
  Array a = first.host();
  const Array b = second.host();
  EXPECT_EQ(std::memcmp(a.data(), b.data(), static_cast<std::size_t>(2 * rows * columns)), 0) << "the second run differs";
  return a;
}

// ---- dense_mha

struct Heads {
  I heads, nope, rope, v;
};
class DenseMhaOnDevice : public OnDevice, public testing::WithParamInterface<std::tuple<Heads, Sequences>> {
 protected:
  [[nodiscard]] static model_spec::DenseMha<I> record(const Sequence& s, bool masked) {
    const auto& [heads, nope, rope, v] = std::get<0>(GetParam());
    return {.sequences = 1, .new_tokens = s.new_tokens, .cached_tokens = s.cached, .heads = heads, .nope = nope, .rope = rope, .v = v, .masked = masked};
  }
  // k_pe stands in wider rows, behind the latent part.
  void agrees(const Array* chosen) {
    const auto& [sizes, batch] = GetParam();
    const auto& [heads, nope, rope, v] = sizes;
    const Where w(batch);
    const Array q = cpu::random_array(bf16, w.tokens * heads, nope + rope, 1), keys = cpu::random_array(bf16, w.keys, 64 + rope, 3);
    Array kv = cpu::random_array(bf16, w.keys * heads, nope + v, 2);
    for (std::size_t i = 0; i < batch.size(); ++i)
      for (I c = 0; c < nope + v; ++c) kv.set((w.first_key[i] + batch[i].keys()) * heads, c, std::numeric_limits<float>::quiet_NaN());  // nobody's row
    Array naive(fp32, w.tokens * heads, v);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const I first = w.first_key[i], n = batch[i].keys(), token = w.first_token[i], tokens = batch[i].new_tokens;
      const auto k_pe = keys.slice(64, rope).rows(first, n);
      auto o = naive.rows(token * heads, tokens * heads);
      const auto q_rows = q.rows(token * heads, tokens * heads), kv_rows = kv.rows(first * heads, n * heads);
      if (chosen) cpu::dense_mha<float>(record(batch[i], true), spread(nope + rope), q_rows, kv_rows, k_pe, IndexMask{chosen->rows(token, tokens)}, o);
      else cpu::dense_mha<float>(record(batch[i], false), spread(nope + rope), q_rows, kv_rows, k_pe, cpu::EveryKey{}, o);
    }
    const OnDeviceWhere on(w);
    const DeviceMatrix q_on(q), kv_on(kv), keys_on(keys), chosen_on(chosen ? DeviceMatrix(*chosen) : DeviceMatrix(DType::int32, 1, 1));
    const I bytes = chosen ? mha_workspace(w.tokens, w.max_visible) : 0;
    const Memory bits = upload(std::vector<std::byte>(static_cast<std::size_t>(bytes) + 1, std::byte{0xff}));
    const Array o = repeated(w.tokens * heads, v, [&](const Matrix& to) {
      dense_mha(record(batch[0], chosen != nullptr), w.tokens, spread(nope + rope), q_on.view(), kv_on.view(), keys_on.slice(64, rope), on.context(),
                on.first_key.as<std::int32_t>(), chosen ? chosen_on.view() : Matrix{}, {bits.get(), bytes}, to, nullptr);
    });
    EXPECT_LE(relative_error(o, naive), tolerance);
  }
};

TEST_P(DenseMhaOnDevice, Agrees) { agrees(nullptr); }
TEST_P(DenseMhaOnDevice, AgreesOnChosenKeys) {
  for (const I topk : {1, 50, 150}) {
    const Array chosen = some_positions(Where(std::get<1>(GetParam())), topk);
    agrees(&chosen);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, DenseMhaOnDevice,
                         testing::Combine(testing::Values(Heads{3, 128, 64, 128}, Heads{2, 32, 16, 24}, Heads{2, 64, 32, 64}, Heads{1, 64, 64, 64},
                                                          Heads{5, 40, 24, 64}),
                                          testing::Values(Sequences{{1, 0}}, Sequences{{300, 0}}, Sequences{{64, 64}, {64, 0}, {128, 1}},
                                                          Sequences{{5, 0}, {1, 200}, {130, 70}, {2, 62}, {3, 0}, {129, 3}}, Sequences{{150, 700}, {90, 0}})));

// V3.2's widths have a kernel of their own; eight columns of v fewer have the other one, which must come to the same in those that are left. More heads
// than are taken at a time, and more steps than are copied ahead.
class MhaKernels : public OnDevice, public testing::WithParamInterface<bool> {};
TEST_P(MhaKernels, Agree) {
  constexpr I heads = 18, nope = 128, rope = 64, v = 128, fewer = v - 8;
  const Sequences batch{{700, 300}, {3, 1500}, {400, 0}};
  const Where w(batch);
  const OnDeviceWhere on(w);
  const DeviceMatrix q(cpu::random_array(bf16, w.tokens * heads, nope + rope, 1)), kv(cpu::random_array(bf16, w.keys * heads, nope + v, 2)),
      k_pe(cpu::random_array(bf16, w.keys, rope, 3)), chosen(some_positions(w, GetParam() ? 400 : 1));
  const I bytes = GetParam() ? mha_workspace(w.tokens, w.max_visible) : 0;
  const Memory bits(static_cast<std::size_t>(bytes) + 1);
  const auto run = [&](I columns) {
    const model_spec::DenseMha<I> op{.sequences = 1, .new_tokens = w.tokens, .heads = heads, .nope = nope, .rope = rope, .v = columns, .masked = GetParam()};
    return repeated(w.tokens * heads, columns, [&](const Matrix& to) {
      dense_mha(op, w.tokens, spread(nope + rope), q.view(), kv.slice(0, nope + columns), k_pe.view(), on.context(), on.first_key.as<std::int32_t>(),
                GetParam() ? chosen.view() : Matrix{}, {bits.get(), bytes}, to, nullptr);
    });
  };
  const Array all = run(v), other = run(fewer);
  EXPECT_LE(relative_error(all.slice(0, fewer), other), tolerance);
}
INSTANTIATE_TEST_SUITE_P(Masked, MhaKernels, testing::Bool());

class MhaWithoutKeys : public OnDevice {};
TEST_F(MhaWithoutKeys, GivesZeros) {
  constexpr I heads = 2, tokens = 130;
  const DeviceMatrix q(cpu::random_array(bf16, tokens * heads, 192, 1)), kv(cpu::random_array(bf16, heads, 256, 2)), k_pe(cpu::random_array(bf16, 1, 64, 3));
  const Memory zeros = upload(std::vector<std::int32_t>(tokens));
  for (const I v : {128, 120}) {
    const DeviceMatrix o(bf16, tokens * heads, v);
    dense_mha({.sequences = 1, .new_tokens = tokens, .heads = heads, .nope = 128, .rope = 64, .v = v}, tokens, 1.0f, q.view(), kv.slice(0, 128 + v),
              k_pe.view(), {zeros.as<std::int32_t>(), zeros.as<std::int32_t>(), nullptr, 0, 1}, zeros.as<std::int32_t>(), {}, {}, o.view(), nullptr);
    const Array host = o.host();
    for (I r = 0; r < tokens * heads; ++r) EXPECT_EQ(row_of(host, r), std::vector<float>(static_cast<std::size_t>(v))) << v << ", row " << r;
  }
}

// ---- dense_mqa and sparse_mla

struct Widths {
  I heads, latent, rope;
};
class AbsorbedOnDevice : public OnDevice, public testing::WithParamInterface<std::tuple<Widths, Sequences>> {
 protected:
  const Widths sizes = std::get<0>(GetParam());
  const Sequences& batch = std::get<1>(GetParam());
  const Where w{batch};
  const float scale = spread(sizes.latent + sizes.rope);
  const Array q = cpu::random_array(bf16, w.tokens* sizes.heads, sizes.latent + sizes.rope, 1);

  // What the cache holds, key by key as Where counts them. Neighbours in a record and records have different scales.
  struct Records {
    Array latent, rope;
  };
  [[nodiscard]] Records records(CacheFormat format) const {
    Array c_kv = cpu::random_array(bf16, w.keys, sizes.latent, 2);
    const Array k_pe = cpu::random_array(bf16, w.keys, sizes.rope, 3);
    for (I i = 0; i < w.keys; ++i)
      for (I c = 0; c < sizes.latent; ++c) c_kv.set(i, c, c_kv.get(i, c) / static_cast<float>(1 << (c / model_spec::scale_block + i % 3)));
    Array slots(DType::int32, 1, w.keys);
    for (I i = 0; i < w.keys; ++i) slots.set_integer(0, i, i);
    Records r{Array(cpu::latent_type(format), w.keys, sizes.latent), Array(bf16, w.keys, sizes.rope)};
    cpu::latent_cache_write<float>({.tokens = w.keys, .latent = sizes.latent, .rope = sizes.rope, .format = format}, cpu::Scales::ue8m0, c_kv, k_pe, slots,
                                   r.latent, r.rope);
    return r;
  }
  // One record's bytes (executor/cache.h).
  [[nodiscard]] std::vector<std::byte> record(CacheFormat format, const Records& r, I key) const {
    std::vector<std::byte> bytes;
    const auto add = [&](const void* from, I count) {
      const auto* first = static_cast<const std::byte*>(from);
      bytes.insert(bytes.end(), first, first + count);
    };
    const I number = format == CacheFormat::fp8 ? 1 : 2;
    add(r.latent.data() + key * sizes.latent * number, sizes.latent * number);
    for (I c = 0; format == CacheFormat::fp8 && c < sizes.latent; c += model_spec::scale_block) {
      const float s = r.latent.scale(key, c);
      add(&s, 4);
    }
    add(r.rope.data() + key * sizes.rope * 2, sizes.rope * 2);
    return bytes;
  }
  // Slots that hold nothing hold NaN.
  [[nodiscard]] Memory cache(CacheFormat format, const Records& r) const {
    const std::size_t width = record(format, r, 0).size();
    std::vector<std::byte> bytes(width * static_cast<std::size_t>(w.page_count * model_spec::page_tokens), std::byte{0xff});
    for (std::size_t i = 0; i < batch.size(); ++i)
      for (I position = 0; position < batch[i].keys(); ++position)
        std::memcpy(bytes.data() + width * static_cast<std::size_t>(w.slot(i, position)), record(format, r, w.first_key[i] + position).data(), width);
    return upload(bytes);
  }
  // compute(sequence, its queries, its latent and rope parts, its results)
  template <class Compute>
  [[nodiscard]] Array naive(const Records& r, Compute compute) const {
    Array all(fp32, w.tokens * sizes.heads, sizes.latent);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      const I first = w.first_token[i] * sizes.heads, rows = batch[i].new_tokens * sizes.heads;
      auto o = all.rows(first, rows);
      compute(i, q.rows(first, rows), r.latent.rows(w.first_key[i], batch[i].keys()), r.rope.rows(w.first_key[i], batch[i].keys()), o);
    }
    return all;
  }
  [[nodiscard]] model_spec::SparseMla<I> sparse_record(const Sequence& s, I topk, CacheFormat format) const {
    return {.sequences = 1,
            .new_tokens = s.new_tokens,
            .cached_tokens = s.cached,
            .heads = sizes.heads,
            .latent = sizes.latent,
            .rope = sizes.rope,
            .topk = topk,
            .cache = format};
  }
  [[nodiscard]] Array naive_sparse(const Records& r, const Array& indices, CacheFormat format) const {
    return naive(r, [&](std::size_t i, const auto& queries, const auto& latent, const auto& rope, auto& o) {
      cpu::sparse_mla<float>(sparse_record(batch[i], indices.columns(), format), scale, queries, latent, rope,
                             indices.rows(w.first_token[i], batch[i].new_tokens), o);
    });
  }
  const I workspace_bytes = attention_workspace(w.tokens, sizes.heads, sizes.latent);
};

TEST_P(AbsorbedOnDevice, DenseAgrees) {
  for (const CacheFormat format : {CacheFormat::bf16, CacheFormat::fp8}) {
    const auto dense_record = [&](const Sequence& s) {
      return model_spec::DenseMqa<I>{.sequences = 1,
                                     .new_tokens = s.new_tokens,
                                     .cached_tokens = s.cached,
                                     .heads = sizes.heads,
                                     .latent = sizes.latent,
                                     .rope = sizes.rope,
                                     .cache = format};
    };
    const Records r = records(format);
    const Array expected = naive(r, [&](std::size_t i, const auto& queries, const auto& latent, const auto& rope, auto& o) {
      cpu::dense_mqa<float>(dense_record(batch[i]), scale, queries, latent, rope, o);
    });
    const OnDeviceWhere on(w);
    const DeviceMatrix q_on(q);
    const Memory bytes = cache(format, r), workspace(static_cast<std::size_t>(workspace_bytes));
    const Array o = repeated(expected.rows(), sizes.latent, [&](const Matrix& to) {
      dense_mqa(dense_record(batch[0]), w.tokens, scale, q_on.view(), {format, sizes.latent, sizes.rope, bytes.get()}, on.context(),
                {workspace.get(), workspace_bytes}, to, nullptr);
    });
    EXPECT_LE(relative_error(o, expected), tolerance) << name_of(format);
  }
}

// The first query of several has no keys. From the cache in both formats, and from a copy.
TEST_P(AbsorbedOnDevice, SparseAgrees) {
  for (const I topk : {1, 50, 150}) {
    Array indices = some_positions(w, topk);
    const bool one_has_none = w.tokens > 1;
    for (I i = 0; one_has_none && i < topk; ++i) indices.set_integer(0, i, -1);
    const OnDeviceWhere on(w);
    const DeviceMatrix q_on(q), indices_on(indices);
    const Memory workspace(static_cast<std::size_t>(workspace_bytes));
    for (const CacheFormat format : {CacheFormat::bf16, CacheFormat::fp8}) {
      const Records r = records(format);
      const Array expected = naive_sparse(r, indices, format);
      const Memory bytes = cache(format, r);
      const auto run = [&](const Matrix& copy, const Matrix& to) {
        sparse_mla(sparse_record(batch[0], topk, copy.data ? CacheFormat::bf16 : format), w.tokens, scale, q_on.view(), indices_on.view(),
                   {format, sizes.latent, sizes.rope, copy.data ? nullptr : bytes.get()}, copy, on.first_key.as<std::int32_t>(), on.context(),
                   {workspace.get(), workspace_bytes}, to, nullptr);
      };
      const Array o = repeated(expected.rows(), sizes.latent, [&](const Matrix& to) { run({}, to); });
      EXPECT_LE(relative_error(o, expected), tolerance) << name_of(format) << ", topk " << topk;
      for (I h = 0; one_has_none && h < sizes.heads; ++h) EXPECT_EQ(row_of(o, h), std::vector<float>(static_cast<std::size_t>(sizes.latent)));

      if (format == CacheFormat::fp8) continue;
      Array copy(bf16, w.keys, sizes.latent + sizes.rope);
      for (I key = 0; key < w.keys; ++key)
        std::memcpy(copy.data() + 2 * key * copy.columns(), record(format, r, key).data(), 2 * static_cast<std::size_t>(copy.columns()));
      const DeviceMatrix copy_on(copy);
      const Array from_copy = repeated(expected.rows(), sizes.latent, [&](const Matrix& to) { run(copy_on.view(), to); });
      EXPECT_EQ(std::memcmp(from_copy.data(), o.data(), static_cast<std::size_t>(2 * o.rows() * o.columns())), 0) << "from a copy";
    }
  }
}

// Few queries, whose keys several blocks share; many, which have a block each (or more, by heads).
INSTANTIATE_TEST_SUITE_P(Sizes, AbsorbedOnDevice,
                         testing::Combine(testing::Values(Widths{4, 64, 16}, Widths{6, 64, 16}, Widths{16, 128, 64}, Widths{20, 128, 64}, Widths{40, 128, 64},
                                                          Widths{8, 512, 64}, Widths{32, 512, 64}, Widths{40, 512, 64}, Widths{64, 512, 64},
                                                          Widths{128, 512, 64}, Widths{48, 256, 32}),
                                          testing::Values(Sequences{{1, 0}}, Sequences{{1, 300}}, Sequences{{2, 62}, {1, 130}, {3, 0}, {20, 64}},
                                                          Sequences{{137, 10}, {2, 0}, {1, 330}})));

// Groups of 32 heads as queries of their own give the same: products of warps and of warpgroups agree, over more keys than the CPU would do.
class HeadsApart : public AbsorbedOnDevice {
 protected:
  static constexpr I few = 32, topk = 1000;
  // Queries repeated, once for each group.
  [[nodiscard]] Where apart() const {
    Where all = w;
    all.tokens = w.tokens * sizes.heads / few;
    all.sequence = repeat(w.sequence);
    all.visible = repeat(w.visible);
    return all;
  }
  [[nodiscard]] std::vector<std::int32_t> repeat(const std::vector<std::int32_t>& each) const {
    std::vector<std::int32_t> all;
    for (const std::int32_t x : each) all.insert(all.end(), static_cast<std::size_t>(sizes.heads / few), x);
    return all;
  }
  [[nodiscard]] Array run(const Where& where, I heads, CacheFormat format, const Memory& bytes, bool sparse) const {
    const Array indices = some_positions_of_groups(where);
    const OnDeviceWhere on(where);
    const DeviceMatrix q_on(q), indices_on(indices);
    const I wanted = attention_workspace(where.tokens, heads, sizes.latent);
    const Memory workspace(static_cast<std::size_t>(wanted));
    const LatentCache records{format, sizes.latent, sizes.rope, bytes.get()};
    return repeated(q.rows(), sizes.latent, [&](const Matrix& to) {
      auto op = sparse_record(batch[0], topk, format);
      op.heads = heads;
      const model_spec::DenseMqa<I> dense{.heads = heads, .latent = sizes.latent, .rope = sizes.rope, .cache = format};
      if (sparse)
        sparse_mla(op, where.tokens, scale, q_on.view(), indices_on.view(), records, {}, nullptr, on.context(), {workspace.get(), wanted}, to, nullptr);
      else dense_mqa(dense, where.tokens, scale, q_on.view(), records, on.context(), {workspace.get(), wanted}, to, nullptr);
    });
  }
  [[nodiscard]] Array some_positions_of_groups(const Where& where) const {
    const Array each = some_positions(w, topk);
    Array all(DType::int32, where.tokens, topk);
    for (I t = 0; t < all.rows(); ++t)
      for (I i = 0; i < topk; ++i) all.set_integer(t, i, each.integer(t * w.tokens / where.tokens, i));
    return all;
  }
};

TEST_P(HeadsApart, Agree) {
  for (const CacheFormat format : {CacheFormat::bf16, CacheFormat::fp8}) {
    const Memory bytes = cache(format, records(format));
    for (const bool sparse : {false, true})
      EXPECT_LE(relative_error(run(w, sizes.heads, format, bytes, sparse), run(apart(), few, format, bytes, sparse)), 2 * tolerance) << name_of(format);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, HeadsApart,
                         testing::Combine(testing::Values(Widths{64, 512, 64}, Widths{128, 512, 64}),
                                          testing::Values(Sequences{{12, 2990}}, Sequences{{40, 1300}, {100, 700}})));

TEST(AttentionWorkspace, IsWantedForFewQueriesOnly) {
  EXPECT_EQ(attention_workspace(1, 128, 512), 128 * 66 * (512 * 4 + 8));  // two blocks of heads: 66 parts fill 132 multiprocessors
  EXPECT_EQ(attention_workspace(128, 128, 512), 0);
  EXPECT_EQ(attention_workspace(0, 128, 512), 0);
}

}  // namespace
}  // namespace fathom::kernels::cuda
