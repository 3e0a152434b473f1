// C[t, n] = sum_k A[t, k] W[n, k], and for heads C[t, h, n] = sum_k A[t, h, k] W[h, k, n].
// Floor: max(2 * tokens * in * out / tensor rate, bytes / memory bandwidth).
//
// cuBLASLt counts in columns: a row-major [r, c] is its [c, r]. So it computes C^T = W A^T: W is its first operand, transposed if it is [out, in] and
// as it is if [in, out]; A its second, as it is. Scales: 128x128 blocks of W, 1x128 of A.
#include "kernels/cuda/gemm.h"

#include <cublasLt.h>
#include <cuda_bf16.h>

#include <cassert>
#include <compare>
#include <map>
#include <string>

#include "kernels/cuda/check.h"
#include "kernels/cuda/grouped_gemm.h"

namespace fathom::kernels::cuda {
namespace {

using I = std::int64_t;
using model_spec::Error;
using model_spec::Failure;

constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what the cuBLAS documentation recommends for sm_90
constexpr I row_alignment = 16;                                 // bytes, of every operand (matrix.h)
// Up to here gemm_of_few. On an H200, 2026-11-27, microseconds of [out, in] at 1, 4 and 16 tokens, and of cuBLASLt at 32 and 128, where it takes as long
// as with fewer: [2240, 7168] 10.5, 13.1, 25.7 and 15.1, 17.0; [4096, 7168] 13.5, 18.2, 27.4 and 15.7, 18.2; [7168, 16384] 33.4, 34.7, 39.9 and 40.0, 41.8.
constexpr I few_tokens = 4;

void check_blas(cublasStatus_t status, const std::string& what) {
  if (status != CUBLAS_STATUS_SUCCESS) throw Error(Failure::device, what + ": " + cublasLtGetStatusName(status));
}

template <auto destroy>
struct Destroy {
  template <class T>
  void operator()(T* p) const {
    destroy(p);
  }
};
using Handle = std::unique_ptr<std::remove_pointer_t<cublasLtHandle_t>, Destroy<cublasLtDestroy>>;
using Product = std::unique_ptr<std::remove_pointer_t<cublasLtMatmulDesc_t>, Destroy<cublasLtMatmulDescDestroy>>;
using Layout = std::unique_ptr<std::remove_pointer_t<cublasLtMatrixLayout_t>, Destroy<cublasLtMatrixLayoutDestroy>>;
using Preference = std::unique_ptr<std::remove_pointer_t<cublasLtMatmulPreference_t>, Destroy<cublasLtMatmulPreferenceDestroy>>;
using Bytes = std::unique_ptr<void, Destroy<cudaFree>>;

// C[count, tokens, out] = A[count, tokens, in] W[count, out, in]^T, or W[count, in, out] if `w_by_in`. Strides of rows and steps of the batch in elements.
struct Shape {
  DType operands, result;
  bool w_by_in = false;
  I tokens, in, out;
  I a_stride, w_stride, c_stride;
  I count = 1, a_step = 0, w_step = 0, c_step = 0;

  auto operator<=>(const Shape&) const = default;
};

struct Plan {
  Product product;
  Layout w, a, c;
  cublasLtMatmulAlgo_t algorithm;
};

std::string text(const Shape& s) {
  const auto size = [](I rows, I columns) { return std::string("[").append(std::to_string(rows)).append(", ").append(std::to_string(columns)).append("]"); };
  std::string line("cuBLASLt: ");
  line.append(name_of(s.operands)).append(size(s.tokens, s.in)).append(" by ").append(s.w_by_in ? size(s.in, s.out) : size(s.out, s.in));
  return line.append(" to ").append(name_of(s.result)).append(", ").append(std::to_string(s.count)).append(" of them");
}

cudaDataType_t blas_type(DType t) { return t == DType::fp8_row ? CUDA_R_8F_E4M3 : t == DType::bf16 ? CUDA_R_16BF : CUDA_R_32F; }

template <class T>
void set(const Product& p, cublasLtMatmulDescAttributes_t key, T value) {
  check_blas(cublasLtMatmulDescSetAttribute(p.get(), key, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}

Product make_product(const Shape& s) {
  cublasLtMatmulDesc_t raw{};
  check_blas(cublasLtMatmulDescCreate(&raw, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  Product p(raw);
  set(p, CUBLASLT_MATMUL_DESC_TRANSA, s.w_by_in ? CUBLAS_OP_N : CUBLAS_OP_T);
  if (s.operands == DType::fp8_row) {
    set(p, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, CUBLASLT_MATMUL_MATRIX_SCALE_BLK128x128_32F);
    set(p, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, CUBLASLT_MATMUL_MATRIX_SCALE_VEC128_32F);
  }
  return p;
}

void set_scales(const Product& p, const float* a, const float* w) {
  set(p, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, w);
  set(p, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, a);
}

// A row-major [rows, columns].
Layout make_layout(DType type, I rows, I columns, I stride, I count, I step) {
  cublasLtMatrixLayout_t raw{};
  check_blas(cublasLtMatrixLayoutCreate(&raw, blas_type(type), static_cast<std::uint64_t>(columns), static_cast<std::uint64_t>(rows), stride),
             "cublasLtMatrixLayoutCreate");
  Layout layout(raw);
  const auto batch = static_cast<std::int32_t>(count);
  check_blas(cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch), "cublasLtMatrixLayoutSetAttribute");
  check_blas(cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step), "cublasLtMatrixLayoutSetAttribute");
  return layout;
}

Preference make_preference() {
  cublasLtMatmulPreference_t raw{};
  check_blas(cublasLtMatmulPreferenceCreate(&raw), "cublasLtMatmulPreferenceCreate");
  Preference p(raw);
  check_blas(cublasLtMatmulPreferenceSetAttribute(raw, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes, sizeof workspace_bytes),
             "cublasLtMatmulPreference");
  const std::uint32_t alignment = row_alignment;
  for (const auto key : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                         CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    check_blas(cublasLtMatmulPreferenceSetAttribute(raw, key, &alignment, sizeof alignment), "cublasLtMatmulPreference");
  return p;
}

// Some scales must be set already: the choice asks whether there are any.
void choose_algorithm(const Handle& handle, const Shape& s, Plan& plan) {
  const Preference preference = make_preference();
  cublasLtMatmulHeuristicResult_t best{};
  int offered = 0;
  const auto status = cublasLtMatmulAlgoGetHeuristic(handle.get(), plan.product.get(), plan.w.get(), plan.a.get(), plan.c.get(), plan.c.get(), preference.get(),
                                                     1, &best, &offered);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED || (status == CUBLAS_STATUS_SUCCESS && offered == 0))
    throw Error(Failure::device, text(s) + ": no algorithm is offered");
  check_blas(status, text(s));
  plan.algorithm = best.algo;
}

Plan make_plan(const Handle& handle, const Shape& s, const float* a_scales, const float* w_scales) {
  Plan plan{.product = make_product(s),
            .w = make_layout(s.operands, s.w_by_in ? s.in : s.out, s.w_by_in ? s.out : s.in, s.w_stride, s.count, s.w_step),
            .a = make_layout(s.operands, s.tokens, s.in, s.a_stride, s.count, s.a_step),
            .c = make_layout(s.result, s.tokens, s.out, s.c_stride, s.count, s.c_step),
            .algorithm = {}};
  if (a_scales) set_scales(plan.product, a_scales, w_scales);
  choose_algorithm(handle, s, plan);
  return plan;
}

// One thread an element: for the odd sizes of small tests.
template <class Out>
__global__ void plain_product(const Shape s, const __nv_bfloat16* a, const __nv_bfloat16* w, Out* c) {
  const I i = I{blockIdx.x} * blockDim.x + threadIdx.x, t = i / s.out, n = i % s.out, batch = blockIdx.y;
  if (t >= s.tokens) return;
  a += batch * s.a_step + t * s.a_stride;
  w += batch * s.w_step + n * (s.w_by_in ? 1 : s.w_stride);
  float sum = 0;
  for (I k = 0; k < s.in; ++k) sum += __bfloat162float(a[k]) * __bfloat162float(w[k * (s.w_by_in ? s.w_stride : 1)]);
  c[batch * s.c_step + t * s.c_stride + n] = Out(sum);
}

void launch_plain(const Shape& s, const void* a, const void* w, void* c, Stream stream) {
  constexpr unsigned threads = 256;
  const auto* a16 = static_cast<const __nv_bfloat16*>(a);
  const auto* w16 = static_cast<const __nv_bfloat16*>(w);
  const dim3 grid(static_cast<unsigned>((s.tokens * s.out + threads - 1) / threads), static_cast<unsigned>(s.count));
  if (s.result == DType::fp32) plain_product<<<grid, threads, 0, stream>>>(s, a16, w16, static_cast<float*>(c));
  else plain_product<<<grid, threads, 0, stream>>>(s, a16, w16, static_cast<__nv_bfloat16*>(c));
  check_launch("plain_product");
}

I ceil4(I n) { return (n + 3) / 4 * 4; }

bool aligned(const void* p, DType type, I stride) {
  return reinterpret_cast<std::uintptr_t>(p) % row_alignment == 0 && stride * static_cast<I>(model_spec::element_bytes(type)) % row_alignment == 0;
}
bool aligned(const Matrix& m) { return aligned(m.data, m.type, m.stride); }

bool suits_blas(const Shape& s, const void* a, const void* w, const void* c) {
  const auto steps = {s.in, s.out, s.a_step, s.w_step, s.c_step};
  for (const I n : steps)
    if (n % 8 != 0) return false;
  return aligned(a, s.operands, s.a_stride) && aligned(w, s.operands, s.w_stride) && aligned(c, s.result, s.c_stride);
}

// Scales have no stride of their own in cuBLASLt.
bool suits_blas_fp8(const Shape& s, const Matrix& a, const Matrix& w, const Matrix& c) {
  return suits_blas(s, a.data, w.data, c.data) && s.in % model_spec::scale_block == 0 && s.out % 16 == 0 && a.scale_stride == s.tokens &&
         w.scale_stride == ceil4(s.in / model_spec::scale_block);
}

Shape shape_of(const model_spec::Gemm<I>& op, const Matrix& a, const Matrix& w, const Matrix& c) {
  return {.operands = a.type,
          .result = c.type,
          .tokens = a.type == DType::fp8_row ? ceil4(op.tokens) : op.tokens,
          .in = op.in,
          .out = op.out,
          .a_stride = a.stride,
          .w_stride = w.stride,
          .c_stride = c.stride};
}

}  // namespace

struct Gemms::State {
  Handle handle;
  Bytes workspace;
  std::map<Shape, Plan> plans;

  void run(const Shape& s, const void* a, const void* w, void* c, Stream stream, const float* a_scales = nullptr, const float* w_scales = nullptr) {
    auto found = plans.find(s);
    if (found == plans.end()) found = plans.emplace(s, make_plan(handle, s, a_scales, w_scales)).first;
    const Plan& plan = found->second;
    if (a_scales) set_scales(plan.product, a_scales, w_scales);
    const float one = 1, zero = 0;
    check_blas(cublasLtMatmul(handle.get(), plan.product.get(), &one, w, plan.w.get(), a, plan.a.get(), &zero, c, plan.c.get(), c, plan.c.get(),
                              &plan.algorithm, workspace.get(), workspace_bytes, stream),
               text(s));
  }
};

Gemms::Gemms() : state_(std::make_unique<State>()) {
  cublasLtHandle_t handle{};
  check_blas(cublasLtCreate(&handle), "cublasLtCreate");
  state_->handle.reset(handle);
  void* memory = nullptr;
  check(cudaMalloc(&memory, workspace_bytes), "workspace of cuBLASLt");
  state_->workspace.reset(memory);
}
Gemms::~Gemms() = default;
Gemms::Gemms(Gemms&&) noexcept = default;

void Gemms::gemm(const model_spec::Gemm<I>& op, const Matrix& a, const Matrix& w, const Matrix& c, Stream stream) {
  const bool fp8 = a.type == DType::fp8_row;
  assert(op.activation == a.type && op.weight == w.type && op.output == c.type && (c.type == DType::bf16 || c.type == DType::fp32));
  assert(w.type == (fp8 ? DType::fp8_block : DType::bf16) && (fp8 || a.type == DType::bf16) && (!fp8 || op.in % 16 == 0));
  if (op.tokens == 0) return;
  const Shape s = shape_of(op, a, w, c);
  if (fp8 ? op.tokens > few_tokens && suits_blas_fp8(s, a, w, c) : suits_blas(s, a.data, w.data, c.data))
    return state_->run(s, a.data, w.data, c.data, stream, a.scales, w.scales);
  if (fp8 || (op.in % 8 == 0 && aligned(a) && aligned(w))) return gemm_of_few(op, a, w, c, stream);
  launch_plain(s, a.data, w.data, c.data, stream);
}

void Gemms::batched_gemm(const model_spec::BatchedGemm<I>& op, const Matrix& a, const Stack& w, const Matrix& c, Stream stream) {
  assert(a.type == DType::bf16 && w.first.type == DType::bf16 && c.type == DType::bf16 && op.weight == DType::bf16 && w.count == op.heads);
  if (op.tokens == 0) return;
  const Shape s{.operands = a.type,
                .result = c.type,
                .w_by_in = true,
                .tokens = op.tokens,
                .in = op.in,
                .out = op.out,
                .a_stride = op.heads * a.stride,
                .w_stride = w.first.stride,
                .c_stride = op.heads * c.stride,
                .count = op.heads,
                .a_step = a.stride,
                .w_step = w.step,
                .c_step = c.stride};
  if (suits_blas(s, a.data, w.first.data, c.data)) return state_->run(s, a.data, w.first.data, c.data, stream);
  launch_plain(s, a.data, w.first.data, c.data, stream);
}

}  // namespace fathom::kernels::cuda
