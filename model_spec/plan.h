// The Plan: every operator of one step of one rank, in order, with what it reads and writes. Built once by plan(); bind() fills in the
// sizes of a batch without allocating. The simulator prices it, the executor runs it.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model_spec/batch.h"
#include "model_spec/layout.h"
#include "model_spec/op.h"
#include "model_spec/policy.h"
#include "model_spec/routing.h"
#include "model_spec/tensors.h"

namespace fathom::model_spec {

// How many rows an operator works on, or an activation has.
enum class Rows : std::uint8_t {
  tokens,    // new tokens of the batch
  slice,     // this tensor-parallel rank's share of them (tokens / tp, rounded up)
  gathered,  // tokens of all ranks of the stage
  sampled,   // rows that get logits
  drafted,   // rows that a prediction layer drafts a token from
  path,      // new tokens of the groups on the step's paths
  context,   // cached and new tokens of those groups
  cached,    // cached tokens of those groups
  group,     // the step runs once per group on its paths and takes that group's sizes
  routed,    // rows of this rank's experts
};
inline constexpr std::size_t rows_count = 10;

enum class Stream : std::uint8_t { compute, communication };

// What a step touches: an activation, a weight (its index is a Weight), or a cache.
enum class Role : std::uint8_t { none, input, output, weight, cache_read, cache_write };
enum class Cache : std::uint8_t { latent, index };
// `columns` columns from `first` on, 0 for all of them; of each head where the operator works on heads.
struct Operand {
  Role role = Role::none;
  std::uint8_t id = 0;
  std::int32_t first = 0, columns = 0;
};
using Operands = std::array<Operand, 8>;

// An activation buffer of a block: `rows` rows of `columns` elements of `type`.
struct Activation {
  const char* name = "";
  Rows rows{};
  std::int64_t columns = 0;
  DType type = DType::bf16;
  PathSet paths = 0;                          // of the steps that write it
  std::uint8_t transports = 0;                // likewise
  std::uint16_t first_use = 0, last_use = 0;  // steps of its block
  bool persists = false;                      // lives on after the block, known by its name: the residual stream
  std::int16_t otherwise = -1;                // the activation that it stands for in batches where no step writes it
};

// One operator at its place. Model sizes are filled in, batch sizes are not.
struct Step {
  const char* label = "";
  Op op;
  Rows rows = Rows::tokens;
  PathSet paths = all_paths;    // groups it serves
  std::uint8_t transports = 3;  // bit per Transport it belongs to
  Stream stream = Stream::compute;
  bool launched = true;  // false: rides in the kernel before it
  Operands operands{};
};

// Who must have finished before whom, from the operands. A Boost compressed sparse row graph behind a thin face (dependencies.cpp).
class Dependencies {
 public:
  explicit Dependencies(const std::vector<Step>&);
  ~Dependencies();
  [[nodiscard]] std::span<const std::uint32_t> before(std::size_t step) const;  // indices of the steps it waits for
  [[nodiscard]] std::string graphviz(const std::string& title, const std::vector<Step>&) const;
  [[nodiscard]] std::string graphml(const std::vector<Step>&) const;

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
};

// Steps that stand for `repeats` equal layers from `first_layer` on (or for the embedding, the head, the prediction layer).
struct Block {
  std::string_view name;
  std::int64_t first_layer = -1, repeats = 1;
  Attention attention = Attention::mla;  // of its layers
  std::vector<Activation> activations;
  std::vector<Step> steps;
  std::shared_ptr<const Dependencies> dependencies;
};

// What one rank of a pipeline stage runs.
struct Stage {
  LayerRange layers;
  std::vector<Block> blocks;
  std::array<double, part_count> weight_bytes{};     // per rank
  double absorbed_bytes = 0;                         // bf16 copies of kv_b for absorption
  std::int64_t latent_layers = 0, index_layers = 0;  // caches it keeps
};

struct Plan {
  ModelSpec model;
  Layout layout;
  Policy policy;
  RoutingConstants routing;
  std::vector<Stage> stages;  // one per pipeline stage
};

// Lowers a model on a layout. Precondition: check(model, layout) finds no reason against it.
// unrolled: one block per layer instead of repeats, for tests and traces.
Plan plan(const ModelSpec&, const Layout&, const Policy&, bool unrolled = false);

// A step with the sizes of a batch.
struct BoundStep {
  Op op;
  const Step* step = nullptr;
  std::uint16_t index = 0;  // of the step in its block
  std::uint16_t group = 0;  // of the batch, for steps that run per group
};
struct BoundBlock {
  const Block* block = nullptr;
  std::uint32_t first = 0, count = 0;  // range in steps
};

// Row counts of a batch on one rank, by Rows; those that depend on paths are per path.
struct Sizes {
  std::array<std::int64_t, rows_count> rows{};
  std::array<std::int64_t, path_count> path_tokens{}, path_cached{};
  ExpertLoad load;
  double received = 0;  // tokens that reach this rank's experts at least once
  Transport transport = Transport::low_latency;
  [[nodiscard]] std::int64_t of(Rows, PathSet) const;
};

// A stage of a plan filled in. Reuse one object: bind() then allocates nothing.
struct BoundPlan {
  std::vector<BoundStep> steps;
  std::vector<BoundBlock> blocks;
  std::vector<std::array<Path, 2>> paths;  // of each group, in layers of Attention::mla and ::mla_sparse
  std::array<Sizes, 2> sizes;              // by Attention
};
void bind(const Plan&, std::size_t stage, const Batch&, BoundPlan& out);

// Sum of cost() over a bound plan, blocks times their repeats.
Cost<> total_cost(const BoundPlan&);

}  // namespace fathom::model_spec
