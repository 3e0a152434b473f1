// Products of a warpgroup (four warps in a row) on the tensor cores of sm_90a, from shared memory: PTX of wgmma as functions.
//
//   d[64, n] (+)= a[64, k] b[n, k]^T, fp32 sums; k is 32 for e4m3 and 16 for bf16, 32 bytes in both cases
//
// Warp w of the group, lane i: d[4 * j], d[4 * j + 1] are row 16 * w + i / 4, columns 8 * j + 2 * (i % 4) (+ 1); d[4 * j + 2], d[4 * j + 3] the row
// 8 further down. The products run by themselves:
//
//   (barrier: the operands are there)  fence_sums(d)  begin_products()  multiply ...  commit_products()  wait_products<0>()  fence_sums(d)
//
// Registers that are an operand (a, and d where it is added to) are ready before begin_products.
//
// e4m3 products keep about 14 bits of a sum: add them to fp32 registers every 128 of k.
#pragma once

#include <cstdint>

namespace fathom::kernels::cuda {

// Where an operand stands in shared memory and how. Chunks of 16 bytes are swizzled within lines of 128 bytes: chunk c of line r stands at c ^ (r % 8);
// lines count from a multiple of 1024 bytes, as TMA with a 128 byte swizzle leaves them.
//
// K-major: line r holds 128 bytes along k of row r. 32 bytes further along k: descriptor + 2. 8 rows further: + 64.
__device__ inline std::uint64_t k_major(std::uint32_t address) {
  return (address & 0x3ffff) >> 4 | std::uint64_t{1} << 16 | std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 62;
}
// MN-major (bf16 only): line r holds 64 numbers of k = r, of rows 0 .. 63 of the operand; the lines of rows 64 .. 127 follow `next` bytes later, and so on.
// 16 further along k: descriptor + 128.
__device__ inline std::uint64_t mn_major(std::uint32_t address, int next) {
  return (address & 0x3ffff) >> 4 | static_cast<std::uint64_t>(next >> 4) << 16 | std::uint64_t{1024 >> 4} << 32 | std::uint64_t{1} << 62;
}

// Orders products after the accesses to registers before.
__device__ inline void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Until at most `groups` of the last commits are under way.
template <int groups>
__device__ inline void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}
// What generic stores (or cp.async, once waited for) wrote to shared memory becomes visible to products and TMA. The writers do this, then a barrier.
__device__ inline void fence_shared() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
// The compiler does not know that products write registers later: it moves no use of them across this.
template <int count>
__device__ inline void fence_sums(float (&d)[count]) {
#pragma unroll
  for (int i = 0; i < count; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// A warpgroup, all of it, gives registers back or takes more; `count` a thread from now on. A launch gives all threads the same.
template <int count>
__device__ inline void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(count));
}
template <int count>
__device__ inline void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(count));
}

// The text of an instruction names each register of d: FATHOM_NAMES_c are the operands 0 .. c - 1, FATHOM_SUMS_c those numbers of d.
// clang-format off
#define FATHOM_NAMES_4 "%0, %1, %2, %3"
#define FATHOM_NAMES_8 FATHOM_NAMES_4 ", %4, %5, %6, %7"
#define FATHOM_NAMES_16 FATHOM_NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define FATHOM_NAMES_32 FATHOM_NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define FATHOM_NAMES_64 FATHOM_NAMES_32 \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47" \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define FATHOM_NAMES_128 FATHOM_NAMES_64 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
  ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95" \
  ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
  ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define FATHOM_SUMS_4(d, i) "+f"(d[(i)]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define FATHOM_SUMS_8(d, i) FATHOM_SUMS_4(d, i), FATHOM_SUMS_4(d, (i) + 4)
#define FATHOM_SUMS_16(d, i) FATHOM_SUMS_8(d, i), FATHOM_SUMS_8(d, (i) + 8)
#define FATHOM_SUMS_32(d, i) FATHOM_SUMS_16(d, i), FATHOM_SUMS_16(d, (i) + 16)
#define FATHOM_SUMS_64(d, i) FATHOM_SUMS_32(d, i), FATHOM_SUMS_32(d, (i) + 32)
#define FATHOM_SUMS_128(d, i) FATHOM_SUMS_64(d, i), FATHOM_SUMS_64(d, (i) + 64)

// x(n, numbers of d, names of the seven operands that follow d)
#define FATHOM_EACH_WIDTH(x)              \
  x(64, 32, 32, 33, 34, 35, 36, 37, 38)   \
  x(128, 64, 64, 65, 66, 67, 68, 69, 70)  \
  x(256, 128, 128, 129, 130, 131, 132, 133, 134)

#define FATHOM_WGMMA(n, shape, c, operands, add, ends)                                           \
  "{\n.reg .pred adds;\nsetp.ne.b32 adds, %" #add ", 0;\n"                                      \
  "wgmma.mma_async.sync.aligned.m64n" #n shape " {" FATHOM_NAMES_##c "}, " operands ", adds, 1, 1" ends ";\n}"
// clang-format on

// Both operands from shared memory, K-major. add: d += instead of d =.
template <int n>
__device__ inline void multiply_e4m3(float (&d)[n / 2], std::uint64_t a, std::uint64_t b, bool add) {
  const int adds = add;
#define FATHOM_CASE(N, c, o0, o1, o2, o3, o4, o5, o6) \
  if constexpr (n == N) asm volatile(FATHOM_WGMMA(N, "k32.f32.e4m3.e4m3", c, "%" #o0 ", %" #o1, o2, "") : FATHOM_SUMS_##c(d, 0) : "l"(a), "l"(b), "r"(adds));
  FATHOM_EACH_WIDTH(FATHOM_CASE)
#undef FATHOM_CASE
}

// a K-major, b K-major or (mn) MN-major.
template <int n, bool mn = false>
__device__ inline void multiply_bf16(float (&d)[n / 2], std::uint64_t a, std::uint64_t b, bool add) {
  const int adds = add;
#define FATHOM_CASE(N, c, o0, o1, o2, o3, o4, o5, o6)                                         \
  if constexpr (n == N)                                                                       \
    asm volatile(FATHOM_WGMMA(N, "k16.f32.bf16.bf16", c, "%" #o0 ", %" #o1, o2, ", 0, %" #o3) \
                 : FATHOM_SUMS_##c(d, 0)                                                      \
                 : "l"(a), "l"(b), "r"(adds), "n"(mn ? 1 : 0));
  FATHOM_EACH_WIDTH(FATHOM_CASE)
#undef FATHOM_CASE
}

// a from registers: lane i of warp w holds rows 16 * w + i / 4 (a[0], a[2]) and 8 further (a[1], a[3]), columns 2 * (i % 4) (+ 1), the last two + 8:
// the layout of d, two columns a register.
template <int n, bool mn = false>
__device__ inline void multiply_bf16(float (&d)[n / 2], const std::uint32_t (&a)[4], std::uint64_t b, bool add) {
  const int adds = add;
#define FATHOM_CASE(N, c, o0, o1, o2, o3, o4, o5, o6)                                                                      \
  if constexpr (n == N)                                                                                                    \
    asm volatile(FATHOM_WGMMA(N, "k16.f32.bf16.bf16", c, "{%" #o0 ", %" #o1 ", %" #o2 ", %" #o3 "}, %" #o4, o5, ", %" #o6) \
                 : FATHOM_SUMS_##c(d, 0)                                                                                   \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(adds), "n"(mn ? 1 : 0));
  FATHOM_EACH_WIDTH(FATHOM_CASE)
#undef FATHOM_CASE
}

// Four 8x8 matrices of 16-bit numbers, the reverse of load_matrices (tensor_core.cuh).
__device__ inline void store_matrices(std::uint32_t row, const std::uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]) : "memory");
}

// Barrier `name`, 1 .. 15, of some warps of the block, `threads` in all.
__device__ inline void meet(int name, int threads) { asm volatile("bar.sync %0, %1;" ::"r"(name), "r"(threads) : "memory"); }

}  // namespace fathom::kernels::cuda
