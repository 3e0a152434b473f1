#include <fmt/format.h>

#include <algorithm>

#include "gui/models/bound_colour.h"
#include "gui/models/phase_chart.h"
#include "gui/models/views.h"

namespace fathom::gui {
namespace {

double ms(Seconds s) { return 1e3 * s.value; }

std::string layers_text(const TracedBlock& block, std::int64_t repeat, std::int64_t count) {
  if (block.first_layer < 0) return std::string(block.name);
  const auto layer = block.first_layer + repeat;
  return count == 1 ? fmt::format("{} {}", block.name, layer) : fmt::format("{}s {} to {}, alike", block.name, layer, layer + count - 1);
}

std::string when_text(Seconds start, Seconds duration) { return fmt::format("from {} ms, for {} us", shown_real(ms(start)), shown_real(1e6 * duration.value)); }

// Rows from the top: layers, then computation and communication of each micro-batch.
class Drawing {
 public:
  Drawing(PhaseName phase, const Trace& trace) : phase_(phase), trace_(trace) {
    for (const auto& block : trace.blocks) half_ += block.count;
    micro_batches_ = half_ > 0 ? trace.steps.size() / half_ : 1;
    if (micro_batches_ > 1) drawn_repeats_ = 1;
  }

  void draw(Chart& chart) {
    rows(chart.y.categories);
    for (const auto& block : trace_.blocks) draw(block);
    chart.series.push_back(std::move(layers_));
    add(chart, std::move(bounds_));
    if (first_view_ > Seconds{}) chart.x.most = ms(std::min(first_view_, trace_.total));
  }

 private:
  void rows(std::vector<std::string>& out) const {
    out.emplace_back("layers");
    for (const char* stream : {"computation", "communication"})
      for (std::size_t i = 1; i <= micro_batches_; ++i) out.push_back(micro_batches_ == 1 ? stream : fmt::format("{}, micro-batch {}", stream, i));
  }

  void draw(const TracedBlock& block) {
    const auto drawn = std::min(block.repeats, drawn_repeats_);
    for (std::int64_t repeat = 0; repeat < drawn; ++repeat) {
      layers(block, repeat, 1);
      // Rows of the second micro-batch follow those of the first.
      for (std::size_t first = block.first; first < trace_.steps.size(); first += half_)
        for (auto i = first; i < first + block.count; ++i) step(trace_.steps[i], block, repeat);
    }
    const auto left = block.repeats - drawn;
    if (left <= 0) return;
    layers(block, drawn, left);
    first_view_ = block.start + static_cast<double>(drawn + 1) * block.interval;
  }

  void layers(const TracedBlock& block, std::int64_t repeat, std::int64_t count) {
    const auto start = block.start + static_cast<double>(repeat) * block.interval, duration = static_cast<double>(count) * block.interval;
    layers_.marks.push_back(
        {.x = ms(start), .y = 0, .size = ms(duration), .key = {}, .tip = layers_text(block, repeat, count) + "\n" + when_text(start, duration)});
  }

  void step(const TracedStep& s, const TracedBlock& block, std::int64_t repeat) {
    if (s.duration <= Seconds{}) return;
    const auto start = s.start + static_cast<double>(repeat) * block.interval;
    const auto row = 1 + (s.communication ? micro_batches_ : 0) + s.id.micro_batch;
    const auto& t = *s.predicted;
    bounds_.of(t.bound).push_back({.x = ms(start),
                                   .y = static_cast<double>(row),
                                   .size = ms(s.duration),
                                   .key = operator_key(phase_, {&s, &block, 1, s.duration}),
                                   .tip = fmt::format("{} ({})\n{}\nbound by {}; {} % of speed of light", s.label, layers_text(block, repeat, 1),
                                                      when_text(start, s.duration), name_of(t.bound), shown(Cell{100 * (t.floor / t.total)}, Kind::percent))});
  }

  PhaseName phase_;
  const Trace& trace_;
  std::size_t half_ = 0, micro_batches_ = 1;
  // A trace holds the starts of the first repeat. The second is the same an interval later; but not of two micro-batches, which need a few
  // repeats to settle.
  std::int64_t drawn_repeats_ = 2;
  Seconds first_view_;  // ends one interval into the last span that stands for many layers: the step as a whole would show little else
  Series layers_{.name = "layers", .look = Look::spans, .marks = {}, .colour = neutral_colour};
  BoundSeries bounds_{Look::spans};
};

}  // namespace

Chart timeline_chart(const Answer& a, PhaseName p) {
  auto chart = step_chart(a, p, "step in time");
  chart.x.title = "time, ms";
  if (!chart.empty.empty()) return chart;
  const auto& trace = a.estimated(p).trace;
  chart.guides.push_back({.at = ms(trace.total), .text = fmt::format("end {} ms", shown_real(ms(trace.total)))});
  Drawing(p, trace).draw(chart);
  return chart;
}

}  // namespace fathom::gui
