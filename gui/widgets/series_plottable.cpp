#include "gui/widgets/series_plottable.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

constexpr std::size_t too_many_discs = 40;  // on a line
constexpr double dimmed = 0.5;
constexpr double cross = 7;  // pixels across

bool finite(const QPointF& p) { return std::isfinite(p.x()) && std::isfinite(p.y()); }

QColor ink_on(const QColor& c) { return qGray(c.rgb()) > 140 ? QColor(0x1f2328) : QColor(Qt::white); }

QPen line_pen(const QColor& colour, Look look) {
  QPen pen(colour, 2, Qt::SolidLine, Qt::FlatCap, Qt::RoundJoin);
  if (look == Look::dashed) pen.setDashPattern({4, 3});
  return pen;
}

bool crosses(const QLineF& line, const QRectF& r) {
  if (r.contains(line.p1()) || r.contains(line.p2())) return true;
  const std::array<QLineF, 2> diagonals{QLineF(r.topLeft(), r.bottomRight()), QLineF(r.topRight(), r.bottomLeft())};
  return std::any_of(diagonals.begin(), diagonals.end(), [&](const QLineF& d) { return line.intersects(d, nullptr) == QLineF::BoundedIntersection; });
}

QRectF around(const QPointF& middle, double size) { return {middle.x() - size / 2, middle.y() - size / 2, size, size}; }

}  // namespace

SeriesPlottable::SeriesPlottable(QCPAxis* x, QCPAxis* y, const Series& series, std::vector<QRectF> boxes)
    : QCPAbstractPlottable(x, y), series_(series), boxes_(std::move(boxes)) {
  setName(QString::fromStdString(series.name));
}

bool SeriesPlottable::knows(const std::string& key) const {
  return std::any_of(series_.marks.begin(), series_.marks.end(), [&](const Mark& m) { return m.key == key; });
}

double SeriesPlottable::disc() const {
  if (series_.look == Look::points) return 8;
  return is_line() && series_.marks.size() < too_many_discs ? 5 : 0;
}

QColor SeriesPlottable::fill(const Mark& m) const {
  if (series_.look != Look::cells) return colours_.series;
  return std::isfinite(m.size) ? heat_colour((m.size - colours_.heat.lower) / colours_.heat.size()) : QColor(Qt::transparent);
}

double SeriesPlottable::opacity(const std::string& key) const { return selected_.empty() || key == selected_ ? 1 : dimmed; }

bool SeriesPlottable::is_missing(std::size_t mark) const { return is_line() && std::isnan(boxes_[mark].y()); }

QRectF SeriesPlottable::pixels(std::size_t mark) const {
  const auto& box = boxes_[mark];
  const QPointF first = coordsToPixels(box.left(), box.top()), last = coordsToPixels(box.right(), box.bottom());
  if (is_missing(mark)) return around({first.x(), clipRect().bottom() - cross}, cross);
  if (!is_boxes()) return around(first, disc());
  auto r = QRectF(first, last).normalized();
  if (r.width() < 1) r.setWidth(1);  // what takes next to no time is still there
  return r;
}

double SeriesPlottable::distance(std::size_t mark, const QPointF& pixel) const {
  const auto r = pixels(mark);
  if (!is_boxes()) return QLineF(pixel, r.center()).length();
  return std::hypot(std::max({r.left() - pixel.x(), 0.0, pixel.x() - r.right()}), std::max({r.top() - pixel.y(), 0.0, pixel.y() - r.bottom()}));
}

bool SeriesPlottable::covers(const QRectF& place) const {
  for (std::size_t i = 0; i < boxes_.size(); ++i)
    if (pixels(i).intersects(place) || place.contains(pixels(i).center())) return true;
  if (!is_line()) return false;
  for (const auto& run : runs())
    for (qsizetype i = 1; i < run.size(); ++i)
      if (crosses({run[i - 1], run[i]}, place)) return true;
  return false;
}

std::vector<QPolygonF> SeriesPlottable::runs() const {
  std::vector<std::size_t> order(boxes_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return boxes_[a].x() < boxes_[b].x(); });
  std::vector<QPolygonF> out(1);
  for (const auto i : order) {
    const auto at = coordsToPixels(boxes_[i].x(), boxes_[i].y());
    if (finite(at)) out.back().append(at);
    else if (!out.back().isEmpty()) out.emplace_back();
  }
  return out;
}

void SeriesPlottable::draw(QCPPainter* p) {
  if (is_line()) draw_line(p);
  if (is_boxes()) draw_boxes(p);
  else draw_discs(p);
  draw_missing(p);
  p->setOpacity(1);
  draw_selected(p);
}

void SeriesPlottable::draw_line(QCPPainter* p) const {
  p->setAntialiasing(true);
  p->setOpacity(selected_.empty() || knows(selected_) ? 1 : dimmed);
  p->setPen(line_pen(colours_.series, series_.look));
  p->setBrush(Qt::NoBrush);
  for (const auto& run : runs()) p->drawPolyline(run);
}

void SeriesPlottable::draw_discs(QCPPainter* p) const {
  if (disc() == 0) return;
  p->setAntialiasing(true);
  p->setPen(is_line() ? QPen(Qt::NoPen) : QPen(colours_.ground, 1));  // keeps discs that overlap apart
  p->setBrush(colours_.series);
  for (std::size_t i = 0; i < boxes_.size(); ++i) {
    if (is_missing(i) || !finite(pixels(i).center())) continue;
    p->setOpacity(opacity(series_.marks[i].key));
    p->drawEllipse(pixels(i).adjusted(-0.5, -0.5, 0.5, 0.5));
  }
}

void SeriesPlottable::draw_missing(QCPPainter* p) const {
  p->setAntialiasing(true);
  p->setPen(QPen(colours_.series, 1.5));
  for (std::size_t i = 0; i < boxes_.size(); ++i) {
    if (!is_missing(i)) continue;
    const auto r = pixels(i);
    p->setOpacity(opacity(series_.marks[i].key));
    p->drawLine(r.topLeft(), r.bottomRight());
    p->drawLine(r.topRight(), r.bottomLeft());
  }
}

void SeriesPlottable::draw_boxes(QCPPainter* p) const {
  p->setAntialiasing(false);
  p->setFont(valueAxis()->tickLabelFont());
  const auto seen = QRectF(clipRect()).adjusted(-4, -4, 4, 4);  // coordinates far outside overflow
  const bool apart = series_.look != Look::cells;
  for (std::size_t i = 0; i < boxes_.size(); ++i) {
    auto box = pixels(i);
    if (!box.intersects(seen)) continue;
    if (apart && box.width() > 3) box.setRight(box.right() - 1);
    box &= seen;
    const auto& mark = series_.marks[i];
    p->setOpacity(opacity(mark.key));
    p->fillRect(box, fill(mark));
    if (series_.look == Look::spans) draw_label(p, box & QRectF(clipRect()), mark);
  }
}

void SeriesPlottable::draw_label(QCPPainter* p, const QRectF& box, const Mark& m) const {
  const auto room = box.adjusted(4, 0, -4, 0);
  const auto text = QString::fromStdString(m.tip.substr(0, m.tip.find('\n')));
  const auto shown = p->fontMetrics().elidedText(text, Qt::ElideRight, static_cast<int>(room.width()));
  if (room.height() < p->fontMetrics().height() || shown.size() < std::min<qsizetype>(7, text.size())) return;
  p->setPen(ink_on(fill(m)));
  p->drawText(room, Qt::AlignVCenter | Qt::AlignLeft | Qt::TextSingleLine, shown);
}

void SeriesPlottable::draw_selected(QCPPainter* p) const {
  if (selected_.empty()) return;
  p->setPen(QPen(colours_.text, 2));
  p->setBrush(Qt::NoBrush);
  p->setAntialiasing(!is_boxes());
  for (std::size_t i = 0; i < boxes_.size(); ++i) {
    if (series_.marks[i].key != selected_ || !finite(pixels(i).center())) continue;
    if (is_boxes()) p->drawRect(pixels(i) & QRectF(clipRect()).adjusted(-4, -4, 4, 4));
    else p->drawEllipse(around(pixels(i).center(), 14));
  }
}

void SeriesPlottable::draw_icon(QPainter* p, const QRectF& r) const {
  p->setRenderHint(QPainter::Antialiasing, !is_boxes());
  p->setPen(is_line() ? line_pen(colours_.series, series_.look) : QPen(Qt::NoPen));
  p->setBrush(colours_.series);
  if (is_line()) p->drawLine(QPointF(r.left(), r.center().y()), QPointF(r.right(), r.center().y()));
  else if (series_.look == Look::points) p->drawEllipse(around(r.center(), 8));
  else p->drawRect(around(r.center(), 10));
}

}  // namespace fathom::gui
