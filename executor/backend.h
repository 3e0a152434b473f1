// What runs the steps of a plan on one rank: the CPU (cpu_backend.h), or a GPU.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "model_spec/plan.h"

namespace fathom::executor {

// How a token is chosen from its logits. temperature 0: the largest logit.
struct Sampling {
  float temperature = 0, top_p = 1;
  std::uint64_t seed = 0;
};

// Discrete choices to take instead of the model's own, by layer; a row for each of a step's tokens; an empty row
// chooses for itself.
struct Choices {
  std::map<std::int64_t, std::vector<std::vector<std::int32_t>>> topk;        // [tokens] positions, ascending
  std::map<std::int64_t, std::vector<std::vector<std::int32_t>>> expert_ids;  // [tokens][num_experts_per_tok]
  std::map<std::int64_t, std::vector<std::vector<float>>> expert_weights;     // likewise
};

// What one step of one rank works on. Tokens are in the order of the batch's groups: group by group, sequence by sequence; groups in the
// order of path_order() (row_map.h).
struct StepInput {
  model_spec::Batch batch;
  std::vector<std::int32_t> ids;                 // [tokens]
  std::vector<std::int32_t> next_ids;            // [tokens], for the prediction layer: the token after each, -1: the one sampled for it in this step
  std::vector<std::int32_t> positions;           // [tokens]
  std::vector<std::vector<std::int32_t>> pages;  // [sequences] the cache pages of each, as many as its cached and new tokens fill
  std::vector<std::int32_t> sampled;             // [batch.sampled] tokens that get logits, ascending
  std::vector<std::uint64_t> random_streams;     // [batch.sampled] which random numbers each draws
  std::vector<std::int32_t> drafted;             // tokens to draft from; empty: the last confirmed one of each sequence
  Sampling sampling;
  const Choices* forced = nullptr;
  bool timed = false;    // the seconds of each run() are wanted
  bool watched = false;  // somebody will read() activations between its steps
};

struct StepOutput {
  std::vector<std::int32_t> sampled;  // [batch.sampled] ids; empty on all but the last pipeline stage
  std::vector<std::int32_t> drafts;   // [drafted] ids
  std::vector<double> step_seconds;   // of each run(), where the host's clock does not tell; only if the step is timed
  double device_seconds = 0;          // of the whole step on a device, without what the host does before and after
  bool replayed = false;              // as one graph, launched as a whole
};

// An activation in host memory: numbers or integers, [rows, columns].
struct HostTensor {
  std::int64_t rows = 0, columns = 0;
  std::int64_t first_token = 0;  // of the step, that row 0 belongs to
  std::vector<float> numbers;
  std::vector<std::int32_t> integers;
};

// Failures are Error{device}, with the call that failed. One step is begin(), then enter() for each block and run() for each of its steps in
// order, then finish().
class Backend {
 public:
  virtual ~Backend() = default;
  // Both stay alive until finish().
  virtual void begin(const model_spec::BoundPlan&, const StepInput&) = 0;
  virtual void enter(const model_spec::BoundBlock&) = 0;
  // Fills in the loads that only the data tell (rows of experts, copies sent).
  virtual void run(model_spec::BoundStep&) = 0;
  virtual StepOutput finish() = 0;
  // An activation of the block that is being run, by its name; or "index_logits", the scores of the group that was scored last, [queries, keys],
  // of which row i has cached + i + 1.
  virtual HostTensor read(std::string_view activation) = 0;
  // Bytes sent to other ranks so far by steps of plans.
  virtual double sent_bytes() const = 0;
  // Bytes of the weights that it holds. Absorbed copies are not counted.
  virtual double weight_bytes() const = 0;
};

}  // namespace fathom::executor
