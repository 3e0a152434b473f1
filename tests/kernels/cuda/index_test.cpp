// The indexer: scores of keys, and the choice among them, against the kernels of the CPU.
#include <gmock/gmock.h>

#include <limits>
#include <numeric>

#include "kernels/cpu/index_logits.h"
#include "kernels/cpu/top_k.h"
#include "kernels/cuda/index_logits.h"
#include "kernels/cuda/top_k.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using cpu::random_array;
using testing::ElementsAreArray;
constexpr DType bf16 = DType::bf16, fp8 = DType::fp8_row, fp32 = DType::fp32, int32 = DType::int32;
constexpr I page = model_spec::page_tokens;

// ---- index_logits

struct Sequence {
  I cached, fresh;
  [[nodiscard]] I keys() const { return cached + fresh; }
};

// Logits, and all that they are made of. Columns beyond the longest sequence stay unwritten.
struct Indexer {
  Indexer(DType key_type, I head_count, I width, std::vector<Sequence> some) : type(key_type), heads(head_count), dims(width), sequences(std::move(some)) {
    for (const auto& s : sequences) tokens += s.fresh, longest = std::max(longest, s.keys()), most_fresh = std::max(most_fresh, s.fresh);
    q = random_array(type, tokens * heads, dims, 2);
    w = random_array(fp32, tokens, heads, 3);
    for (std::size_t i = 0; i < sequences.size(); ++i) keys.push_back(random_array(type, sequences[i].keys(), dims, static_cast<unsigned>(4 + i)));
  }
  [[nodiscard]] I max_pages() const { return (longest + page - 1) / page + 1; }

  DType type;
  I heads, dims, tokens = 0, longest = 0, most_fresh = 0;
  std::vector<Sequence> sequences;
  Array q, w;
  std::vector<Array> keys;
  float factor = 0.03125f;
};

// Pages of the cache, which sequences take in a scattered order, and the page table. Places that nobody should look at hold what would show: no number
// in the cache, pages that do not exist in the table.
struct Pages {
  explicit Pages(const Indexer& x) : table(x.sequences.size() * static_cast<std::size_t>(x.max_pages()), 1 << 30) {
    const I key_bytes = x.type == fp8 ? x.dims : 2 * x.dims, page_bytes = page * key_bytes + (x.type == fp8 ? 4 * page : 0);
    std::vector<std::int32_t> free(x.sequences.size() * static_cast<std::size_t>(x.max_pages()));
    std::iota(free.begin(), free.end(), 0);
    std::shuffle(free.begin(), free.end(), std::mt19937(5));
    cache.assign(free.size() * static_cast<std::size_t>(page_bytes), 0xff);
    for (std::size_t s = 0; s < x.sequences.size(); ++s)
      for (I key = 0; key < x.sequences[s].keys(); ++key) {
        auto& number = table[s * static_cast<std::size_t>(x.max_pages()) + static_cast<std::size_t>(key / page)];
        if (key % page == 0) number = free.back(), free.pop_back();
        auto* to = cache.data() + number * page_bytes;
        std::memcpy(to + key % page * key_bytes, x.keys[s].data() + key * key_bytes, static_cast<std::size_t>(key_bytes));
        const float scale = x.type == fp8 ? x.keys[s].scale(key, 0) : 0;
        if (x.type == fp8) std::memcpy(to + page * key_bytes + key % page * 4, &scale, sizeof(scale));
      }
  }
  std::vector<std::uint8_t> cache;
  std::vector<std::int32_t> table;
};

// [tokens, longest rounded up]
std::vector<float> on_device(const Indexer& x) {
  const Pages pages(x);
  std::vector<std::int32_t> sequence, visible;
  for (std::size_t s = 0; s < x.sequences.size(); ++s)
    for (I i = 0; i < x.sequences[s].fresh; ++i)
      sequence.push_back(static_cast<std::int32_t>(s)), visible.push_back(static_cast<std::int32_t>(x.sequences[s].cached + i + 1));
  const auto cache = upload(pages.cache);
  const auto table = upload(pages.table), of = upload(sequence), seen = upload(visible);
  const DeviceMatrix q(x.q), w(x.w), logits(fp32, x.tokens, (x.longest + 7) / 4 * 4);
  const auto& first = x.sequences.front();
  index_logits({.sequences = std::ssize(x.sequences), .new_tokens = x.most_fresh, .cached_tokens = first.cached, .heads = x.heads, .dims = x.dims}, x.tokens,
               x.factor, q.view(), w.view(), {x.type, x.dims, cache.get()},
               {of.as<std::int32_t>(), seen.as<std::int32_t>(), table.as<std::int32_t>(), x.max_pages(), x.longest}, logits.view(), nullptr);
  return download<float>(logits.view().data, static_cast<std::size_t>(x.tokens * logits.view().stride));
}

// The CPU's kernel takes scales in the weights, and a scale of every key.
struct Keys {
  const Array& keys;
  [[nodiscard]] float get(I r, I c) const { return keys.get(r, c); }
  [[nodiscard]] float scale(I r, I c) const { return keys.type() == fp8 ? keys.scale(r, c) : 1.0f; }
};

// The scores that differ most, and 1 - 2 <x, y> / (<x, x> + <y, y>) of all.
struct Difference {
  double worst = 0, largest = 0, xy = 0, xx = 0, yy = 0;
  void add(double x, double y) {
    worst = std::max(worst, std::abs(x - y)), largest = std::max(largest, std::abs(y));
    xy += x * y, xx += x * x, yy += y * y;
  }
  [[nodiscard]] double of_all() const { return 1 - 2 * xy / (xx + yy); }
};

// Of the largest score, the mma.sync kernel 1e-5: products are exact, both sides add up to 128 of them, then up to 128 heads, in fp32 (2^-24 an addition) in
// another order. The wgmma kernel 5e-4: tensor cores keep about 14 bits of a sum of e4m3 products, so that each head is off by some 2^-13 of its largest
// partial sum (measured on an H200: up to 1.8e-4). Over all scores 1e-7 (measured: 6e-9), where 1e-5 would do.
void expect_close(const Indexer& x, const Difference& d) {
  const bool wgmma = x.type == fp8 && x.heads == 64 && x.dims == 128;
  EXPECT_LE(d.worst, (wgmma ? 5e-4 : 1e-5) * d.largest);
  EXPECT_LE(d.of_all(), 1e-7);
}

void expect_logits_of_cpu(const Indexer& x) {
  const auto y = on_device(x);
  const I stride = std::ssize(y) / x.tokens;
  Array w(fp32, x.tokens, x.heads);
  for (I t = 0; t < x.tokens; ++t)
    for (I h = 0; h < x.heads; ++h) w.set(t, h, x.factor * x.w.get(t, h) * (x.type == fp8 ? x.q.scale(t * x.heads + h, 0) : 1.0f));
  Difference difference;
  I first = 0;
  for (std::size_t s = 0; s < x.sequences.size(); ++s) {
    const auto [cached, fresh] = x.sequences[s];
    Array expected(fp32, fresh, cached + fresh);
    cpu::index_logits<float>({.sequences = 1, .new_tokens = fresh, .cached_tokens = cached, .heads = x.heads, .dims = x.dims},
                             x.q.rows(first * x.heads, fresh * x.heads), w.rows(first, fresh), Keys{x.keys[s]}, expected);
    for (I t = 0; t < fresh; ++t)
      for (I key = 0; key < stride; ++key) {
        const float value = y[static_cast<std::size_t>((first + t) * stride + key)];
        if (key > cached + t) {
          ASSERT_TRUE(std::isnan(value)) << "written beyond what is visible: token " << first + t << ", key " << key;
          continue;
        }
        ASSERT_FALSE(std::isnan(value)) << "token " << first + t << ", key " << key;
        difference.add(value, expected.get(t, key));
      }
    first += fresh;
  }
  expect_close(x, difference);
}

struct Shape {
  DType type;
  I heads, dims;
};
class IndexLogits : public OnDevice, public testing::WithParamInterface<Shape> {
 protected:
  [[nodiscard]] static Indexer indexer(std::vector<Sequence> sequences) { return {GetParam().type, GetParam().heads, GetParam().dims, std::move(sequences)}; }
};

TEST_P(IndexLogits, OfPromptsAreThoseOfTheCpu) { expect_logits_of_cpu(indexer({{0, 13}, {140, 9}})); }
TEST_P(IndexLogits, OfOneQueryASequenceAreThoseOfTheCpu) { expect_logits_of_cpu(indexer({{0, 1}, {63, 1}, {64, 1}, {127, 1}, {300, 1}})); }

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const DType type : {fp8, bf16})
    for (const I heads : {8, 16, 24, 32, 64, 72, 128})
      for (const I dims : {32, 64, 128}) all.push_back({type, heads, dims});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Shapes, IndexLogits, testing::ValuesIn(shapes()), [](const auto& one) {
  return std::string(one.param.type == fp8 ? "fp8" : "bf16") + "_heads" + std::to_string(one.param.heads) + "_dims" + std::to_string(one.param.dims);
});

class IndexLogitsOfBatch : public OnDevice {};

TEST_F(IndexLogitsOfBatch, OnePromptFromTheStart) { expect_logits_of_cpu({fp8, 64, 128, {{0, 150}}}); }
TEST_F(IndexLogitsOfBatch, APieceOfAPrompt) { expect_logits_of_cpu({fp8, 64, 128, {{1001, 17}}}); }
TEST_F(IndexLogitsOfBatch, TwoQueriesASequence) { expect_logits_of_cpu({fp8, 64, 128, {{500, 2}, {3, 2}, {126, 2}}}); }
// Blocks of 4 and 8 queries cross the borders of sequences.
TEST_F(IndexLogitsOfBatch, UnequalSequences) {
  expect_logits_of_cpu({fp8, 32, 128, {{10, 5}, {200, 1}, {0, 2}, {130, 6}}});
  expect_logits_of_cpu({bf16, 16, 64, {{10, 5}, {200, 1}, {0, 2}, {130, 11}}});
}
TEST_F(IndexLogitsOfBatch, ALongContextIsSplit) { expect_logits_of_cpu({fp8, 8, 32, {{99'999, 1}}}); }
TEST_F(IndexLogitsOfBatch, ManySequences) {
  std::vector<Sequence> sequences;
  for (I i = 0; i < 128; ++i) sequences.push_back({i * 7 % 200, 1});
  expect_logits_of_cpu({fp8, 8, 128, sequences});
}

TEST_F(IndexLogitsOfBatch, AreBitwiseTheSameAgain) {
  for (const I heads : {64, 128}) {
    const Indexer x(fp8, heads, 128, {{2000, 3}, {77, 4}, {900, 20}});
    const auto one = on_device(x), two = on_device(x);
    EXPECT_EQ(std::memcmp(one.data(), two.data(), one.size() * sizeof(float)), 0);
  }
}

// The wgmma kernel, on batches that leave warpgroups without queries.
TEST_F(IndexLogitsOfBatch, SizesOfV32) {
  for (const I fresh : {1, 2, 3, 7, 12}) expect_logits_of_cpu({fp8, 64, 128, {{260, fresh}, {0, 1}, {129, fresh}, {62, 1}}});
}

// The wgmma kernel against that of mma.sync, which takes 72 heads: 8 more that weigh nothing.
void expect_agreement(const std::vector<Sequence>& sequences) {
  const Indexer x(fp8, 64, 128, sequences);
  Indexer wide(fp8, 72, 128, sequences);
  for (I t = 0; t < x.tokens; ++t)
    for (I h = 0; h < 72; ++h) {
      wide.w.set(t, h, h < 64 ? x.w.get(t, h) : 0.0f);
      if (h < 64) wide.q.set_scale(t * 72 + h, 0, x.q.scale(t * 64 + h, 0));
      for (I d = 0; d < 128 && h < 64; ++d) wide.q.set(t * 72 + h, d, x.q.get(t * 64 + h, d));
    }
  const auto one = on_device(x), two = on_device(wide);
  Difference difference;
  for (std::size_t i = 0; i < one.size(); ++i) {
    ASSERT_EQ(std::isnan(one[i]), std::isnan(two[i])) << "written by one of them: " << i;
    if (!std::isnan(two[i])) difference.add(one[i], two[i]);
  }
  expect_close(x, difference);
}

// All but the first fill the ring of pages of a block more than once; the last with sequences of an odd and an even number of pages in turn.
TEST_F(IndexLogitsOfBatch, BothKernelsAgree) {
  expect_agreement({{20'000, 1}, {777, 1}});
  expect_agreement({{6000, 2}, {50, 2}});
  expect_agreement({{200, 1100}});
  expect_agreement(std::vector<Sequence>(140, {900, 1}));
  std::vector<Sequence> in_turn;
  for (I i = 0; i < 140; ++i) in_turn.push_back({i % 2 == 0 ? 2500 : 2561, 3});
  expect_agreement(in_turn);
}

// ---- top_k

// Rows of any lengths; beyond what is visible stands what would always be chosen.
struct Choice {
  I topk, columns;
  std::vector<std::vector<float>> rows;
};

std::vector<std::int32_t> on_device(const Choice& x) {
  const I tokens = std::ssize(x.rows);
  std::vector<float> scores(static_cast<std::size_t>(tokens * x.columns), std::numeric_limits<float>::infinity());
  std::vector<std::int32_t> visible;
  for (std::size_t r = 0; r < x.rows.size(); ++r) {
    std::copy(x.rows[r].begin(), x.rows[r].end(), scores.begin() + static_cast<std::ptrdiff_t>(r) * x.columns);
    visible.push_back(static_cast<std::int32_t>(x.rows[r].size()));
  }
  const auto data = upload(scores);
  const auto seen = upload(visible);
  const DeviceMatrix indices(int32, tokens, x.topk);
  top_k({.sequences = tokens, .new_tokens = 1, .cached_tokens = x.columns - 1, .topk = x.topk}, tokens, {fp32, tokens, x.columns, x.columns, data.get()},
        seen.as<std::int32_t>(), indices.view(), nullptr);
  return download<std::int32_t>(indices.view().data, static_cast<std::size_t>(tokens * x.topk));
}

// `row` as a matrix of one row, for the kernel of the CPU.
struct Row {
  const std::vector<float>& row;
  [[nodiscard]] float get(I, I c) const { return row[static_cast<std::size_t>(c)]; }
  [[nodiscard]] float scale(I, I) const { return 1; }
};
std::vector<std::int32_t> on_cpu(const std::vector<float>& row, I topk) {
  Array indices(int32, 1, topk);
  cpu::top_k<float>({.sequences = 1, .new_tokens = 1, .cached_tokens = std::ssize(row) - 1, .topk = topk}, Row{row}, indices);
  const auto chosen = cpu::integers_of(indices, 0);
  return {chosen.begin(), chosen.end()};
}

void expect_choice_of_cpu(const Choice& x) {
  const auto chosen = on_device(x);
  for (std::size_t r = 0; r < x.rows.size(); ++r) {
    const auto first = chosen.begin() + static_cast<std::ptrdiff_t>(r) * x.topk;
    ASSERT_EQ(std::vector<std::int32_t>(first, first + x.topk), on_cpu(x.rows[r], x.topk)) << "row " << r << " of " << x.rows[r].size();
  }
}

template <class Value>
std::vector<float> row_by(I length, Value value) {
  std::vector<float> row;
  for (I i = 0; i < length; ++i) row.push_back(static_cast<float>(value(i)));
  return row;
}
std::vector<float> random_row(I length, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  return row_by(length, [&](I) { return normal(random); });
}

// Rows of one length that are hard in different ways.
std::vector<std::vector<float>> hard_rows(I length) {
  constexpr float infinity = std::numeric_limits<float>::infinity(), smallest = std::numeric_limits<float>::denorm_min();
  return {random_row(length, 1),
          row_by(length, [](I) { return 1.5f; }),                    // all equal
          row_by(length, [](I) { return 0.0f; }),                    //
          row_by(length, [](I i) { return i % 3 ? 0.0f : -0.0f; }),  // zeros of either sign are equal
          row_by(length, [](I i) { return i % 5 == 4 ? -1.0f
                                          : i % 2    ? 0.0f
                                                     : -0.0f; }),
          row_by(length, [](I i) { return i % 9 == 0 ? 2.0f : 1.0f; }),                     // flat: most are equal to the threshold or just above it
          row_by(length, [](I i) { return 1.0f + 0x1p-23f * static_cast<float>(i % 7); }),  // they differ in the last bits only
          row_by(length, [](I i) { return static_cast<float>(i); }),                        // ascending
          row_by(length, [](I i) { return -static_cast<float>(i); }),                       // descending
          row_by(length, [&](I i) { return i % 4 == 0   ? infinity
                                           : i % 4 == 1 ? -infinity
                                                        : smallest * static_cast<float>(i % 11 - 5); })};
}

class TopK : public OnDevice {};

// Few rows have several blocks each, many have one.
TEST_F(TopK, AroundTheCountThatIsChosen) {
  for (const I length : {1, 2047, 2048, 2049, 4099}) {
    Choice x{2048, 8192, hard_rows(length)};
    expect_choice_of_cpu(x);
    for (unsigned i = 0; i < 140; ++i) x.rows.push_back(random_row(length, 7 + i));
    expect_choice_of_cpu(x);
  }
}

TEST_F(TopK, OfLongRows) {
  for (const I length : {16'385, 100'000, 131'072}) expect_choice_of_cpu({2048, 131'072, hard_rows(length)});
  expect_choice_of_cpu({2048, 131'072, {row_by(100'000, [](I i) { return i < 70'000 ? 1.0f : 0.5f; })}});  // 70000 candidates
  expect_choice_of_cpu({2048, 500'000, {random_row(499'999, 3), row_by(499'999, [](I i) { return i % 3; })}});
}

TEST_F(TopK, OfManyLongRows) {
  Choice x{2048, 20'000, {}};
  for (const I length : {6143, 6144, 6145, 8193, 16'384, 16'389, 19'999})
    for (auto& row : hard_rows(length)) x.rows.push_back(std::move(row));
  for (unsigned i = 0; i < 200; ++i) x.rows.push_back(random_row(20'000 - I{i} * 61, i));
  expect_choice_of_cpu(x);
}

// Every so many quads stand numbers unlike the others: a sample of those alone, or of none of them, suggests a bound that is too high or too low.
std::vector<std::vector<float>> misleading_rows(I length) {
  std::vector<std::vector<float>> rows;
  for (const I period : {4, 8, 16, 32, 64, 128})
    for (const float other : {-1.0f, 1.0f}) {
      const auto unlike = [&](I i) { return i / 4 % period == 0; };
      rows.push_back(row_by(length, [&](I i) { return (unlike(i) ? other : 0.0f) + 1e-6f * static_cast<float>(i * 7919 % length); }));
      rows.push_back(row_by(length, [&](I i) { return unlike(i) ? other : 0.0f; }));
      rows.push_back(row_by(length, [&](I i) { return unlike(i) ? 1e6f * other : static_cast<float>(i); }));
    }
  return rows;
}

// Few rows have several blocks each, many have one.
TEST_F(TopK, OfRowsWhoseSampleMisleads) {
  for (const I length : {16'384, 65'536, 131'072}) expect_choice_of_cpu({2048, length, misleading_rows(length)});
  Choice x{2048, 32'768, {}};
  for (const I length : {16'384, 30'000, 32'768})
    for (int i = 0; i < 4; ++i)
      for (auto& row : misleading_rows(length)) x.rows.push_back(std::move(row));
  expect_choice_of_cpu(x);
}

TEST_F(TopK, OfOtherCounts) {
  for (const I topk : {1, 100, 3000, 16'384})
    for (const I length : {16'385, 70'000}) {
      Choice x{topk, 70'000, {random_row(length, 1), row_by(length, [](I) { return 1.5f; }), row_by(length, [](I i) { return i % 1000; })}};
      expect_choice_of_cpu(x);
      for (unsigned i = 0; i < 70; ++i) x.rows.push_back(random_row(length - I{i}, i));
      expect_choice_of_cpu(x);
    }
}

TEST_F(TopK, IsTheSameAgain) {
  const Choice x{2048, 70'000, {random_row(70'000, 1), random_row(65'536, 2), row_by(70'000, [](I i) { return i % 100; })}};
  EXPECT_EQ(on_device(x), on_device(x));
}

TEST_F(TopK, OfManyRowsOfDifferentLengths) {
  std::vector<std::vector<float>> rows;
  for (unsigned i = 0; i < 400; ++i) rows.push_back(random_row(1 + i * 37 % 9000, i));
  expect_choice_of_cpu({2048, 9000, rows});
  expect_choice_of_cpu({1, 9000, rows});
  expect_choice_of_cpu({63, 9000, rows});
}

TEST_F(TopK, ShortRowsTakeAll) {
  const auto chosen = on_device(Choice{6, 4, {{1}, {3, 1, 2, 2}}});
  EXPECT_THAT(chosen, ElementsAreArray({0, -1, -1, -1, -1, -1, 0, 1, 2, 3, -1, -1}));
}

// The CPU's comparison orders numbers only.
TEST_F(TopK, NotANumberComesLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> row{nan, -1, -nan, -infinity, nan, 4};
  EXPECT_THAT(on_device(Choice{3, 8, {row}}), ElementsAreArray({1, 3, 5}));
  EXPECT_THAT(on_device(Choice{5, 8, {row}}), ElementsAreArray({0, 1, 2, 3, 5}));
}

// Rows of few and of many numbers, some of them below all others: the CPU sees less than those instead of what is not a number.
TEST_F(TopK, NotANumberComesLastInLongRows) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  for (const I length : {5000, 20'000, 131'072})
    for (const I copies : {1, 50}) {
      if (length > 20'000 && copies > 1) continue;
      Choice x{2048, length, {}}, expected = x;
      for (const I every : {2, 100, 1 << 20})
        for (I copy = 0; copy < copies; ++copy) {
          const auto numbers = random_row(length, static_cast<unsigned>(every + copy));
          for (const bool most : {false, true}) {
            const auto is_nan = [&](I i) { return (i % every == every / 2) != most; };
            x.rows.push_back(row_by(length, [&](I i) { return is_nan(i) ? (i % 3 ? nan : -nan) : numbers[static_cast<std::size_t>(i)]; }));
            expected.rows.push_back(row_by(length, [&](I i) { return is_nan(i) ? -infinity : numbers[static_cast<std::size_t>(i)]; }));
          }
        }
      const auto chosen = on_device(x);
      for (std::size_t r = 0; r < x.rows.size(); ++r) {
        const auto first = chosen.begin() + static_cast<std::ptrdiff_t>(r) * x.topk;
        ASSERT_EQ(std::vector<std::int32_t>(first, first + x.topk), on_cpu(expected.rows[r], x.topk)) << "row " << r << " of " << length;
      }
    }
}

}  // namespace
}  // namespace fathom::kernels::cuda
