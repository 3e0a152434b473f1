// Choices of experts and what follows from them, on the device against the CPU. Choices and what is only moved are the same bit for bit.
#include "kernels/cpu/gate.h"
#include "kernels/cpu/permute.h"
#include "kernels/cuda/gate.h"
#include "kernels/cuda/permute.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

using cpu::integers_of;
using cpu::row_of;
constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, int32 = DType::int32;

class Routing : public OnDevice {};

// coarse: logits and bias in steps of 1/2, so that most choices are ties.
void compare_gate(const model_spec::Gate<I>& op, bool coarse) {
  SCOPED_TRACE(testing::Message() << op.tokens << " x " << op.experts << ", " << op.groups << " groups, " << op.topk << (coarse ? " coarse" : ""));
  Array logits = cpu::random_array(fp32, op.tokens, op.experts), bias = cpu::random_array(fp32, 1, op.experts, 2);
  const auto spread = [&](Array& a, float factor) {
    for (I r = 0; r < a.rows(); ++r)
      for (I c = 0; c < a.columns(); ++c) a.set(r, c, coarse ? std::round(4 * a.get(r, c)) / 2 : factor * a.get(r, c));
  };
  spread(logits, 5);
  spread(bias, 0.1f);
  Array right_ids(int32, op.tokens, op.topk), right_weights(fp32, op.tokens, op.topk);
  cpu::gate<float>(op, 2.5f, logits, bias, right_ids, right_weights);

  const I stride = op.topk + 3;
  const DeviceMatrix on_logits(logits), on_bias(bias), ids(fp32, op.tokens, stride), weights(fp32, op.tokens, stride);
  gate(op, 2.5f, on_logits.view(), static_cast<float*>(on_bias.view().data), static_cast<std::int32_t*>(ids.view().data),
       static_cast<float*>(weights.view().data), stride, nullptr);
  const auto got_ids = download<std::int32_t>(ids.view().data, static_cast<std::size_t>(op.tokens * stride));
  const Array got_weights = weights.host();
  for (I t = 0; t < op.tokens; ++t) {
    for (I k = 0; k < op.topk; ++k) {
      ASSERT_EQ(got_ids[static_cast<std::size_t>(t * stride + k)], right_ids.integer(t, k)) << "token " << t << " choice " << k;
      ASSERT_NEAR(got_weights.get(t, k), right_weights.get(t, k), 2.5e-6f);
    }
    for (I k = op.topk; k < stride; ++k) {
      ASSERT_EQ(got_ids[static_cast<std::size_t>(t * stride + k)], -1) << "written beside the choices";
      ASSERT_TRUE(std::isnan(got_weights.get(t, k)));
    }
  }
}

TEST_F(Routing, Gate) {
  for (const bool coarse : {false, true}) {
    compare_gate({.tokens = 129, .experts = 256, .groups = 8, .topk_group = 4, .topk = 8}, coarse);
    compare_gate({.tokens = 1, .experts = 256, .groups = 8, .topk_group = 4, .topk = 8}, coarse);
    compare_gate({.tokens = 3, .experts = 256, .groups = 1, .topk_group = 1, .topk = 8}, coarse);
    compare_gate({.tokens = 5, .experts = 256, .groups = 16, .topk_group = 4, .topk = 8}, coarse);
    compare_gate({.tokens = 5, .experts = 6, .groups = 3, .topk_group = 2, .topk = 2}, coarse);
    compare_gate({.tokens = 7, .experts = 160, .groups = 8, .topk_group = 3, .topk = 6}, coarse);
    compare_gate({.tokens = 3, .experts = 64, .groups = 1, .topk_group = 1, .topk = 6}, coarse);
    compare_gate({.tokens = 9, .experts = 1024, .groups = 32, .topk_group = 4, .topk = 32}, coarse);
    compare_gate({.tokens = 4, .experts = 8, .groups = 4, .topk_group = 2, .topk = 4}, coarse);
  }
}

// Like the CPU's test of the same name: what is dropped does not come back because all else is negative.
TEST_F(Routing, ADroppedGroupGivesNoExpertEvenIfAllOthersAreNegative) {
  const DeviceMatrix logits(Array(fp32, 1, 4, {0, 0, 0, 0})), bias(Array(fp32, 1, 4, {-2, -2, -3, -1.5})), ids(fp32, 1, 2), weights(fp32, 1, 2);
  gate({.tokens = 1, .experts = 4, .groups = 2, .topk_group = 1, .topk = 2}, 1, logits.view(), static_cast<float*>(bias.view().data),
       static_cast<std::int32_t*>(ids.view().data), static_cast<float*>(weights.view().data), 2, nullptr);
  EXPECT_EQ(download<std::int32_t>(ids.view().data, 2), (std::vector<std::int32_t>{0, 1}));
}

// What sort_by_expert should give.
struct Sorted {
  std::vector<std::int32_t> offsets, source, row;
};
Sorted sorted(I topk, const std::vector<std::int32_t>& ids, I stride, I first, I experts) {
  const I tokens = std::ssize(ids) / stride;
  Sorted s{{0}, {}, std::vector<std::int32_t>(static_cast<std::size_t>(tokens * topk), -1)};
  std::vector<std::vector<I>> choices(static_cast<std::size_t>(experts));
  for (I t = 0; t < tokens; ++t)
    for (I k = 0; k < topk; ++k)
      if (const I e = ids[static_cast<std::size_t>(t * stride + k)] - first; e >= 0 && e < experts)
        choices[static_cast<std::size_t>(e)].push_back(t * topk + k);
  for (const auto& of_expert : choices) {
    for (const I choice : of_expert) {
      s.row[static_cast<std::size_t>(choice)] = static_cast<std::int32_t>(s.source.size());
      s.source.push_back(static_cast<std::int32_t>(choice / topk));
    }
    s.offsets.push_back(static_cast<std::int32_t>(s.source.size()));
  }
  return s;
}

// topk of `all` experts a token, now and then one twice; beside them -7.
std::vector<std::int32_t> random_ids(I tokens, I topk, I stride, I all) {
  std::mt19937 random(1);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens * stride), -7);
  for (I t = 0; t < tokens; ++t) {
    const I start = static_cast<I>(random() % static_cast<unsigned>(all)), step = static_cast<I>(random() % 3);
    for (I k = 0; k < topk; ++k) ids[static_cast<std::size_t>(t * stride + k)] = static_cast<std::int32_t>((start + k * (1 + step)) % all);
  }
  return ids;
}

// Rows of experts in device memory.
class Experts {
 public:
  Experts(I tokens, I topk, I first, I experts)
      : offsets_(upload(std::vector<std::int32_t>(static_cast<std::size_t>(experts + 1), -9))),
        source_(upload(std::vector<std::int32_t>(static_cast<std::size_t>(tokens * topk), -9))),
        row_(upload(std::vector<std::int32_t>(static_cast<std::size_t>(tokens * topk), -9))),
        rows_{.first = first,
              .experts = experts,
              .capacity = tokens * topk,
              .offsets = offsets_.as<std::int32_t>(),
              .source = source_.as<std::int32_t>(),
              .row = row_.as<std::int32_t>()} {}
  [[nodiscard]] const ExpertRows& rows() const { return rows_; }
  [[nodiscard]] Sorted host() const {
    const auto count = static_cast<std::size_t>(rows_.capacity);
    return {download<std::int32_t>(rows_.offsets, static_cast<std::size_t>(rows_.experts + 1)), download<std::int32_t>(rows_.source, count),
            download<std::int32_t>(rows_.row, count)};
  }

 private:
  Memory offsets_, source_, row_;
  ExpertRows rows_;
};

TEST_F(Routing, SortByExpert) {
  for (const auto& [tokens, topk, all, first, experts] : {std::tuple<I, I, I, I, I>{1, 8, 256, 0, 256},
                                                          {5, 2, 6, 2, 3},
                                                          {300, 8, 256, 0, 256},
                                                          {257, 8, 256, 32, 32},
                                                          {1000, 3, 1024, 0, 1024},
                                                          {16384, 8, 256, 0, 256},
                                                          {16383, 7, 600, 100, 500},
                                                          {4096, 1, 1, 0, 1},
                                                          {64, 4, 256, 300, 8}}) {
    SCOPED_TRACE(testing::Message() << tokens << " x " << topk << " of " << all << ", experts " << first << " + " << experts);
    const I stride = topk + 1;
    const auto ids = random_ids(tokens, topk, stride, all);
    const auto on_ids = upload(ids);
    const Experts device(tokens, topk, first, experts);
    sort_by_expert(tokens, topk, on_ids.as<std::int32_t>(), stride, device.rows(), nullptr);
    const auto right = sorted(topk, ids, stride, first, experts);
    auto got = device.host();
    ASSERT_EQ(got.offsets, right.offsets);
    ASSERT_EQ(got.row, right.row);
    for (std::size_t r = right.source.size(); r < got.source.size(); ++r) ASSERT_EQ(got.source[r], -9) << "written beyond the rows that came";
    got.source.resize(right.source.size());
    ASSERT_EQ(got.source, right.source);
  }
}

TEST_F(Routing, NoTokensSortIntoNoRows) {
  const Experts device(0, 8, 0, 4);
  sort_by_expert(0, 8, nullptr, 8, device.rows(), nullptr);
  EXPECT_EQ(device.host().offsets, (std::vector<std::int32_t>{0, 0, 0, 0, 0}));
}

// Tokens to their experts, of which some are another rank's, and back.
void compare_permute(I tokens, I topk, I hidden, DType type) {
  SCOPED_TRACE(testing::Message() << tokens << " x " << hidden << ' ' << name_of(type));
  const I all = 12, first = 4, experts = 6;
  const auto ids = random_ids(tokens, topk, topk, all);
  const auto right = sorted(topk, ids, topk, first, experts);
  const auto came = std::ssize(right.source);
  Array source(int32, 1, came);
  for (I r = 0; r < came; ++r) source.set_integer(0, r, right.source[static_cast<std::size_t>(r)]);
  const auto on_ids = upload(ids);
  const Experts device(tokens, topk, first, experts);
  sort_by_expert(tokens, topk, on_ids.as<std::int32_t>(), topk, device.rows(), nullptr);

  const Array x = cpu::random_array(type, tokens, hidden);
  Array right_y(type, came, hidden);
  cpu::permute<float>({.rows = static_cast<double>(came), .hidden = hidden, .type = type}, x, source, right_y);
  const DeviceMatrix on_x(x), y(type, tokens * topk, hidden);
  permute({.rows = static_cast<double>(came), .hidden = hidden, .type = type}, on_x.view(), device.rows(), y.view(), nullptr);
  const Array got = y.host();
  for (I r = 0; r < came; ++r) {
    ASSERT_EQ(row_of(got, r), row_of(right_y, r)) << "row " << r;
    for (I c = 0; type == fp8_row && c < hidden; c += model_spec::scale_block) ASSERT_EQ(got.scale(r, c), right_y.scale(r, c)) << "row " << r;
  }
  for (I r = came; r < got.rows(); ++r)
    for (I c = 0; c < hidden; ++c) ASSERT_TRUE(std::isnan(got.get(r, c))) << "written beyond the rows that came";
  if (type != bf16) return;

  const Array weights = cpu::random_array(fp32, tokens, topk, 2);
  Array row_weights(fp32, 1, came), right_back(bf16, tokens, hidden);
  for (I i = 0; i < tokens * topk; ++i)
    if (const I r = right.row[static_cast<std::size_t>(i)]; r >= 0) row_weights.set(0, r, weights.get(i / topk, i % topk));
  cpu::unpermute<float>({.tokens = static_cast<double>(tokens), .rows = static_cast<double>(came), .hidden = hidden}, right_y, row_weights, source, right_back);
  const DeviceMatrix on_weights(weights), back(bf16, tokens, hidden + 8);
  unpermute({.tokens = static_cast<double>(tokens), .rows = static_cast<double>(came), .hidden = hidden}, topk, y.view(),
            static_cast<float*>(on_weights.view().data), topk, device.rows(), back.slice(0, hidden), nullptr);
  const Array got_back = back.host();
  for (I t = 0; t < tokens; ++t)  // fused products may change the last place of bf16, and what is left of terms up to 8 by 2^-20
    for (I c = 0; c < hidden; ++c)
      ASSERT_NEAR(got_back.get(t, c), right_back.get(t, c), 0x1p-7f * std::abs(right_back.get(t, c)) + 0x1p-20f) << "token " << t << " column " << c;
}

TEST_F(Routing, PermuteAndBack) {
  for (const DType type : {bf16, fp8_row})
    for (const auto& [tokens, hidden] : {std::pair<I, I>{1, 7168}, {5, 80}, {3, 75}, {130, 200}, {40, 2064}})
      for (const I topk : {1, 5}) compare_permute(tokens, topk, hidden, type);
}

// In row order (2^24 + 1) - 2^24 is 0 in fp32; in the order of the choices, or backwards, the 1 would stay.
TEST_F(Routing, UnpermuteSumsInRowOrder) {
  const DeviceMatrix x(Array(bf16, 3, 1, {0x1p24, 1, -0x1p24})), weights(Array(fp32, 1, 3, {1, 1, 1})), y(bf16, 1, 1);
  const auto ids = upload<std::int32_t>({2, 0, 1});
  const Experts device(1, 3, 0, 3);
  sort_by_expert(1, 3, ids.as<std::int32_t>(), 3, device.rows(), nullptr);
  unpermute({.tokens = 1, .rows = 3, .hidden = 1}, 3, x.view(), static_cast<float*>(weights.view().data), 3, device.rows(), y.view(), nullptr);
  EXPECT_EQ(y.host().get(0, 0), 0);
}

TEST_F(Routing, Add) {
  for (const auto& [tokens, hidden] : {std::pair<I, I>{1, 7168}, {3, 75}, {130, 80}}) {
    Array x = cpu::random_array(bf16, tokens, hidden);
    const Array other = cpu::random_array(bf16, tokens, hidden, 2);
    const DeviceMatrix on_x(x), on_other(other);
    cpu::add<float>({.tokens = tokens, .hidden = hidden}, x, other, x);
    add({.tokens = tokens, .hidden = hidden}, on_x.view(), on_other.view(), on_x.view(), nullptr);
    const Array got = on_x.host();
    for (I t = 0; t < tokens; ++t) ASSERT_EQ(row_of(got, t), row_of(x, t)) << "row " << t;
  }
}

}  // namespace
}  // namespace fathom::kernels::cuda
