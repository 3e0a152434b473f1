// cost() of every operator against its CPU kernel on counting scalars and matrices: the same work, to the last operation and byte.
#include "tests/kernels/witness.h"

#include <gtest/gtest.h>

namespace fathom::kernels::cpu {
namespace {

// An operator without witness(), here or in witness.h, fails to compile; one without cases fails the test below.
Measured witness_of(const Op& op) {
  return std::visit([](const auto& o) { return witness(o); }, op);
}

void expect_witnessed(const Op& op) {
  std::string sizes;
  const auto note = [&](auto name, auto, auto v) { sizes += " " + std::string(name) + "=" + std::to_string(static_cast<int>(v)); };
  std::visit([&](const auto& o) { each_field(o, note); }, op);
  SCOPED_TRACE(std::string(op_name(op)) + sizes);
  const Measured m = witness_of(op);
  const Cost<> c = model_spec::cost(op);
  EXPECT_EQ(m.matrix, c.total_matrix_flops());
  EXPECT_EQ(m.vector, c.vector_flops);
  EXPECT_EQ(m.read, c.hbm_read_bytes);
  EXPECT_EQ(m.written, c.hbm_write_bytes);
  EXPECT_EQ(m.gathered, c.gathered_bytes);
  EXPECT_DOUBLE_EQ(m.sent, c.sent_bytes);
}

constexpr DType bf16 = DType::bf16, fp32 = DType::fp32, fp8_row = DType::fp8_row, fp8_block = DType::fp8_block, int8 = DType::int8, int4 = DType::int4_group,
                fp4 = DType::fp4;

std::vector<Op> row_cases() {
  std::vector<Op> ops;
  for (const DType table : {bf16, fp8_block, fp8_row, int8}) ops.emplace_back(Embedding<I>{.tokens = 5, .hidden = 131, .vocab = 700, .table = table});
  for (const DType output : {bf16, fp8_row, int8, fp4, fp32})
    for (const bool residual : {false, true})
      ops.emplace_back(RmsNorm<I>{.tokens = 3, .width = 133, .residual = residual, .output = output, .keep_bf16 = output == fp8_row});
  ops.emplace_back(LayerNorm<I>{.tokens = 3, .width = 13});
  ops.emplace_back(LayerNorm<I>{.tokens = 1, .width = 129});
  for (const DType output : {bf16, fp8_row, int8, fp4}) {
    ops.emplace_back(Quantise<I>{.tokens = 3, .width = 257, .output = output});
    ops.emplace_back(Hadamard<I>{.tokens = 3, .heads = 2, .width = 16, .stages = 4, .output = output});
    ops.emplace_back(SwiGlu<I>{.rows = 5, .width = 130, .output = output});
  }
  ops.emplace_back(Hadamard<I>{.tokens = 1, .heads = 3, .width = 256, .stages = 8, .output = fp8_row});
  ops.emplace_back(Rope<I>{.tokens = 3, .heads = 5, .dims = 6, .interleaved = true});
  ops.emplace_back(Rope<I>{.tokens = 2, .heads = 1, .dims = 10, .interleaved = false});
  ops.emplace_back(TopK<I>{.sequences = 2, .new_tokens = 3, .cached_tokens = 4, .topk = 6});
  ops.emplace_back(TopK<I>{.sequences = 1, .new_tokens = 7, .cached_tokens = 0, .topk = 3});
  ops.emplace_back(Gate<I>{.tokens = 3, .experts = 12, .groups = 4, .topk_group = 2, .topk = 3});
  ops.emplace_back(Gate<I>{.tokens = 1, .experts = 7, .groups = 1, .topk_group = 1, .topk = 2});
  for (const DType type : {bf16, fp8_row, int8, fp4}) ops.emplace_back(Permute<I>{.tokens = 5, .rows = 13, .hidden = 130, .type = type});
  ops.emplace_back(Unpermute<I>{.tokens = 5, .rows = 13, .hidden = 7});
  ops.emplace_back(Unpermute<I>{.tokens = 3, .rows = 3, .hidden = 131});
  ops.emplace_back(Add<I>{.tokens = 3, .hidden = 7});
  ops.emplace_back(Add<I>{.tokens = 1, .hidden = 129});
  ops.emplace_back(Sample<I>{.tokens = 3, .vocab = 11});
  ops.emplace_back(Sample<I>{.tokens = 1, .vocab = 130});
  return ops;
}

std::vector<Op> product_cases() {
  std::vector<Op> ops;
  for (const DType weight : {bf16, fp8_block, int8, int4, fp4, fp32}) {
    const DType activation = activation_for(weight);
    ops.emplace_back(Gemm<I>{.tokens = 3, .in = 7, .out = 5, .weight = weight, .activation = activation});
    ops.emplace_back(Gemm<I>{.tokens = 2, .in = 259, .out = 130, .weight = weight, .activation = activation, .output = fp32});
    ops.emplace_back(Gemm<I>{.tokens = 1, .in = 128, .out = 3, .weight = weight, .activation = activation});
    ops.emplace_back(BatchedGemm<I>{.tokens = 3, .heads = 2, .in = 5, .out = 7, .weight = weight});
    ops.emplace_back(BatchedGemm<I>{.tokens = 1, .heads = 3, .in = 130, .out = 129, .weight = weight});
    ops.emplace_back(
        GroupedGemm<I>{.capacity = 9, .experts = 4, .in = 131, .out = 6, .rows = 7, .active = 3, .largest = 5, .weight = weight, .activation = activation});
    ops.emplace_back(
        GroupedGemm<I>{.capacity = 9, .experts = 3, .in = 5, .out = 130, .rows = 3, .active = 3, .largest = 1, .weight = weight, .activation = activation});
  }
  return ops;
}

std::vector<Op> attention_cases() {
  std::vector<Op> ops;
  struct Shape {
    I sequences, new_tokens, cached_tokens, topk;
  };
  for (const auto& [s, t, c, k] : {Shape{2, 3, 5, 4}, Shape{1, 7, 0, 3}, Shape{3, 1, 9, 4}, Shape{1, 4, 2, 5}}) {
    for (const bool masked : {false, true})
      ops.emplace_back(DenseMha<I>{.sequences = s, .new_tokens = t, .cached_tokens = c, .heads = 3, .nope = 5, .rope = 2, .v = 7, .masked = masked});
    for (const CacheFormat cache : {CacheFormat::bf16, CacheFormat::fp8}) {
      ops.emplace_back(DenseMqa<I>{.sequences = s, .new_tokens = t, .cached_tokens = c, .heads = 3, .latent = 130, .rope = 6, .cache = cache});
      ops.emplace_back(SparseMla<I>{.sequences = s, .new_tokens = t, .cached_tokens = c, .heads = 3, .latent = 130, .rope = 6, .topk = k, .cache = cache});
      ops.emplace_back(LatentCacheWrite<I>{.tokens = s * t, .latent = 130, .rope = 6, .format = cache});
      ops.emplace_back(LatentCacheRead<I>{.tokens = s * t, .latent = 130, .rope = 6, .format = cache});
    }
    ops.emplace_back(IndexCacheWrite<I>{.tokens = s * t, .dims = 126});
    ops.emplace_back(IndexLogits<I>{.sequences = s, .new_tokens = t, .cached_tokens = c, .heads = 3, .dims = 14});
  }
  return ops;
}

std::vector<Op> exchange_cases() {
  std::vector<Op> ops;
  for (const DType type : {bf16, fp32, fp8_row, int8}) {
    ops.emplace_back(AllReduce<I>{.ranks = 4, .tokens = 7, .width = 131, .type = type});
    ops.emplace_back(AllGather<I>{.ranks = 3, .tokens = 7, .width = 131, .type = type});
    ops.emplace_back(ReduceScatter<I>{.ranks = 5, .tokens = 11, .width = 131, .type = type});
    for (const Transport transport : {Transport::normal, Transport::low_latency}) {
      ops.emplace_back(Dispatch<I>{.ranks = 4, .tokens = 6, .hidden = 131, .copies = 2, .type = type, .transport = transport});
      ops.emplace_back(Combine<I>{.ranks = 3, .tokens = 6, .hidden = 131, .copies = 2, .type = type, .transport = transport});
    }
    ops.emplace_back(SendRecv<I>{.tokens = 3, .width = 131, .type = type});
  }
  ops.emplace_back(AllReduce<I>{.ranks = 1, .tokens = 7, .width = 131});
  return ops;
}

TEST(Witness, WorkOnRows) {
  for (const Op& op : row_cases()) expect_witnessed(op);
}
TEST(Witness, MatrixProducts) {
  for (const Op& op : product_cases()) expect_witnessed(op);
}
TEST(Witness, AttentionAndCaches) {
  for (const Op& op : attention_cases()) expect_witnessed(op);
}
TEST(Witness, Exchanges) {
  for (const Op& op : exchange_cases()) expect_witnessed(op);
}

TEST(Witness, EveryOperatorHasCases) {
  std::array<int, std::variant_size_v<Op>> cases{};
  for (const auto& list : {row_cases(), product_cases(), attention_cases(), exchange_cases()})
    for (const Op& op : list) ++cases[op.index()];
  for (std::size_t i = 0; i < cases.size(); ++i) EXPECT_GE(cases[i], 2) << "operator " << i << " of the variant";
}

// A kernel that did one operation or byte more would be seen.
TEST(Witness, SeesWorkThatACostLeavesOut) {
  const Gemm<I> op{.tokens = 3, .in = 7, .out = 5};
  const Measured right = witness(op);
  Witnessed a(bf16, 3, 7), w(bf16, 5, 7), c(bf16, 3, 5);
  const Measured wrong = measure(
      [&] {
        gemm<Counted>(op, a, w, c);
        c.set(0, 0, c.get(0, 0) + Counted(1.0f));
      },
      a, w, c);
  EXPECT_EQ(wrong.matrix, right.matrix);
  EXPECT_EQ(wrong.vector, right.vector + 1);
  EXPECT_EQ(wrong.read, right.read + 2);
  EXPECT_EQ(wrong.written, right.written);
}

}  // namespace
}  // namespace fathom::kernels::cpu
