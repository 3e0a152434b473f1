// Results as tables of a report, shared by verbs.
#pragma once

#include <string>
#include <vector>

#include "simulator/estimate.h"
#include "simulator/report.h"

namespace fathom::cli {

using namespace simulator;

// A table built field by field: every record answers every field.
template <class T>
struct Column {
  TableField field;
  Cell (*value)(const T&);
};
template <class T, class Columns>
Table table_of(std::string key, std::string title, Form form, const Columns& columns, const std::vector<std::pair<std::string, T>>& subjects) {
  Table t{.key = std::move(key), .title = std::move(title), .form = form, .fields = {}, .records = {}};
  for (const auto& c : columns) t.fields.push_back(c.field);
  for (const auto& [name, subject] : subjects) {
    t.records.push_back({name, {}});
    for (const auto& c : columns) t.records.back().cells.push_back(c.value(subject));
  }
  return t;
}

// Prefill and decode side by side; a phase that was refused before it was planned has only its layout.
std::vector<Table> phase_tables(const Scenario&, const Estimate&);
Table request_table(const Scenario&, const Estimate&);
Table costs_table(const Scenario&, const Estimate&);
Table settings_table(const std::vector<Setting>& effective);  // for machines
Table comparison_row(const Scenario&, const Estimate&);       // one line, AIConfigurator's columns first (comparison.cpp)

// Whole prefill units that feed one decode unit, the GPUs of both, and what they give together. Of a feasible estimate.
struct WholeUnits {
  std::int64_t prefill_units = 0, gpus = 0;
  double output_tokens_per_second = 0;
};
WholeUnits whole_units(const Scenario&, const Estimate&);

// Where the numbers come from and what was assumed.
std::vector<std::string> notes_on(const Scenario&, const Estimate&, const std::vector<Setting>& effective);
std::string price_note(const Scenario&);

// The answer in one sentence. missed: the limits that it does not keep, in words, or empty.
std::string answer_of(const Scenario&, const Estimate&, const std::string& missed);
// All of it: the sentence, the tables above, the notes; comparison_row() as CSV.
Report estimate_report(const Scenario&, const Estimate&, const std::vector<Setting>& effective, const std::string& missed = {});
std::string milliseconds_text(Seconds);

// Steps of one label and group in blocks of one name (the first dense layer has no residual to add, the others do), together: `step` and
// `block` are those that run most often. Points into the trace.
struct OperatorTotal {
  const TracedStep* step;
  const TracedBlock* block;
  double times;   // in one step of the stage
  Seconds total;  // of all of them
};
std::vector<OperatorTotal> operator_totals(const Trace&);  // in the order of the plan
std::string block_name(const TracedBlock&);                // "MoE layer" is "MoE"

// The step by operator (--detail), and the formulas of one label or, without a label, of the step that takes longest (--explain).
Table steps_table(const std::string& phase, const PhaseEstimate&);
Table explain_table(const Scenario&, const Estimate&, const std::string& label);
Table explain_operator(const HardwareProfile&, const Calibration&, const std::string& phase_name, const OperatorTotal&);

// Every number of a machine, and how near its kernels come to the peaks, each with its source (verbs_profiles.cpp).
Table profile_table(const HardwareProfile&);
Table efficiency_table(const Calibration&);

std::string source_of(const OpTime&);  // "published", "transferred, outside measured domain"
std::string origin_of(const std::vector<Setting>& effective, std::string_view key);

}  // namespace fathom::cli
