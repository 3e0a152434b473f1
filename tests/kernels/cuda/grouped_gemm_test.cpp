// Experts on the device against the CPU. fp32 sums in another order keep 1e-5 of the largest result, bf16 rounds to 2^-9 of it.
#include "kernels/cuda/grouped_gemm.h"

#include <numeric>

#include "kernels/cpu/blocked.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, fp8_block = DType::fp8_block;

// Equal matrices one after the other, as DeviceMatrix lays out each.
class DeviceStack {
 public:
  explicit DeviceStack(const std::vector<Array>& parts) : DeviceStack(parts, DeviceMatrix(parts.front()).view()) {}
  [[nodiscard]] Stack view() const { return stack_; }

 private:
  DeviceStack(const std::vector<Array>& parts, const Matrix& shape)
      : stack_{.first = shape,
               .count = static_cast<I>(parts.size()),
               .step = shape.rows * shape.columns,
               .scale_step = (shape.rows + 127) / 128 * shape.scale_stride},
        data_(parts.size() * part_bytes()),
        scales_(parts.size() * scale_bytes()) {
    stack_.first.data = data_.get();
    stack_.first.scales = shape.scales ? scales_.as<float>() : nullptr;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const DeviceMatrix part(parts[i]);
      check(cudaMemcpy(data_.as<std::byte>() + i * part_bytes(), part.view().data, part_bytes(), cudaMemcpyDeviceToDevice), "cudaMemcpy");
      if (shape.scales)
        check(cudaMemcpy(scales_.as<std::byte>() + i * scale_bytes(), part.view().scales, scale_bytes(), cudaMemcpyDeviceToDevice), "cudaMemcpy");
    }
  }
  [[nodiscard]] std::size_t part_bytes() const { return static_cast<std::size_t>(stack_.step * static_cast<I>(model_spec::element_bytes(stack_.first.type))); }
  [[nodiscard]] std::size_t scale_bytes() const { return static_cast<std::size_t>(stack_.scale_step) * sizeof(float); }

  Stack stack_;
  Memory data_, scales_;
};

struct Case {
  std::vector<I> counts;  // rows an expert
  I in, out;
  I capacity = 0;       // 0: as many as come
  double expected = 0;  // rows an expert, which picks the kernel; 0: from the capacity
};

model_spec::GroupedGemm<I> record(const Case& t, DType activation) {
  const auto experts = static_cast<I>(t.counts.size());
  const I rows = std::accumulate(t.counts.begin(), t.counts.end(), I{0});
  return {.capacity = t.capacity ? t.capacity : rows,
          .experts = experts,
          .in = t.in,
          .out = t.out,
          .rows = t.expected * static_cast<double>(experts),
          .active = t.expected > 0 ? static_cast<double>(experts) : 0,
          .weight = activation == fp8_row ? fp8_block : bf16,
          .activation = activation};
}

Memory offsets_of(const std::vector<I>& counts) {
  std::vector<std::int32_t> offsets{0};
  for (const I n : counts) offsets.push_back(offsets.back() + static_cast<std::int32_t>(n));
  return upload(offsets);
}

// a[capacity, in] of which the rows that did not come are NaN.
Array input_of(const model_spec::GroupedGemm<I>& op, I rows) {
  Array a = cpu::random_array(op.activation, op.capacity, op.in);
  for (I r = rows; r < op.capacity; ++r)
    for (I k = 0; k < op.in; ++k) {
      a.set(r, k, NAN);
      if (op.activation == fp8_row) a.set_scale(r, k, NAN);
    }
  return a;
}

std::vector<Array> weights_of(const model_spec::GroupedGemm<I>& op) {
  std::vector<Array> weights;
  for (I e = 0; e < op.experts; ++e) weights.push_back(cpu::random_array(op.weight, op.out, op.in, static_cast<unsigned>(e) + 2));
  return weights;
}

// Into columns 8 .. 8 + out of a wider c.
Array run(const model_spec::GroupedGemm<I>& op, const Case& t, const Array& a, const std::vector<Array>& weights) {
  const DeviceMatrix on_a(a), c(bf16, op.capacity, op.out + 16);
  const DeviceStack w(weights);
  const Memory offsets = offsets_of(t.counts), workspace = upload(std::vector<std::int32_t>{-3});  // what stood there does not matter
  grouped_gemm(op, on_a.view(), {.experts = op.experts, .capacity = op.capacity, .offsets = offsets.as<std::int32_t>()}, w.view(), c.slice(8, op.out),
               {workspace.get(), grouped_workspace}, nullptr);
  return c.host();
}

// 1 - 2 <x, y> / (<x, x> + <y, y>) over the first rows and columns 8 .. 8 + columns of c, and those of `right` from `first` on.
double difference(const Array& c, const cpu::Matrix& right, I first, I rows, I columns) {
  double both = 0, each = 0;
  for (I r = 0; r < rows; ++r)
    for (I n = 0; n < columns; ++n) {
      const double x = c.get(r, n + 8), y = right.get(r, n + first);
      both += 2 * x * y;
      each += x * x + y * y;
    }
  return 1 - both / each;
}

void compare(const Case& t, DType activation) {
  SCOPED_TRACE(testing::Message() << testing::PrintToString(t.counts) << " rows, in " << t.in << ", out " << t.out << ", expected " << t.expected << " "
                                  << name_of(activation));
  const auto op = record(t, activation);
  const I rows = std::accumulate(t.counts.begin(), t.counts.end(), I{0});
  const Array a = input_of(op, rows);
  const std::vector<Array> weights = weights_of(op);
  Array right(fp32, rows, t.out);
  cpu::blocked::grouped_gemm(op, cpu::ConstMatrix(a.rows(0, rows)), t.counts, std::vector<cpu::ConstMatrix>(weights.begin(), weights.end()), right);
  const Array c = run(op, t, a, weights), again = run(op, t, a, weights);
  for (I r = 0; r < op.capacity; ++r)
    for (I n = 0; n < t.out + 16; ++n) {
      const bool wanted = r < rows && n >= 8 && n < t.out + 8;
      ASSERT_EQ(std::isnan(c.get(r, n)), !wanted) << "row " << r << " column " << n;
      if (wanted) { ASSERT_EQ(c.get(r, n), again.get(r, n)) << "another result when run again: row " << r << " column " << n; }
    }
  if (rows == 0) return;
  EXPECT_LE(relative_error(c.slice(8, t.out).rows(0, rows), right), 0x1p-8);
  EXPECT_LE(difference(c, right, 0, rows, t.out), 1e-5);
}

class GroupedGemmOnDevice : public OnDevice {};

TEST_F(GroupedGemmOnDevice, FewAndManyRows) {
  for (const DType type : {bf16, fp8_row})
    for (const double expected : {1, 128})
      for (const auto& [in, out] : {std::pair<I, I>{128, 4}, {1536, 136}, {80, 50}, {912, 256}})
        compare({.counts = {1, 3, 0, 17, 129, 16, 4}, .in = in, .out = out, .expected = expected}, type);
}

TEST_F(GroupedGemmOnDevice, ExpertsWithoutRowsAndSkewedCounts) {
  for (const DType type : {bf16, fp8_row}) {
    compare({.counts = {0, 0, 5, 0}, .in = 256, .out = 128, .capacity = 64}, type);
    compare({.counts = {0, 0, 0}, .in = 256, .out = 128, .capacity = 9}, type);
    compare({.counts = {300, 1, 0, 1}, .in = 256, .out = 384, .capacity = 512}, type);
    compare({.counts = {0, 0, 0, 700}, .in = 128, .out = 128, .expected = 1}, type);
  }
}

// More experts than one pass of the scan of counts takes, more tiles than blocks fit on the device.
TEST_F(GroupedGemmOnDevice, ManyExperts) {
  std::vector<I> counts;
  for (I e = 0; e < 70; ++e) counts.push_back(e % 7 == 0 ? 0 : e % 5);
  compare({.counts = counts, .in = 128, .out = 1100}, fp8_row);
  compare({.counts = counts, .in = 64, .out = 1100, .capacity = 400}, bf16);
}

// Segments that begin anywhere, tiles that are full, half full and less, outputs that are no multiple of a tile: for the kernel of many rows.
TEST_F(GroupedGemmOnDevice, ManyRowsAnExpert) {
  for (const DType type : {bf16, fp8_row}) {
    compare({.counts = {0, 301, 64, 0, 65, 1, 128, 0}, .in = 384, .out = 600, .expected = 128}, type);
    compare({.counts = {0, 0, 700, 0}, .in = 2048, .out = 256, .capacity = 720, .expected = 128}, type);
    compare({.counts = {0, 0, 0}, .in = 256, .out = 128, .capacity = 9, .expected = 128}, type);
    compare({.counts = {0, 5, 1}, .in = 256, .out = 128, .capacity = 9, .expected = 128}, type);
  }
}

// Blocks have several tiles, of one half and of two, and the stages of the pipeline go on from tile to tile: 6 and 3 lines are no multiple of their 4.
TEST_F(GroupedGemmOnDevice, ManyTilesOfManyRows) {
  std::vector<I> counts;
  for (I e = 0; e < 70; ++e) counts.push_back(e % 7 == 0 ? 0 : 1 + e * 5 % 150);
  compare({.counts = counts, .in = 656, .out = 1100, .expected = 128}, fp8_row);
  compare({.counts = counts, .in = 168, .out = 1100, .capacity = 3971, .expected = 128}, bf16);
}

// Which kernel is picked shows in the last bits alone.
TEST_F(GroupedGemmOnDevice, BothKernelsAgree) {
  for (const DType type : {bf16, fp8_row}) {
    Case t{.counts = {150, 40, 0, 90}, .in = 1664, .out = 300, .expected = 1};
    const Array a = input_of(record(t, type), 280);
    const std::vector<Array> weights = weights_of(record(t, type));
    const Array few = run(record(t, type), t, a, weights);
    t.expected = 128;
    const Array many = run(record(t, type), t, a, weights);
    EXPECT_LE(difference(few, many, 8, 280, t.out), 1e-5);
  }
}

}  // namespace
}  // namespace fathom::kernels::cuda
