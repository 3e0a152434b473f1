#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "gui/models/bound_colour.h"
#include "gui/models/views.h"

namespace fathom::gui {
namespace {

struct MemoryPart {
  const char* name;
  int colour;
  Bytes (*of)(const Fit&);
  const char* what;
  bool cache = false;
};

Bytes routed_experts(const Fit& f) { return f.memory.weights[static_cast<std::size_t>(Part::routed_experts)]; }
template <Bytes RankMemory::*member>
Bytes memory_part(const Fit& f) {
  return f.memory.*member;
}

// From the left to the right; what is for good first.
constexpr std::array<MemoryPart, 9> parts{{
    {"routed experts", 0, routed_experts, "Weights of the experts that this GPU holds, redundant copies included."},
    {"other weights", 4, [](const Fit& f) { return f.memory.weight_sum() - routed_experts(f); },
     "Weights of attention, indexer, dense and shared feed-forward layers, router, norms, embedding and head."},
    {"absorbed copies of kv_b", 6, memory_part<&RankMemory::absorbed_weights>, "The kv_b weights once more in bf16, for attention in its absorbed form."},
    {"latent cache", 1, memory_part<&RankMemory::latent_cache>, "Keys and values of the tokens at hand, compressed to a latent vector each.", true},
    {"index cache", 5, memory_part<&RankMemory::index_cache>, "Keys that the indexer scores, one a token.", true},
    {"activations", 2, memory_part<&RankMemory::activations>, "Results of operators, the most that are alive at once in a step."},
    {"index score workspace", 3, memory_part<&RankMemory::logits_workspace>,
     "Scores of the indexer before the best are picked; long batches take turns in it."},
    {"exchange buffers", 12, memory_part<&RankMemory::communication_buffers>, "What GPUs send each other waits here."},
    {"reserved", 7, [](const Fit& f) { return f.reserved; }, "Kept by the driver, the framework and the collective library."},
}};

struct Row {
  PhaseName phase;
  const PhaseEstimate& e;
  std::int64_t tokens;  // of a sequence that is in the caches
};
bool counted(const Row& r) { return r.e.fit.limit > Bytes{}; }

std::array<Row, 2> rows_of(const Answer& a) {
  const auto& w = a.scenario->workload;
  return {{{PhaseName::prefill, a.estimate->prefill, w.isl}, {PhaseName::decode, a.estimate->decode, w.isl + w.osl}}};
}

double gb(Bytes b) { return b.value / 1e9; }
std::string gb_text(Bytes b) { return shown(Cell{gb(b)}, Kind::fixed) + " GB"; }

std::string category(const Answer& a, const Row& r) {
  auto name = std::string(name_of(r.phase));
  if (a.estimate->prefill.system != a.estimate->decode.system) name += fmt::format(" ({})", r.e.system);
  return counted(r) ? name : name + ": refused";
}

Mark mark(std::size_t row, const char* name, Bytes size, Bytes limit, const std::string& what) {
  return {.x = gb(size),
          .y = static_cast<double>(row),
          .key = {},
          .tip = fmt::format("{}: {}, {} % of the limit\n{}", name, gb_text(size), shown(Cell{100 * (size / limit)}, Kind::percent), what)};
}

std::string what_is(const MemoryPart& part, const Row& r) {
  if (!part.cache) return part.what;
  const auto sequences = r.e.batch.sequences() * r.e.layout.micro_batches;
  return fmt::format("{}\n{} sequences x {} tokens, in whole pages of {} tokens", part.what, shown(Cell{sequences}, Kind::count),
                     shown(Cell{r.tokens}, Kind::count), page_tokens);
}

Series series_of(const MemoryPart& part, const std::array<Row, 2>& rows) {
  Series s{.name = part.name, .look = Look::bars, .marks = {}, .colour = part.colour};
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (const auto& f = rows[i].e.fit; part.of(f) > Bytes{}) s.marks.push_back(mark(i, part.name, part.of(f), f.limit, what_is(part, rows[i])));
  return s;
}

Series free_of(const std::array<Row, 2>& rows) {
  Series s{.name = "free", .look = Look::bars, .marks = {}, .colour = neutral_colour + 8};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& f = rows[i].e.fit;
    if (f.limit > f.needed())
      s.marks.push_back(mark(i, "free", f.limit - f.needed(), f.limit,
                             fmt::format("The largest batch that fits: {} sequences a rank.", shown(Cell{f.largest_batch}, Kind::count))));
  }
  return s;
}

std::vector<Guide> limits_of(const std::array<Row, 2>& rows) {
  std::vector<Guide> out;
  const auto& [prefill, decode] = rows;
  const bool same = prefill.e.fit.limit == decode.e.fit.limit;
  for (const auto& r : rows)
    if (counted(r))
      out.push_back({.at = gb(r.e.fit.limit), .text = fmt::format("{}limit {}", same ? "" : fmt::format("{} ", name_of(r.phase)), gb_text(r.e.fit.limit))});
  if (same) out.resize(1);
  return out;
}

}  // namespace

Chart memory_chart(const Answer& a) {
  Chart chart;
  chart.title = "Memory";
  chart.x.title = "GB on the fullest GPU";
  if (!a.estimate || std::ranges::none_of(rows_of(a), counted)) {
    chart.empty = a.nothing(PhaseName::prefill);
    return chart;
  }
  const auto rows = rows_of(a);
  for (const auto& r : rows) chart.y.categories.push_back(category(a, r));
  for (const auto& part : parts)
    if (auto s = series_of(part, rows); !s.marks.empty()) chart.series.push_back(std::move(s));
  if (auto s = free_of(rows); !s.marks.empty()) chart.series.push_back(std::move(s));
  chart.guides = limits_of(rows);
  return chart;
}

}  // namespace fathom::gui
