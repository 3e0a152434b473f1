// Scenarios that several views are tested on.
#pragma once

#include <string>

#include "gui/models/answer.h"

namespace fathom::gui {

constexpr PhaseName both[] = {PhaseName::prefill, PhaseName::decode};

// Small enough to fit, and every number that matters given.
inline Answer small(const std::string& more = {}) {
  return answer(R"(model = "deepseek-v3.2"
system = "h800_sxm"
prefill.batch = 4
prefill.layout = {dp = 16, ep = 16}
decode.batch = 64
decode.layout = {dp = 32, ep = 32}
workload = {isl = 4000, osl = 1000}
)" + more,
                "x.toml");
}
// Decode in two micro-batches that overlap, and a pipeline for prefill.
inline Answer overlapped() {
  return answer(R"(system = "h800_sxm"
prefill.layout = {dp = 8, ep = 8, pp = 4}
decode.batch = 64
decode.layout = {dp = 32, ep = 32}
decode.policy.overlap = "two_batch"
)",
                "x.toml");
}
inline Answer one_gpu() { return answer("layout = {tp = 1}\n", "x.toml"); }
inline Answer faulty() { return answer("workload.isl = -3\n", "x.toml"); }

}  // namespace fathom::gui
