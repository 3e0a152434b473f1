#include <fmt/format.h>

#include "cli/service_curve.h"
#include "gui/models/bound_colour.h"
#include "gui/models/phase_chart.h"
#include "gui/models/views.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

constexpr int own_colour = 0, dense_colour = 5;

std::vector<std::int64_t> positions_of(const ModelSpec& m) {
  std::vector<std::int64_t> out{0, 2048, 4096, 8192, 16384, 32768, 65536, 98304, 131071};
  std::erase_if(out, [&](std::int64_t p) { return p >= m.max_position_embeddings; });
  return out;
}

void make_dense(std::vector<LayerPattern>& layers) {
  for (auto& l : layers) {
    l.attention = Attention::mla;
    make_dense(l.layers);
  }
}
ModelSpec without_indexer(ModelSpec m) {
  m.indexer.reset();
  make_dense(m.layers);
  return m;
}

std::string usd(double v) { return shown(Cell{v}, Kind::usd); }
std::string at(std::int64_t position, double cost) {
  return fmt::format("position {}: {} USD per million tokens", shown(Cell{position}, Kind::count), usd(cost));
}

std::string service_text(const cli::ServiceCurve& c) {
  return fmt::format("service: {} on {}, {} {} a rank", label(c.service.layout), c.profile.name, shown(Cell{c.service.batch}, Kind::count),
                     c.phase == CurvePhase::prefill ? "tokens" : "sequences");
}

Series predicted(const std::string& name, int colour, const ModelSpec& m, const cli::ServiceCurve& c) {
  Series s{.name = name, .look = Look::line, .marks = {}, .colour = colour};
  const auto service = service_text(c);
  for (const auto& p : points_of(m, c, positions_of(m)))
    s.marks.push_back({.x = static_cast<double>(p.position),
                       .y = p.usd_per_million,
                       .key = {},
                       .tip = fmt::format("{}, {}\nevery token {}, attention {}, index {}\n{}", name, at(p.position, p.usd_per_million),
                                          usd(p.position_independent), usd(p.attention), usd(p.index), service)});
  return s;
}

Series published(const std::vector<PublishedPoint>& points) {
  Series s{.name = "published", .look = Look::dashed, .marks = {}, .colour = neutral_colour};
  for (const auto& p : points)
    s.marks.push_back({.x = static_cast<double>(p.position),
                       .y = p.usd_per_million,
                       .key = {},
                       .tip = fmt::format("{}\n{}", at(p.position, p.usd_per_million), cli::published_curve_note)});
  return s;
}

void draw(const Answer& a, PhaseName p, Chart& chart) {
  const auto& m = a.scenario->model;
  const auto phase = p == PhaseName::prefill ? CurvePhase::prefill : CurvePhase::decode;
  const auto service = cli::service_curve(*a.scenario, a.settings, phase);
  if (const auto reason = check(m, service.service.layout)) {
    chart.empty = *reason;
    return;
  }
  chart.series.push_back(predicted(m.name, own_colour, m, service));
  if (m.indexer) chart.series.push_back(predicted("dense MLA", dense_colour, without_indexer(m), service));
  if (auto s = published(published_curve(m.name, phase)); !s.marks.empty()) chart.series.push_back(std::move(s));
}

}  // namespace

Chart curve_chart(const Answer& a, PhaseName p) {
  auto chart = phase_chart(a, p, "cost by position");
  chart.x.title = "token position";
  chart.y.title = fmt::format("USD per million tokens ({})", p == PhaseName::prefill ? "input" : "output");
  if (!chart.empty.empty()) return chart;
  try {
    draw(a, p, chart);
  } catch (const model_spec::Error& e) {  // no price of a GPU-hour, a layout that has no such curve
    chart.empty = e.what();
  }
  return chart;
}

}  // namespace fathom::gui
