#include "gui/widgets/chart_figure.h"

#include <algorithm>
#include <cmath>

#include "gui/widgets/chart_ticks.h"
#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

constexpr double reach = 12;                    // pixels from a mark at which the pointer still means it
constexpr int margin = 12;                      // around the plot
constexpr double closest = 1e-4, farthest = 4;  // of what a zoomed axis shows to what it shows at first

bool same_axis(const Axis& a, const Axis& b) { return a.title == b.title && a.logarithmic == b.logarithmic && a.categories == b.categories; }
bool same_frame(const Chart& a, const Chart& b) { return a.title == b.title && same_axis(a.x, b.x) && same_axis(a.y, b.y); }

QColor faded(QColor c, double share) {
  c.setAlphaF(static_cast<float>(share));
  return c;
}

bool has_cells(const Chart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(), [](const Series& s) { return s.look == Look::cells; });
}

QCPColorGradient heat_gradient() {
  QCPColorGradient gradient;
  gradient.clearColorStops();
  constexpr int stops = 16;
  for (int i = 0; i <= stops; ++i) gradient.setColorStopAt(static_cast<double>(i) / stops, heat_colour(static_cast<double>(i) / stops));
  return gradient;
}

void paint_axis(QCPAxis* axis, const QFont& font, const QFont& small, const QColor& text) {
  axis->setLabelFont(font);
  axis->setLabelColor(text);
  axis->setTickLabelFont(small);
  axis->setTickLabelColor(faded(text, 0.85));
  for (const auto set : {&QCPAxis::setBasePen, &QCPAxis::setTickPen, &QCPAxis::setSubTickPen}) (axis->*set)(QPen(faded(text, 0.4), 1));
  axis->grid()->setPen(QPen(faded(text, 0.1), 1));
  axis->grid()->setZeroLinePen(Qt::NoPen);
}

}  // namespace

Figure::Figure(QWidget* parent)
    : QCustomPlot(parent),
      sides_{{{xAxis, {}}, {yAxis, {}}}},
      header_(new Header(this)),
      guides_(new Guides(this)),
      band_(new QCPItemRect(this)),
      margins_(new QCPMarginGroup(this)) {
  setObjectName(QStringLiteral("figure"));
  setFocusPolicy(Qt::NoFocus);
  setAutoAddPlottableToLegend(false);
  setInteractions(QCP::iRangeDrag | QCP::iRangeZoom);
  plotLayout()->insertRow(0);
  plotLayout()->addElement(0, 0, header_);
  plotLayout()->setRowSpacing(0);
  axisRect()->setMarginGroup(QCP::msTop | QCP::msBottom, margins_);
  guides_->setLayer(QStringLiteral("axes"));
  band_->setLayer(QStringLiteral("grid"));
  for (auto* corner : {band_->topLeft, band_->bottomRight}) corner->setTypeY(QCPItemPosition::ptAxisRectRatio);
  band_->setVisible(false);
  for (auto& side : sides_) {
    side.axis->setNumberFormat(QStringLiteral("g"));
    side.axis->setTickLength(0, 4);
    side.axis->setSubTickLength(0, 2);
    connect(side.axis, qOverload<const QCPRange&, const QCPRange&>(&QCPAxis::rangeChanged), this, [this, &side](const QCPRange& now, const QCPRange& before) {
      const QSignalBlocker quiet(side.axis);
      if (!in_reach(side, now)) side.axis->setRange(before);
    });
  }
  connect(this, &QCustomPlot::beforeReplot, this, [this] { fit(viewport().size(), false); });
}

void Figure::set_chart(const Chart& chart) {
  const bool same = same_frame(chart_, chart);
  clearPlottables();  // they point into the chart
  chart_ = chart;
  if (!same) {
    shown_ = {.log_x = chart.x.logarithmic, .log_y = chart.y.logarithmic, .hidden = {}};
    first_row_ = 0;
    set_band({});
  }
  rebuild(same);
}

void Figure::rebuild(bool keep_zoom) {
  clearPlottables();
  drawn_.clear();
  const auto boxes = boxes_of(chart_, shown_);
  const auto all = boxes_of(chart_, {.log_x = shown_.log_x, .log_y = shown_.log_y, .hidden = {}});  // axes stand still when a series is hidden
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    drawn_.push_back(new SeriesPlottable(xAxis, yAxis, chart_.series[i], boxes[i]));
    drawn_.back()->setVisible(!hidden(chart_.series[i].name));
  }
  for (auto& side : sides_) set_up(side, all, keep_zoom);
  header_->set_series(drawn_);
  guides_->set_guides(chart_.guides);
  set_up_colour_scale();
  set_selected(selected_);
  set_colours(palette());
}

void Figure::set_up(Side& side, const Boxes& boxes, bool keep_zoom) {
  const auto o = side.axis->orientation();
  const auto& axis = model(side);
  const auto [least, most] = home_of(chart_, boxes, o, logarithmic(o));
  const bool zoomed = keep_zoom && side.axis->range() != side.home;
  side.home = {least, most};
  const bool names = !axis.categories.empty();
  {
    const QSignalBlocker quiet(side.axis);  // a range that made sense may be out of reach on the new scale
    side.axis->setScaleType(logarithmic(o) ? QCPAxis::stLogarithmic : QCPAxis::stLinear);
    if (!zoomed || !in_reach(side, side.axis->range())) side.axis->setRange(side.home);
  }
  side.axis->setRangeReversed(names && o == Qt::Vertical);
  side.axis->setLabel(QString::fromStdString(axis.title));
  side.axis->setSubTicks(logarithmic(o));
  side.axis->grid()->setVisible(!names);
  QList<QCPAxis*> numeric;
  for (const auto& s : sides_)
    if (model(s).categories.empty()) numeric.append(s.axis);
  axisRect()->setRangeDragAxes(numeric);
  axisRect()->setRangeZoomAxes(numeric);
}

void Figure::set_up_colour_scale() {
  if (has_cells(chart_) && !colour_scale_) {
    colour_scale_ = new QCPColorScale(this);
    plotLayout()->addElement(1, 1, colour_scale_);
    colour_scale_->setBarWidth(14);
    colour_scale_->setMinimumMargins({0, 0, margin / 2, 0});
    colour_scale_->setGradient(heat_gradient());
    colour_scale_->setRangeDrag(false);
    colour_scale_->setRangeZoom(false);
    colour_scale_->setMarginGroup(QCP::msTop | QCP::msBottom, margins_);
    colour_scale_->axis()->setSubTicks(false);
    colour_scale_->axis()->setTicker(QSharedPointer<LinearTicker>::create());
  } else if (!has_cells(chart_) && colour_scale_) {
    plotLayout()->remove(colour_scale_);
    plotLayout()->simplify();
    colour_scale_ = nullptr;
  }
  if (!colour_scale_) return;
  const auto heat = heat_of(chart_);
  colour_scale_->setDataRange({heat.least, heat.most});
  colour_scale_->setLabel(QString::fromStdString(chart_.colour_title));
}

bool Figure::in_reach(const Side& side, const QCPRange& range) const {
  const bool log = side.axis->scaleType() == QCPAxis::stLogarithmic;
  if (log && range.lower <= 0) return false;
  const auto length = [=](const QCPRange& r) { return log ? std::log(r.upper / r.lower) : r.size(); };
  const double zoomed = length(range) / length(side.home);
  return zoomed >= closest && zoomed <= farthest && range.lower < side.home.upper && range.upper > side.home.lower;
}

void Figure::set_hidden(const std::string& series, bool hidden) {
  if (hidden) shown_.hidden.insert(series);
  else shown_.hidden.erase(series);
  rebuild(true);
}

void Figure::set_logarithmic(Qt::Orientation o, bool on) {
  (o == Qt::Horizontal ? shown_.log_x : shown_.log_y) = on;
  auto& side = sides_[o == Qt::Horizontal ? 0 : 1];
  side.axis->setRange(side.home);
  rebuild(true);
}

void Figure::set_selected(const std::string& key) {
  selected_ = key;
  const bool known = std::any_of(drawn_.begin(), drawn_.end(), [&](const auto* s) { return s->knows(key); });
  for (auto* s : drawn_) s->set_selected(known ? key : std::string());
  replot(rpQueuedReplot);
}

void Figure::set_band(std::optional<QCPRange> band) {
  band_->setVisible(band.has_value());
  if (band) {
    band_->topLeft->setCoords(band->lower, 0);
    band_->bottomRight->setCoords(band->upper, 1);
  }
  replot(rpQueuedReplot);
}

void Figure::set_colours(const QPalette& palette) {
  const auto text = palette.color(QPalette::Text), ground = palette.color(QPalette::Base), accent = palette.color(QPalette::Highlight);
  auto small = font();
  small.setPointSizeF(font().pointSizeF() * 0.9);
  setBackground(QBrush(ground));
  for (const auto& side : sides_) {
    paint_axis(side.axis, font(), small, text);
    if (!model(side).categories.empty()) side.axis->setTickPen(Qt::NoPen);  // without ticks QCustomPlot draws no labels
  }
  if (colour_scale_) paint_axis(colour_scale_->axis(), font(), small, text);
  header_->set_look(small, text);
  guides_->set_look(small, text, ground);
  band_->setPen(QPen(faded(accent, 0.7), 1));
  band_->setBrush(faded(accent, 0.18));
  const auto heat = heat_of(chart_);
  for (std::size_t i = 0; i < drawn_.size(); ++i) {
    const int own = chart_.series[i].colour;
    drawn_[i]->set_colours({series_colour(own >= 0 ? own : static_cast<int>(i), is_dark(palette)), text, ground, {heat.least, heat.most}});
  }
  replot(rpQueuedReplot);
}

void Figure::reset_zoom() {
  for (const auto& side : sides_) side.axis->setRange(side.home);
  replot(rpQueuedReplot);
}

void Figure::zoom(double factor) {
  for (const auto& side : sides_)
    if (model(side).categories.empty())
      side.axis->scaleRange(factor, side.axis->pixelToCoord(side.axis == xAxis ? axisRect()->center().x() : axisRect()->center().y()));
  replot(rpQueuedReplot);
}

void Figure::pan(double right, double up) {
  const auto move = [this](const Side& side, double from, double to) {
    if (model(side).categories.empty()) side.axis->setRange({side.axis->pixelToCoord(from), side.axis->pixelToCoord(to)});
  };
  const QRectF moved = QRectF(axisRect()->rect()).translated(right * axisRect()->width(), -up * axisRect()->height());
  move(sides_[0], moved.left(), moved.right());
  move(sides_[1], moved.bottom(), moved.top());
  replot(rpQueuedReplot);
}

QSize Figure::room_of(QSize size) const {
  const int line = QFontMetrics(font()).height();
  return {std::max(1, size.width() - 6 * line - (colour_scale_ ? 5 * line : 0)), std::max(1, size.height() - 3 * line - header_->height() - 2 * margin)};
}

int Figure::rows_that_fit() const { return std::max(1, room_of(viewport().size()).height() / (QFontMetrics(yAxis->tickLabelFont()).height() + 2)); }

void Figure::set_first_row(int row) {
  first_row_ = row;
  replot(rpQueuedReplot);
}

void Figure::fit(QSize size, bool all_rows) {
  for (const auto& side : sides_) fit_ticks(side, size);
  if (rows() > 0) {
    const int seen = all_rows ? rows() : std::min(rows(), rows_that_fit());
    first_row_ = std::clamp(first_row_, 0, rows() - seen);
    const double top = (all_rows ? 0 : first_row_) - 0.5;
    const QSignalBlocker quiet(yAxis);
    yAxis->setRange(top, top + seen);
  }
  axisRect()->setMinimumMargins({margin, margin + guides_->height_above(), colour_scale_ ? margin / 2 : 2 * margin, margin});
}

void Figure::fit_ticks(const Side& side, QSize size) {
  const bool across = side.axis == xAxis;
  const QFontMetrics metrics(side.axis->tickLabelFont());
  const int number = across ? metrics.horizontalAdvance(QStringLiteral("0000")) : metrics.height();  // what one takes
  const int length = across ? room_of(size).width() : room_of(size).height();
  const auto& names = model(side).categories;
  QSharedPointer<QCPAxisTicker> ticker;
  if (!names.empty()) {
    const int each = std::max(length / static_cast<int>(names.size()), 2 * number);
    ticker = QSharedPointer<CategoryTicker>::create(names, side.axis->tickLabelFont(), across ? each - 4 : size.width() * 3 / 10);
    ticker->setTickCount(std::max(1, across ? length / each : static_cast<int>(names.size())));
  } else if (side.axis->scaleType() == QCPAxis::stLogarithmic) {
    ticker = QSharedPointer<LogTicker>::create();
    ticker->setTickCount(std::max(2, length * 10 / (number * 12)));
  } else {
    ticker = QSharedPointer<LinearTicker>::create();
    ticker->setTickCount(std::clamp(length / (number * 2), 2, 9));
  }
  side.axis->setTicker(ticker);
}

std::optional<MarkIndex> Figure::mark_at(const QPointF& at) const {
  if (!axisRect()->rect().contains(at.toPoint())) return {};
  std::optional<MarkIndex> nearest;
  double least = reach;
  for (std::size_t s = 0; s < drawn_.size(); ++s)
    for (std::size_t m = 0; drawn_[s]->visible() && m < chart_.series[s].marks.size(); ++m)
      if (const double d = drawn_[s]->distance(m, at); d <= least) {  // of two at one place the one drawn last
        least = d;
        nearest = {s, m};
      }
  return nearest;
}

std::optional<MarkIndex> Figure::mark_of(const std::string& key) const {
  for (std::size_t s = 0; s < drawn_.size(); ++s)
    for (std::size_t m = 0; drawn_[s]->visible() && m < chart_.series[s].marks.size(); ++m)
      if (chart_.series[s].marks[m].key == key) return MarkIndex{s, m};
  return {};
}

std::optional<QPoint> Figure::middle_of(const MarkIndex& i) const {
  if (!drawn_[i.series]->visible()) return {};
  const auto place = drawn_[i.series]->pixels(i.mark);
  const QRectF plot = axisRect()->rect();
  if (const auto seen = place & plot; !seen.isEmpty()) return seen.center().toPoint();
  if (plot.contains(place.center())) return place.center().toPoint();
  return {};
}

QString Figure::shortened_name_at(const QPointF& at) const {
  for (const auto& side : sides_) {
    const auto& names = model(side).categories;
    if (names.empty() || side.axis->getPartAt(at) != QCPAxis::spTickLabels) continue;
    const auto index = static_cast<std::size_t>(std::max(0.0, std::round(side.axis->pixelToCoord(side.axis == xAxis ? at.x() : at.y()))));
    if (index >= names.size()) continue;
    const auto name = QString::fromStdString(names[index]);
    return side.axis->tickVectorLabels().contains(name) ? QString() : name;
  }
  return {};
}

void Figure::on_paper(const QPalette& palette, const std::function<void(QSize)>& draw) {
  header_->set_title(QString::fromStdString(chart_.title));
  set_colours(palette);
  const int hidden_rows = std::max(0, rows() - rows_that_fit());
  const auto paper = size().expandedTo({640, 400}) + QSize(0, hidden_rows * (QFontMetrics(yAxis->tickLabelFont()).height() + 2));
  fit(paper, true);
  draw(paper);
  header_->set_title({});
  set_colours(this->palette());
}

}  // namespace fathom::gui
