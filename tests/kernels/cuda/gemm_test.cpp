// cuBLASLt and the kernels beside it against the CPU. Errors are relative to the largest result: bf16 rounds to 2^-9 of it; fp32 sums of up to 4096
// products in another order keep 1e-5; the e4m3 units of sm_90 that cuBLASLt uses keep only about 14 bits of the sums over a scale group.
#include "kernels/cuda/gemm.h"

#include "kernels/cpu/batched_gemm.h"
#include "kernels/cpu/blocked.h"
#include "kernels/cuda/grouped_gemm.h"
#include "tests/kernels/cuda/device.h"

namespace fathom::kernels::cuda {
namespace {

constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, fp8_block = DType::fp8_block;

struct Size {
  I tokens, in, out;
};
void PrintTo(const Size& s, std::ostream* to) { *to << s.tokens << " x " << s.in << " x " << s.out; }

void expect_close(const cpu::Matrix& got, const cpu::Matrix& right, double tolerance) {
  for (I r = 0; r < right.rows(); ++r)
    for (I c = 0; c < right.columns(); ++c) ASSERT_FALSE(std::isnan(got.get(r, c))) << r << ", " << c;
  EXPECT_LE(relative_error(got, right), tolerance);
}

// NaN in the rows that are only there to make the count a multiple of 4, numbers and scales.
void poison_padding(const Matrix& m) {
  const I padding = (m.rows + 3) / 4 * 4 - m.rows;
  auto* data = static_cast<std::byte*>(m.data);
  check(cudaMemset(data + m.rows * m.stride, 0xff, static_cast<std::size_t>(padding * m.stride)), "cudaMemset");
  for (I group = 0; group < (m.columns + 127) / 128; ++group)
    check(cudaMemset(m.scales + group * m.scale_stride + m.rows, 0xff, static_cast<std::size_t>(padding) * sizeof(float)), "cudaMemset");
}

model_spec::Gemm<I> record(const Size& s, DType activation, DType output) {
  return {.tokens = s.tokens, .in = s.in, .out = s.out, .weight = activation == fp8_row ? fp8_block : activation, .activation = activation, .output = output};
}

// run(op, a, w, c) twice, into columns 8 .. 8 + out of a wider c, against the CPU.
template <class Run>
void compare(const Size& s, DType activation, DType output, double tolerance, Run run) {
  SCOPED_TRACE(testing::PrintToString(s) + " " + std::string(name_of(activation)) + " to " + std::string(name_of(output)));
  const auto op = record(s, activation, output);
  const Array a = cpu::random_array(activation, s.tokens, s.in), w = cpu::random_array(op.weight, s.out, s.in, 2);
  Array right(fp32, s.tokens, s.out);
  cpu::blocked::gemm(record(s, activation, fp32), a, w, right);
  const DeviceMatrix on_a(a), on_w(w), first(output, s.tokens, s.out + 16), second(output, s.tokens, s.out + 16);
  if (activation == fp8_row) poison_padding(on_a.view());
  run(op, on_a.view(), on_w.view(), first.slice(8, s.out));
  run(op, on_a.view(), on_w.view(), second.slice(8, s.out));
  const Array one = first.host(), two = second.host();
  expect_close(one.slice(8, s.out), right, tolerance);
  for (I r = 0; r < s.tokens; ++r) {
    for (I c = 0; c < s.out; ++c) ASSERT_EQ(one.get(r, 8 + c), two.get(r, 8 + c)) << "another result when run again: " << r << ", " << c;
    for (const I c : {I{7}, s.out + 8}) EXPECT_TRUE(std::isnan(one.get(r, c))) << "written beside the slice";
  }
}

class GemmOnDevice : public OnDevice {};

TEST_F(GemmOnDevice, Bf16) {
  Gemms gemms;
  for (const I tokens : {1, 3, 4, 17, 128, 129})
    for (const auto& [in, out] : {std::pair<I, I>{128, 8}, {512, 640}, {1536, 256}, {80, 24}, {80, 5}, {75, 10}, {4096, 104}})
      for (const DType output : {bf16, fp32})
        compare({tokens, in, out}, bf16, output, output == bf16 ? 0x1p-8 : 1e-5,
                [&](const auto& op, const auto& a, const auto& w, const auto& c) { gemms.gemm(op, a, w, c, nullptr); });
}

TEST_F(GemmOnDevice, Fp8) {
  Gemms gemms;
  for (const I tokens : {1, 3, 4, 17, 33, 128, 129})
    for (const auto& [in, out] : {std::pair<I, I>{128, 4}, {128, 64}, {512, 640}, {1536, 576}, {80, 24}, {208, 130}})
      for (const DType output : {bf16, fp32})
        compare({tokens, in, out}, fp8_row, output, output == bf16 ? 0x1p-8 : 0x1p-11,
                [&](const auto& op, const auto& a, const auto& w, const auto& c) { gemms.gemm(op, a, w, c, nullptr); });
}

// 4096 along `in` are summed by clusters of eight blocks.
TEST_F(GemmOnDevice, OfFew) {
  const auto run = [](const auto& op, const auto& a, const auto& w, const auto& c) { gemm_of_few(op, a, w, c, nullptr); };
  for (const I tokens : {1, 3, 16, 17, 33, 65, 129})
    for (const auto& [in, out] : {std::pair<I, I>{128, 4}, {512, 640}, {1536, 131}, {80, 24}, {4096, 256}, {2080, 300}}) {
      compare({tokens, in, out}, fp8_row, fp32, 1e-5, run);
      compare({tokens, in, out}, fp8_row, bf16, 0x1p-8, run);
      compare({tokens, in, out}, bf16, fp32, 1e-5, run);
      compare({tokens, in, out}, bf16, bf16, 0x1p-8, run);
    }
}

TEST_F(GemmOnDevice, OneWorkspaceManyShapes) {
  Gemms gemms;
  const auto run = [&](const auto& op, const auto& a, const auto& w, const auto& c) { gemms.gemm(op, a, w, c, nullptr); };
  for (int again = 0; again < 2; ++again)
    for (const I tokens : {128, 64}) compare({tokens, 512, 256}, bf16, bf16, 0x1p-8, run), compare({tokens, 512, 256}, fp8_row, bf16, 0x1p-8, run);
}

// a is columns 0 .. in of rows of in + 8, c columns 8 .. 8 + out of rows of out + 16.
void compare_batched(Gemms& gemms, I tokens, I heads, I in, I out) {
  SCOPED_TRACE(testing::Message() << tokens << " x " << heads << " x " << in << " x " << out);
  const model_spec::BatchedGemm<I> op{.tokens = tokens, .heads = heads, .in = in, .out = out, .weight = bf16};
  const Array a = cpu::random_array(bf16, tokens * heads, in + 8), w = cpu::random_array(bf16, heads * in, out, 2);
  std::vector<cpu::ConstMatrix> weights;
  for (I h = 0; h < heads; ++h) weights.push_back(w.rows(h * in, in));
  Array right(fp32, tokens * heads, out);
  cpu::batched_gemm<float>(op, a.slice(0, in), weights, right);
  const DeviceMatrix on_a(a), on_w(w), on_c(bf16, tokens * heads, out + 16);
  auto first = on_w.view();
  first.rows = in;
  gemms.batched_gemm(op, on_a.slice(0, in), {.first = first, .count = heads, .step = in * out}, on_c.slice(8, out), nullptr);
  const Array c = on_c.host();
  expect_close(c.slice(8, out), right, 0x1p-8);
  for (I r = 0; r < c.rows(); ++r) EXPECT_TRUE(std::isnan(c.get(r, 7)) && std::isnan(c.get(r, out + 8))) << "written beside the slice";
}

TEST_F(GemmOnDevice, Batched) {
  Gemms gemms;
  for (const I tokens : {1, 3, 4, 17, 129})
    for (const auto& [heads, in, out] : {std::tuple<I, I, I>{2, 128, 512}, {16, 512, 128}, {3, 24, 40}, {3, 10, 7}, {1, 64, 64}})
      compare_batched(gemms, tokens, heads, in, out);
}

TEST_F(GemmOnDevice, NoTokensAreNoWork) {
  Gemms gemms;
  EXPECT_NO_THROW(gemms.gemm(record({0, 128, 64}, bf16, bf16), {.stride = 128}, {.rows = 64, .columns = 128, .stride = 128}, {.stride = 64}, nullptr));
}

}  // namespace
}  // namespace fathom::kernels::cuda
