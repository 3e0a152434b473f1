// Each view of an answer as data. All are pure functions; a view without something to show says why in `empty`.
#pragma once

#include "gui/models/answer.h"
#include "gui/models/chart.h"
#include "gui/models/diagram.h"

namespace fathom::gui {

// Stacked bars, GB on the fullest GPU of each phase, what is free, and the limit.
Chart memory_chart(const Answer&);
// A bar for each operator of a step, us, longest first, coloured by what bounds it; the shortest together.
Chart latency_chart(const Answer&, PhaseName);
// The same as a table: cli::steps_table with a key for each record, in the same order.
struct KeyedTable {
  Table table;
  std::vector<std::string> keys;  // of the records; empty: no view knows them
};
KeyedTable latency_table(const Answer&, PhaseName);
// A step in time: rows for computation and communication of each micro-batch, ms. Blocks that repeat are drawn once or twice, the rest as one span.
Chart timeline_chart(const Answer&, PhaseName);
// FLOP/byte against FLOP/s, log-log: the roofs of the machine, the operators as points.
Chart roofline_chart(const Answer&, PhaseName);
// The operators of a block with what depends on what, layered. block: index into blocks_of().
std::vector<std::string> blocks_of(const Answer&, PhaseName);
Diagram operator_graph(const Answer&, PhaseName, std::size_t block);
// The machines that serve a phase: nodes, GPUs, switches, links with their rates.
Diagram topology_diagram(const Answer&, PhaseName);

// USD per million tokens against position: this model, the same without its indexer (dense MLA), and the published curve. Takes some 10 ms.
Chart curve_chart(const Answer&, PhaseName);

}  // namespace fathom::gui
