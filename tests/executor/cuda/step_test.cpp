// What a step is made of before it runs: none of this needs a device.
#include <gtest/gtest.h>

#include "executor/cuda/step_graph.h"
#include "executor/cuda/step_inputs.h"
#include "executor/cuda/step_memory.h"
#include "model_spec/model.h"

namespace fathom::executor {
namespace {

using namespace model_spec;

struct Bytes {
  std::int64_t first, last;
};

// Activations of a block that are alive at once, by the steps that touch them, must not share bytes. What one stands for is touched with it.
void expect_apart(const Block& block, const BlockMemory& memory) {
  const auto touched = [&](std::size_t a, std::size_t step) {
    for (std::size_t i = 0; i < block.activations.size(); ++i) {
      const bool itself = i == a || (block.activations[i].otherwise == static_cast<std::int16_t>(a));
      if (itself && block.activations[i].first_use <= step && step <= block.activations[i].last_use) return true;
    }
    return false;
  };
  // Column slices of the same rows are apart by definition.
  const auto same_rows = [&](std::size_t a, std::size_t b) {
    const auto &x = memory.places[a], &y = memory.places[b];
    return x.stride > x.shape.columns && x.stride == y.stride && std::abs(x.offset - y.offset) < 2 * x.stride;
  };
  const auto bytes = [&](std::size_t a) {
    const auto& [shape, offset, stride] = memory.places[a];
    const auto slice = 2 * ((padded_rows(shape.rows) - 1) * stride + shape.columns);  // of bf16
    return Bytes{offset, offset + (stride == shape.columns ? matrix_bytes(shape.type, shape.rows, stride) : slice)};
  };
  for (std::size_t a = 0; a < memory.places.size(); ++a)
    for (std::size_t b = 0; b < a; ++b) {
      if (memory.places[a].offset < 0 || memory.places[b].offset < 0 || same_rows(a, b)) continue;
      for (std::size_t step = 0; step < block.steps.size(); ++step)
        if (touched(a, step) && touched(b, step)) {
          EXPECT_TRUE(bytes(a).last <= bytes(b).first || bytes(b).last <= bytes(a).first) << block.activations[a].name << ", " << block.activations[b].name;
        }
    }
}

TEST(StepMemory, NothingAliveIsWrittenOver) {
  const auto m = find_model("deepseek-v3.2");
  Policy policy;
  policy.mtp_depth = 1;
  const auto p = plan(m, {}, policy);
  for (const auto& groups :
       std::vector<std::vector<Group>>{{{128, 1, 4096}}, {{1, 4096, 0}}, {{2, 1000, 9000}, {1, 1000, 100'000}}, {{8, 1, 100}, {1, 3, 0}}}) {
    BoundPlan bound;
    bind(p, 0, {.groups = groups, .sampled = 8, .dp_tokens = {}}, bound);
    for (const auto& range : bound.blocks) {
      const auto memory = block_memory(*range.block, bound.sizes[static_cast<std::size_t>(range.block->attention)], m, Numerics::fp8);
      expect_apart(*range.block, memory);
      std::int64_t sum = 0;
      for (const auto& [shape, offset, stride] : memory.places) sum += offset < 0 ? 0 : matrix_bytes(shape.type, shape.rows, shape.columns);
      EXPECT_LE(memory.bytes, sum);
      if (range.block->name == "MoE layer") {
        EXPECT_LT(memory.bytes, 0.7 * static_cast<double>(sum));  // most die young
      }
    }
    EXPECT_GT(activation_bytes(bound, m, Numerics::fp8), 0);
  }
}

TEST(StepMemory, OneProductWritesOneMatrix) {
  const auto m = find_model("deepseek-v3.2");
  const auto p = plan(m, {}, {});
  BoundPlan bound;
  bind(p, 0, {.groups = {{4, 1, 9000}}, .sampled = 4, .dp_tokens = {}}, bound);
  const auto& block = *bound.blocks.at(3).block;
  const auto memory = block_memory(block, bound.sizes[1], m, Numerics::fp8);
  const auto place = [&](std::string_view name) {
    return memory.places[static_cast<std::size_t>(std::ranges::find(block.activations, name, [](const Activation& a) { return std::string_view(a.name); }) -
                                                  block.activations.begin())];
  };
  EXPECT_EQ(place("q_a").stride, 1536 + 128 + 576);
  EXPECT_EQ(place("index_k").offset, place("q_a").offset + 2 * 1536);
  EXPECT_EQ(place("kv").offset, place("index_k").offset + 2 * 128);
  EXPECT_EQ(place("kv").stride, place("q_a").stride);
}

// Rows that would not start at 16 bytes stay apart.
TEST(StepMemory, OddColumnsAreNotJoined) {
  auto m = find_model("deepseek-v3.2");
  m.q_lora_rank = 100;
  const auto p = plan(m, {}, {});
  BoundPlan bound;
  bind(p, 0, {.groups = {{4, 1, 9000}}, .sampled = 4, .dp_tokens = {}}, bound);
  const auto& block = *bound.blocks.at(3).block;
  const auto memory = block_memory(block, bound.sizes[1], m, Numerics::fp8);
  for (std::size_t i = 0; i < memory.places.size(); ++i)
    if (memory.places[i].offset >= 0) { EXPECT_EQ(memory.places[i].stride, memory.places[i].shape.columns) << block.activations[i].name; }
}

TEST(StepMemory, RowsThatKernelsWrite) {
  const auto m = find_model("deepseek-v3.2");
  const auto p = plan(m, {}, {});
  BoundPlan bound;
  bind(p, 0, {.groups = {{4, 1, 9000}}, .sampled = 4, .dp_tokens = {}}, bound);
  const auto& block = *bound.blocks.at(3).block;
  const auto shape = [&](std::string_view name, Numerics numerics) {
    for (std::size_t i = 0; i < block.activations.size(); ++i)
      if (block.activations[i].name == name) return activation_shape(block, static_cast<std::uint8_t>(i), bound.sizes[1], m, numerics);
    throw std::runtime_error("no such activation");
  };
  EXPECT_EQ(block.name, "MoE layer");
  EXPECT_EQ(shape("index_q8", Numerics::fp8).rows, 4 * 64);  // a scale for each head
  EXPECT_EQ(shape("index_q8", Numerics::fp8).columns, 128);
  EXPECT_EQ(shape("index_q8", Numerics::bf16).type, DType::bf16);
  EXPECT_EQ(shape("expert_y", Numerics::fp8).rows, 4 * 8);
  EXPECT_EQ(shape("kv_expanded", Numerics::fp8).rows, 0);  // no group expands its context
}

TEST(StepInputs, ContextsAreRoundedUpByAnEighth) {
  const auto longest = [](std::int64_t cached) { return StepInputs::longest({.groups = {{1, 1, 5}, {2, 1, cached}}, .sampled = 3, .dp_tokens = {}}); };
  EXPECT_EQ(longest(0), 64);
  EXPECT_EQ(longest(63), 64);
  EXPECT_EQ(longest(64), 128);
  EXPECT_EQ(longest(4095), 4096);
  EXPECT_EQ(longest(4096), 4096 + 512);
  EXPECT_EQ(longest(131'071), 131'072);
}

GraphKey key_of(std::vector<Group> groups, bool timed = false, float temperature = 0) {
  static const auto p = plan(find_model("deepseek-v3.2"), {}, {});
  StepInput input;
  input.batch = {.groups = std::move(groups), .sampled = 0, .dp_tokens = {}};
  input.sampled.assign(static_cast<std::size_t>(input.batch.sampled = input.batch.sequences()), 0);
  input.timed = timed;
  input.sampling.temperature = temperature;
  BoundPlan bound;
  bind(p, 0, input.batch, bound);
  return graph_key(bound, input);
}

TEST(StepGraphs, StepsThatDifferOnlyInWhatMemoryHoldsAreTheSame) {
  EXPECT_EQ(key_of({{5, 1, 4200}}), key_of({{5, 1, 4300}}));
  EXPECT_EQ(key_of({{5, 1, 4200}}), key_of({{2, 1, 4000}, {3, 1, 4300}}));
  EXPECT_EQ(key_of({{1, 1, 3000}, {1, 152, 448}}), key_of({{1, 1, 3001}, {1, 152, 448}}));  // a prompt beside one that decodes
}

TEST(StepGraphs, OthersAreNot) {
  const auto key = key_of({{5, 1, 4200}});
  for (const auto& other : std::vector<std::vector<Group>>{{{4, 1, 4200}}, {{5, 2, 4200}}, {{5, 1, 8200}}, {{4, 1, 4200}, {1, 2, 4200}}})
    EXPECT_NE(key, key_of(other));
  EXPECT_NE(key, key_of({{5, 1, 4200}}, true));
  EXPECT_NE(key, key_of({{5, 1, 4200}}, false, 0.5f));
  EXPECT_NE(key_of({{5, 1, 4200}}, true), key_of({{2, 1, 4200}, {3, 1, 4200}}, true));  // an event for every group
  EXPECT_NE(key_of({{1, 152, 448}}), key_of({{1, 152, 384}}));                          // contexts that are copied
  EXPECT_NE(key_of({{1, 152, 448}, {1, 152, 448}}), key_of({{1, 152, 448}, {1, 152, 500}}));
}

TEST(StepGraphs, KeysUsedLastAreKept) {
  StepGraphs graphs;
  EXPECT_EQ(graphs.find({1}), nullptr);
  EXPECT_NE(graphs.find({1}), nullptr);
  for (std::int64_t key = 2; key < 65; ++key) EXPECT_EQ(graphs.find({key}), nullptr);
  EXPECT_NE(graphs.find({1}), nullptr);
  EXPECT_EQ(graphs.find({65}), nullptr);  // the 65th: 2 goes, the longest unused
  EXPECT_NE(graphs.find({1}), nullptr);
  EXPECT_EQ(graphs.find({2}), nullptr);
  graphs.clear();
  EXPECT_EQ(graphs.find({1}), nullptr);
}

}  // namespace
}  // namespace fathom::executor
