// Times of the matrix products on the device: gemm_bench [gemm | few | grouped]. Calls in a CUDA graph, on operands that rotate through more memory
// than its L2 holds; the median of nine replays. GB/s counts each byte once, as the cost of the record does.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/grouped_gemm.h"

namespace fathom::kernels::cuda {
namespace {

using I = std::int64_t;
constexpr I rotated_bytes = I{256} << 20;  // four times the L2 of an H200

class Buffer {
 public:
  explicit Buffer(I bytes) : bytes_(bytes) { check(cudaMalloc(&data_, static_cast<std::size_t>(bytes)), "cudaMalloc"); }
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(o.bytes_) {}
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() { cudaFree(data_); }
  // The same values again and again.
  template <class T>
  void fill(const std::vector<T>& values) {
    const I part = static_cast<I>(values.size() * sizeof(T));
    for (I at = 0; at < bytes_; at += part)
      check(cudaMemcpy(static_cast<std::byte*>(data_) + at, values.data(), static_cast<std::size_t>(std::min(part, bytes_ - at)), cudaMemcpyHostToDevice),
            "cudaMemcpy");
  }
  template <class T = void>
  [[nodiscard]] T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  I bytes_;
};

// Random e4m3 codes of numbers from -1.875 to 1.875: power, and so the clock, depends on the data.
std::vector<std::uint8_t> random_codes() {
  std::mt19937 random(1);
  std::vector<std::uint8_t> codes((1 << 24) + 1);
  for (auto& c : codes) c = static_cast<std::uint8_t>((random() & 0x80) | random() % 0x40);
  return codes;
}
// The same of bf16, two bytes a number: 0.125 to 1.99 and their negatives.
std::vector<std::uint8_t> random_bf16() {
  std::mt19937 random(1);
  std::vector<std::uint8_t> bytes((1 << 24) + 2);
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    bytes[i] = static_cast<std::uint8_t>(random());
    bytes[i + 1] = static_cast<std::uint8_t>((random() & 0x80) | (0x3e + random() % 2));
  }
  return bytes;
}

I ceil_div(I a, I b) { return (a + b - 1) / b; }
I ceil4(I n) { return ceil_div(n, 4) * 4; }

// `count` matrices of fp8 or bf16, one after the other.
struct Operand {
  Operand(DType type, I rows, I columns, I count, const std::vector<std::uint8_t>& codes)
      : groups(ceil_div(columns, 128)),
        scale_stride(type == DType::fp8_row ? ceil4(rows) : ceil4(groups)),
        scale_step(scale_stride * (type == DType::fp8_row ? groups : ceil_div(rows, 128))),
        step(type == DType::fp8_row ? ceil4(rows) * columns : rows * columns),
        data(step * count * (type == DType::bf16 ? 2 : 1)),
        scales(scale_step * count * 4),
        first{type, rows, columns, columns, data.as<>(), scales.as<float>(), scale_stride} {
    data.fill(codes);
    scales.fill(std::vector<float>(1 << 20, 0.5f));
  }
  [[nodiscard]] Matrix at(I i) const {
    Matrix m = first;
    m.data = static_cast<std::byte*>(m.data) + i * step;
    m.scales += i * scale_step;
    return m;
  }

  I groups, scale_stride, scale_step, step;
  Buffer data, scales;
  Matrix first;
};

// Seconds a call, of `calls` in one graph.
double seconds(I calls, const std::function<void(I call, Stream)>& call) {
  cudaStream_t stream{};
  cudaGraph_t graph{};
  cudaGraphExec_t ready{};
  cudaEvent_t start{}, end{};
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  call(0, stream);  // plans are made, code is loaded
  check(cudaStreamSynchronize(stream), "first call");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (I i = 0; i < calls; ++i) call(i, stream);
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&ready, graph, 0), "cudaGraphInstantiate");
  check(cudaEventCreate(&start), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::array<float, 9> times{};
  check(cudaGraphLaunch(ready, stream), "warm up");
  for (float& time : times) {
    check(cudaEventRecord(start, stream), "event");
    check(cudaGraphLaunch(ready, stream), "replay");
    check(cudaEventRecord(end, stream), "event");
    check(cudaEventSynchronize(end), "replay");
    check(cudaEventElapsedTime(&time, start, end), "event");
  }
  cudaEventDestroy(start), cudaEventDestroy(end), cudaGraphExecDestroy(ready), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
  std::ranges::sort(times);
  return static_cast<double>(times[times.size() / 2]) / 1e3 / static_cast<double>(calls);
}

void print(const char* name, I out, I in, I rows, double time, const model_spec::Cost<>& cost) {
  std::printf("%-16s N %6lld  K %6lld  M %6lld  %10.2f us  %8.1f TFLOPS  %8.0f GB/s\n", name, static_cast<long long>(out), static_cast<long long>(in),
              static_cast<long long>(rows), time * 1e6, cost.total_matrix_flops() / time / 1e12, cost.hbm_bytes() / time / 1e9);
  std::fflush(stdout);
}

// Gemms as it chooses, or gemm_of_few for all.
void bench_gemm(bool few, const std::vector<std::uint8_t>& codes) {
  Gemms gemms;
  for (const auto& [out, in] : {std::pair<I, I>{2112, 7168}, {24576, 1536}, {7168, 16384}, {4096, 7168}, {7168, 2048}}) {
    const I copies = std::max<I>(1, ceil_div(rotated_bytes, out * in));
    const Operand w(DType::fp8_block, out, in, copies, codes);
    for (const I tokens : {1, 8, 16, 32, 36, 64, 128, 4096}) {
      if (few && tokens > 128) continue;
      const Operand a(DType::fp8_row, tokens, in, copies, codes);
      const Buffer c(ceil4(tokens) * out * 2);
      const Matrix to{DType::bf16, tokens, out, out, c.as<>()};
      const model_spec::Gemm<I> op{.tokens = tokens, .in = in, .out = out, .weight = DType::fp8_block, .activation = DType::fp8_row};
      const double time = seconds(std::max<I>(2 * copies, 8), [&](I i, Stream s) {
        if (few) gemm_of_few(op, a.at(i % copies), w.at(i % copies), to, s);
        else gemms.gemm(op, a.at(i % copies), w.at(i % copies), to, s);
      });
      print(few ? "gemm_of_few" : "gemm", out, in, tokens, time, model_spec::cost_of(op));
    }
  }
}

// Rows of each expert, `each` on average: all the same, or from 0 to twice as many.
std::vector<std::int32_t> offsets_of(I experts, I each, bool equal) {
  std::mt19937 random(2);
  std::vector<double> upto{0};
  for (I e = 0; e < experts; ++e) upto.push_back(upto.back() + (equal ? 1 : static_cast<double>(random() % 1000)));
  std::vector<std::int32_t> offsets;
  for (const double u : upto) offsets.push_back(static_cast<std::int32_t>(u / upto.back() * static_cast<double>(experts * each)));
  return offsets;
}

struct Load {
  I each;
  bool equal = true;
};

// Some experts of DeepSeek-V3.2; one set of weights is far more than the L2.
void bench_grouped(DType type, I experts, const std::vector<Load>& loads, const std::vector<std::uint8_t>& codes) {
  const DType weights = type == DType::bf16 ? type : DType::fp8_block;
  for (const auto& [out, in] : {std::pair<I, I>{4096, 7168}, {7168, 2048}}) {
    const Operand w(weights, out, in, experts, codes);
    for (const auto& [each, equal] : loads) {
      const std::string name = std::string(equal ? "grouped_" : "unequal_") + (type == DType::bf16 ? "bf16" : "fp8");
      const I rows = experts * each;
      const Operand a(type, rows, in, 1, codes);
      const Buffer c(rows * out * 2), offsets((experts + 1) * 4), workspace(grouped_workspace);
      const auto first = offsets_of(experts, each, equal);
      check(cudaMemcpy(offsets.as<>(), first.data(), first.size() * 4, cudaMemcpyHostToDevice), "cudaMemcpy");
      const model_spec::GroupedGemm<I> op{.capacity = rows,
                                          .experts = experts,
                                          .in = in,
                                          .out = out,
                                          .rows = static_cast<double>(rows),
                                          .active = static_cast<double>(experts),
                                          .largest = static_cast<double>(each),
                                          .weight = weights,
                                          .activation = type};
      const double time = seconds(3, [&](I, Stream s) {
        grouped_gemm(op, a.first, {.experts = experts, .capacity = rows, .offsets = offsets.as<std::int32_t>()}, {w.first, experts, w.step, w.scale_step},
                     {DType::bf16, rows, out, out, c.as<>()}, {workspace.as<>(), grouped_workspace}, s);
      });
      print(name.c_str(), out, in, rows, time, model_spec::cost_of(op));
    }
  }
}

}  // namespace
}  // namespace fathom::kernels::cuda

int main(int count, char** arguments) try {
  using namespace fathom::kernels::cuda;
  const std::string_view only = count > 1 ? arguments[1] : "";
  const auto codes = random_codes();
  if (only.empty() || only == "gemm") bench_gemm(false, codes);
  if (only.empty() || only == "few") bench_gemm(true, codes);
  if (only.empty() || only == "grouped") {
    bench_grouped(DType::fp8_row, 256, {{1}, {4}, {8}, {32}, {64}, {128}, {512}, {16, false}, {32, false}, {128, false}, {512, false}}, codes);
    bench_grouped(DType::bf16, 128, {{128}, {128, false}, {512, false}}, random_bf16());
  }
} catch (const std::exception& e) {
  std::fprintf(stderr, "%s\n", e.what());
  return 1;
}
