// Prompts to tokens: prefill in chunks, decode, drafts of the prediction layer verified, all in batches that mix them.
#pragma once

#include <optional>

#include "executor/cache.h"
#include "executor/communicator.h"
#include "executor/execute.h"

namespace fathom::executor {

struct Request {
  std::vector<std::int32_t> prompt;
  std::int64_t max_new_tokens = 0;
  std::vector<std::int32_t> forced;  // if not empty, these follow the prompt instead of what was sampled
  std::optional<std::int32_t> end;   // generation stops after this id
};

// How a rank's tokens stand in the requests, for observers.
struct RowOrigin {
  std::size_t request = 0;  // index in the requests; `padding` for tokens that only keep an idle rank in step
  std::int64_t position = 0;
};
inline constexpr std::size_t padding = static_cast<std::size_t>(-1);

struct GenerateOptions {
  Sampling sampling;
  std::int64_t pages = 0;            // of the caches
  std::int64_t max_sequences = 256;  // at once, on a rank
  std::int64_t logit_rows = 0;       // besides the rows that are sampled: the last so many of each prompt
  bool timed = false;                // each operator's seconds are wanted
  bool draft_everywhere = false;     // the prediction layer drafts from every token whose next is known; its drafts are then not used
  // For each step: forced choices, and what to watch. May be empty.
  std::function<void(const StepInput&, std::span<const RowOrigin>, Choices&)> force;
  std::function<void(const StepInput&, std::span<const RowOrigin>, const model_spec::Block&, const model_spec::BoundStep&, Backend&)> observe;
  std::function<void(const StepInput&, const Executed&)> after_step;
};

struct Generated {
  std::vector<std::int32_t> ids;  // without the prompt
  std::int64_t drafted = 0, accepted = 0;
  std::int64_t shared_tokens = 0;  // of the prompt, whose cache another request had filled
};

// Runs on every rank of `world`, which takes the requests whose index modulo dp is its own dp index; tokens that only the last pipeline stage
// knows are sent to all. Results of other dp ranks' requests stay empty. Precondition: check() finds nothing against any request.
std::vector<Generated> generate(const model_spec::Plan&, const model_spec::Place&, Backend&, Communicator& world, std::span<const Request>,
                                const GenerateOptions&);

// The reason why a request cannot run, in one line, or nothing: an id out of range, more positions than the model has, more pages than there are.
std::optional<std::string> check(const model_spec::ModelSpec&, const Request&, std::int64_t drafts, std::optional<std::int64_t> pages);

// Pages that the requests need on the dp rank that needs most, if as many run at once as may.
std::int64_t pages_needed(std::span<const Request>, const model_spec::Layout&, std::int64_t drafts, std::int64_t max_sequences);

}  // namespace fathom::executor
