// The result of a run as a report.
#pragma once

#include "cli/executor/prompts.h"
#include "executor/run.h"
#include "simulator/compare.h"
#include "simulator/report.h"

namespace fathom::cli {

// A step that was measured and predicted: "prefill", "decode".
struct ComparedStep {
  std::string name;
  Comparison comparison;
};

Report report_of(const Subject&, const executor::RunOptions&, const std::vector<Prompt>&, const executor::RunResult&, const executor::Tokenizer*);
Table compared_table(const ComparedStep&);

// Only tokens after a prompt: at most one and the drafts of each sequence, with something in the cache.
bool is_decode(const Batch&, std::int64_t drafts);

}  // namespace fathom::cli
