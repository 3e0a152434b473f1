// From a scenario to the numbers that a planner asks for, or the reason why not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model_spec/memory.h"
#include "model_spec/trace.h"
#include "simulator/machine.h"
#include "simulator/scenario.h"

namespace fathom::simulator {

// Memory of the fullest rank against what may be used of it.
struct Fit {
  RankMemory memory;
  Bytes reserved{};                // driver, framework, collective library
  Bytes limit{};                   // usable memory times gpu_mem_fraction
  std::int64_t largest_batch = 0;  // sequences per rank that fit at this length; 0: not even one
  std::string reason;              // empty: it fits. Else one line: what is needed, what there is
  [[nodiscard]] Bytes needed() const { return memory.total() + reserved; }
};

// One phase of serving on its own GPUs: a step of its batch.
struct PhaseEstimate {
  Layout layout;
  std::string system;
  std::string reason;  // why the phase cannot run; all below is then empty
  Batch batch;         // of one attention data-parallel rank; of a prompt in chunks: the last full one
  std::int64_t gpus = 0;
  Fit fit;
  Seconds step{};                        // latency of a step of that batch through all stages
  Seconds interval{};                    // time between steps that finish (the slowest stage's)
  double tokens_per_second_per_gpu = 0;  // prefill: input tokens computed; decode: output tokens
  Trace trace;                           // of that batch, in the first stage
  std::vector<Provenance> provenance;    // kinds of sources that the time rests on, most important first
  bool inside = true;                    // every operator within its measured domain
};

struct Costs {  // USD per million tokens; absent without a GPU price
  double input_miss = 0, input_hit = 0, output = 0;
};
struct Margins {
  double input_miss = 0, input_hit = 0, output = 0;
};  // share of the API price that is left

struct Estimate {
  PhaseEstimate prefill, decode;
  Seconds ttft{};  // one prompt in a full batch, no queue
  // Chunks follow each other through the pipeline: ttft = first_latency + prompt_steps * prefill.interval - first_interval.
  std::int64_t prompt_steps = 0;
  Seconds first_latency{}, first_interval{};  // of a prompt's first step: through all stages; of the slowest
  Seconds tpot{};                             // per output token and user, first token excluded
  double tokens_per_second_per_user = 0;      // 1 / tpot
  double tokens_per_step = 1;                 // 1 + accepted drafts
  Seconds request_latency{};                  // ttft + (osl - 1) tpot
  double request_rate = 0;                    // requests/s that the decode GPUs finish
  double prefill_gpus_per_decode_gpu = 0;     // to feed them
  std::optional<Costs> costs;
  std::optional<Margins> margins;
  double gpu_seconds_per_new_token = 0;                              // of prefill without a cached prefix; costs->input_miss is their price
  std::optional<double> usd_per_gpu_hour, prefill_usd_per_gpu_hour;  // of decode; of prefill
  [[nodiscard]] bool feasible() const { return prefill.reason.empty() && decode.reason.empty(); }
};

Estimate estimate(const Scenario&);

// Memory of a rank that keeps `resident` sequences of a length and runs steps of these batches, whichever of them needs most.
// The largest batch is sought by the first: its first group's sequences, all of them resident.
struct Load {
  std::vector<Batch> steps;
  std::int64_t resident = 0, tokens_per_sequence = 0;
};
Fit fit(const Plan&, const HardwareProfile&, const Load&, double gpu_mem_fraction);

// Which GPUs, and how many, serve the model at the scenario's context and concurrency: for every profile the smallest layout that fits
// both a decode step of all sequences and a prefill step.
struct VramRow {
  std::string system;
  Layout layout;
  std::int64_t gpus = 0, batch = 0;  // batch: sequences per attention data-parallel rank
  Fit fit;
  std::string reason;  // empty: fits
};
std::vector<VramRow> vram(const Scenario&, const std::vector<std::string>& systems, std::int64_t concurrency);

}  // namespace fathom::simulator
