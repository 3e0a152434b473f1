#include "gui/widgets/chart_furniture.h"

#include <algorithm>

namespace fathom::gui {
namespace {

constexpr int edge = 8, icon = 18, icon_gap = 6, entry_gap = 16;

QColor with_alpha(QColor c, int alpha) {
  c.setAlpha(alpha);
  return c;
}

}  // namespace

Header::Header(QCustomPlot* plot) : QCPLayoutElement(plot) {}

void Header::set_series(std::vector<SeriesPlottable*> series) {
  series_ = std::move(series);
  if (series_.size() < 2) series_.clear();
}

QFont Header::title_font() const {
  auto font = font_;
  font.setBold(true);
  return font;
}

std::vector<QRect> Header::entries() const {
  const QFontMetrics metrics(font_);
  const int line = metrics.height() + 4, right = mParentPlot->viewport().width() - edge;
  QPoint at(edge, edge / 2 + (title_.isEmpty() ? 0 : QFontMetrics(title_font()).height() + edge / 2));
  std::vector<QRect> out;
  for (const auto* s : series_) {
    const int width = std::min(icon + icon_gap + metrics.horizontalAdvance(s->name()) + 2, right - edge);
    if (at.x() > edge && at.x() + width > right) at = {edge, at.y() + line};
    out.emplace_back(at, QSize(width, line));
    at.rx() += width + entry_gap;
  }
  return out;
}

int Header::height() const {
  if (!series_.empty()) return entries().back().bottom() + 1;
  return title_.isEmpty() ? 0 : QFontMetrics(title_font()).height() + edge;
}

std::optional<std::size_t> Header::entry_at(const QPointF& pixel) const {
  const auto places = entries();
  const auto at = std::find_if(places.begin(), places.end(), [&](const QRect& r) { return r.contains((pixel - mRect.topLeft()).toPoint()); });
  if (at == places.end()) return {};
  return static_cast<std::size_t>(at - places.begin());
}

void Header::draw(QCPPainter* p) {
  p->setPen(text_);
  p->setFont(title_font());
  p->drawText(QRect(mRect.left() + edge, mRect.top() + edge / 2, mRect.width(), QFontMetrics(title_font()).height()), Qt::AlignLeft | Qt::AlignTop, title_);
  p->setFont(font_);
  const auto places = entries();
  for (std::size_t i = 0; i < series_.size(); ++i) {
    const auto place = places[i].translated(mRect.topLeft());
    p->setOpacity(series_[i]->visible() ? 1 : 0.4);
    series_[i]->draw_icon(p, QRectF(place.left(), place.top(), icon, place.height()));
    p->setPen(text_);
    const auto room = place.adjusted(icon + icon_gap, 0, 0, 0);
    p->drawText(room, Qt::AlignVCenter | Qt::AlignLeft | Qt::TextDontClip, QFontMetrics(font_).elidedText(series_[i]->name(), Qt::ElideMiddle, room.width()));
  }
  p->setOpacity(1);
}

Guides::Guides(QCustomPlot* plot) : QCPAbstractItem(plot) {
  setClipToAxisRect(false);
  setSelectable(false);
}

QSizeF Guides::size_of(const Guide& g) const {
  const QFontMetricsF metrics(font_);
  return {metrics.horizontalAdvance(QString::fromStdString(g.text)) + 4, metrics.height()};
}

std::vector<Guides::Placed> Guides::vertical() const {
  const QRectF plot = mParentPlot->axisRect()->rect();
  std::vector<Placed> out;
  for (const auto& g : guides_)
    if (g.vertical && mParentPlot->xAxis->range().contains(g.at)) out.push_back({&g, mParentPlot->xAxis->coordToPixel(g.at), {}, 0});
  std::stable_sort(out.begin(), out.end(), [](const Placed& a, const Placed& b) { return a.at < b.at; });
  std::vector<double> ends;  // of what stands in each row
  for (auto& g : out) {
    const auto size = size_of(*g.guide);
    const double left = std::max<double>(edge, std::min(g.at - size.width() / 2, mParentPlot->viewport().width() - edge - size.width()));
    const auto row = std::find_if(ends.begin(), ends.end(), [=](double end) { return end + edge <= left; });
    g.row = static_cast<int>(row - ends.begin());
    g.text = QRectF(QPointF(left, plot.top() - 3 - (g.row + 1) * size.height()), size);
    if (row == ends.end()) ends.push_back(g.text.right());
    else *row = g.text.right();
  }
  return out;
}

int Guides::height_above() const {
  int rows = 0;
  for (const auto& g : vertical()) rows = std::max(rows, g.row + 1);
  return rows * QFontMetrics(font_).height();
}

void Guides::draw_text(QCPPainter* p, const QRectF& place, const Guide& g) const {
  p->fillRect(place, with_alpha(ground_, 210));
  p->setPen(text_);
  p->drawText(place, Qt::AlignCenter | Qt::TextDontClip, QString::fromStdString(g.text));
}

void Guides::draw(QCPPainter* p) {
  const QRectF plot = mParentPlot->axisRect()->rect();
  const QPen pen(with_alpha(text_, 130), 1, Qt::DashLine);
  p->setFont(font_);
  p->setAntialiasing(false);
  const auto upright = vertical();
  for (const auto& g : upright) {
    p->setPen(pen);
    p->drawLine(QLineF(g.at, plot.bottom(), g.at, g.text.bottom()));
  }
  std::vector<QRectF> taken;
  for (const auto& g : upright) draw_text(p, g.text, *g.guide);
  for (const auto& g : guides_) {
    if (g.vertical || !mParentPlot->yAxis->range().contains(g.at)) continue;
    const double y = mParentPlot->yAxis->coordToPixel(g.at);
    p->setPen(pen);
    p->drawLine(QLineF(plot.left(), y, plot.right(), y));
    draw_horizontal(p, g, taken);
  }
}

// At one end of the line, above or below it: the first place that hides nothing, or else the first inside the plot.
void Guides::draw_horizontal(QCPPainter* p, const Guide& g, std::vector<QRectF>& taken) const {
  const QRectF plot = mParentPlot->axisRect()->rect();
  const double y = mParentPlot->yAxis->coordToPixel(g.at);
  const auto size = size_of(g);
  std::vector<QRectF> places;
  for (const double left : {plot.right() - size.width() - 2, plot.left() + 2})
    for (const double top : {y - size.height() - 1, y + 2})
      if (const QRectF place(QPointF(left, top), size); plot.contains(place)) places.push_back(place);
  if (places.empty()) return;
  const auto covered = [&](const QRectF& place) {
    for (const auto& t : taken)
      if (t.intersects(place)) return true;
    for (int i = 0; i < mParentPlot->plottableCount(); ++i)
      if (const auto* s = dynamic_cast<const SeriesPlottable*>(mParentPlot->plottable(i)); s && s->visible() && s->covers(place)) return true;
    return false;
  };
  const auto free = std::find_if_not(places.begin(), places.end(), covered);
  taken.push_back(free == places.end() ? places.front() : *free);
  draw_text(p, taken.back(), g);
}

}  // namespace fathom::gui
