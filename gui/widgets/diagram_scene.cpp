#include "gui/widgets/diagram_scene.h"

#include <QCursor>
#include <QFontMetricsF>
#include <QGraphicsScene>
#include <QGraphicsSimpleTextItem>
#include <QPen>

#include <algorithm>
#include <cmath>

#include "gui/widgets/palette.h"

namespace fathom::gui {
namespace {

constexpr int node_data = 0;  // QGraphicsItem::data of a box: its node
constexpr double padding = 9, stripe = 4, radius = 5, arrow_length = 7, frame_padding = 12;
enum Depth : int { frame_depth, edge_depth, chosen_edge_depth, note_depth, box_depth };

QString text_of(const std::string& s) { return QString::fromStdString(s); }

QColor mixed(const QColor& a, const QColor& b, double share) {
  const auto mix = [&](int x, int y) { return static_cast<int>(std::lround(x + share * (y - x))); };
  return {mix(a.red(), b.red()), mix(a.green(), b.green()), mix(a.blue(), b.blue())};
}

class Drawer {
 public:
  Drawer(QGraphicsScene& scene, const Diagram& diagram, const DiagramStyle& style, int selected)
      : scene_(scene),
        diagram_(diagram),
        selected_(selected),
        base_(style.palette.color(QPalette::Base)),
        ink_(style.palette.color(QPalette::Text)),
        accent_(style.palette.color(QPalette::Highlight)),
        label_font_(style.font),
        small_font_(style.font),
        title_font_(style.font) {
    label_font_.setWeight(QFont::DemiBold);
    title_font_.setWeight(QFont::DemiBold);
    title_font_.setPointSizeF(style.font.pointSizeF() * 1.15);
    small_font_.setPointSizeF(style.font.pointSizeF() * 0.88);
    measure();
  }

  void draw() {
    scene_.setBackgroundBrush(base_);
    for (const auto& f : diagram_.frames) add_frame(f);
    for (const auto& e : diagram_.edges) add_edge(e);
    for (std::size_t n = 0; n < diagram_.nodes.size(); ++n) add_node(static_cast<int>(n));
    const auto all = scene_.itemsBoundingRect();
    auto* title = add_text(text_of(diagram_.title), title_font_, ink_);
    title->setPos(all.left(), all.top() - title->boundingRect().height() - padding);
    scene_.setSceneRect(scene_.itemsBoundingRect().adjusted(-16, -12, 16, 16));
  }

 private:
  void measure();
  void add_frame(const Frame&);
  void add_node(int index);
  void add_edge(const Edge&);
  void add_edge_note(const Edge&, const std::vector<QPointF>& points, const QPainterPath&);

  QGraphicsSimpleTextItem* add_text(const QString& text, const QFont& font, const QColor& colour, QGraphicsItem* parent = nullptr) {
    auto* item = new QGraphicsSimpleTextItem(text, parent);
    item->setFont(font);
    item->setBrush(colour);
    if (!parent) scene_.addItem(item);
    return item;
  }
  // Small words that lie on a line, on a ground of their own.
  QGraphicsItem* add_note(const std::string& text) {
    auto* note = add_text(text_of(text), small_font_, muted());
    note->setZValue(note_depth);
    auto* ground = new QGraphicsRectItem(note->boundingRect().adjusted(-3, 0, 3, 0), note);
    ground->setPen(Qt::NoPen);
    ground->setBrush(base_);
    ground->setFlag(QGraphicsItem::ItemStacksBehindParent);
    return note;
  }
  [[nodiscard]] QPointF at(const Place& p) const { return {p.x * box_.width(), p.y * box_.height()}; }
  // Where a line that comes from or goes to `other` meets the box: at a side if both are in one row, else above or below.
  [[nodiscard]] QPointF port(const Place& box, const Place& other) const {
    const auto centre = at(box);
    if (box.y == other.y) return centre + QPointF(std::copysign(box_.width() / 2, other.x - box.x), 0);
    return centre + QPointF(0, std::copysign(box_.height() / 2, other.y - box.y));
  }
  [[nodiscard]] std::vector<QPointF> points_of(const Edge&) const;
  [[nodiscard]] QColor muted() const { return mixed(base_, ink_, 0.68); }

  QGraphicsScene& scene_;
  const Diagram& diagram_;
  int selected_;
  QColor base_, ink_, accent_;
  QFont label_font_, small_font_, title_font_;
  QSizeF box_;
};

// One size for all boxes, so that the widest text fits.
void Drawer::measure() {
  const QFontMetricsF label(label_font_), small(small_font_);
  double width = 4 * label.height();
  bool details = false;
  for (const auto& n : diagram_.nodes) {
    width = std::max({width, label.horizontalAdvance(text_of(n.label)), small.horizontalAdvance(text_of(n.detail))});
    details = details || !n.detail.empty();
  }
  width += stripe + 2 * padding;
  for (const auto& e : diagram_.edges) width = std::max(width, (small.horizontalAdvance(text_of(e.label)) + 2 * padding) / column_step);
  box_ = {std::ceil(width), std::ceil(label.height() + (details ? small.height() : 0) + 1.2 * padding)};
}

void Drawer::add_frame(const Frame& f) {
  const auto out = QPointF(box_.width() / 2 + frame_padding, box_.height() / 2 + frame_padding);
  QPainterPath path;
  path.addRoundedRect(QRectF(at(f.first) - out, at(f.last) + out), 2 * radius, 2 * radius);
  auto* item = scene_.addPath(path, QPen(mixed(base_, ink_, 0.25), 1));
  item->setZValue(frame_depth);
  auto* label = add_note(f.label);
  label->setPos(path.boundingRect().topLeft() + QPointF(2 * padding, -label->boundingRect().height() / 2));
}

void Drawer::add_node(int index) {
  const auto& n = diagram_.nodes[static_cast<std::size_t>(index)];
  const auto colour = series_colour(n.colour, base_.lightness() < 128);
  const QRectF rect(at(n.at) - QPointF(box_.width(), box_.height()) / 2, box_);
  QPainterPath outline, left;
  outline.addRoundedRect(rect, radius, radius);
  left.addRect(QRectF(rect.topLeft(), QSizeF(stripe, rect.height())));

  const bool chosen = index == selected_;
  auto* box = scene_.addPath(outline, QPen(chosen ? accent_ : mixed(base_, colour, 0.55), chosen ? 2.5 : 1), mixed(base_, colour, chosen ? 0.24 : 0.12));
  box->setZValue(box_depth);
  box->setData(node_data, index);
  box->setToolTip(text_of(n.tip));
  if (!n.key.empty()) box->setCursor(Qt::PointingHandCursor);
  auto* bar = new QGraphicsPathItem(outline.intersected(left), box);
  bar->setPen(Qt::NoPen);
  bar->setBrush(colour);

  auto* label = add_text(text_of(n.label), label_font_, ink_, box);
  auto* detail = add_text(text_of(n.detail), small_font_, muted(), box);
  const double height = label->boundingRect().height() + (n.detail.empty() ? 0 : detail->boundingRect().height());
  label->setPos(rect.left() + stripe + padding, rect.center().y() - height / 2);
  detail->setPos(label->x(), label->y() + label->boundingRect().height());
}

std::vector<QPointF> Drawer::points_of(const Edge& e) const {
  const auto from = diagram_.nodes[e.from].at, to = diagram_.nodes[e.to].at;
  std::vector<QPointF> points{port(from, e.bends.empty() ? to : e.bends.front())};
  std::ranges::transform(e.bends, std::back_inserter(points), [&](const Place& p) { return at(p); });
  points.push_back(port(to, e.bends.empty() ? from : e.bends.back()));
  return points;
}

// Straight along an axis, else an S that begins and ends upright.
QPainterPath path_through(const std::vector<QPointF>& points) {
  QPainterPath path(points.front());
  for (std::size_t i = 1; i < points.size(); ++i) {
    const auto a = points[i - 1], b = points[i];
    const double half_way = (a.y() + b.y()) / 2;
    if (std::abs(a.y() - b.y()) < 0.5 || std::abs(a.x() - b.x()) < 0.5) path.lineTo(b);
    else path.cubicTo({a.x(), half_way}, {b.x(), half_way}, b);
  }
  return path;
}

QPolygonF arrow_head(const QPointF& tip, const QPointF& before) {
  const bool level = std::abs(tip.y() - before.y()) < 0.5;
  const auto along = level ? QPointF(std::copysign(arrow_length, tip.x() - before.x()), 0) : QPointF(0, std::copysign(arrow_length, tip.y() - before.y()));
  const auto across = QPointF(along.y(), along.x()) * 0.5;
  return {{tip, tip - along + across, tip - along - across}};
}

void Drawer::add_edge(const Edge& e) {
  const bool chosen = static_cast<int>(e.from) == selected_ || static_cast<int>(e.to) == selected_;
  const auto colour = chosen ? accent_ : mixed(base_, ink_, 0.42);
  auto points = points_of(e);
  const auto head = arrow_head(points.back(), points[points.size() - 2]);
  if (e.arrow) points.back() = (head[1] + head[2]) / 2;
  const auto path = path_through(points);
  auto* line = scene_.addPath(path, QPen(colour, (chosen ? 2.2 : 1.3) * e.weight, Qt::SolidLine, Qt::FlatCap, Qt::RoundJoin));
  line->setZValue(chosen ? chosen_edge_depth : edge_depth);
  if (e.arrow) {
    auto* tip = new QGraphicsPolygonItem(head, line);
    tip->setPen(Qt::NoPen);
    tip->setBrush(colour);
  }
  if (!e.label.empty()) add_edge_note(e, points, path);
}

// On the last part that runs level, or else in the middle.
void Drawer::add_edge_note(const Edge& e, const std::vector<QPointF>& points, const QPainterPath& path) {
  auto middle = path.pointAtPercent(0.5);
  for (std::size_t i = 1; i < points.size(); ++i)
    if (points[i - 1].y() == points[i].y()) middle = (points[i - 1] + points[i]) / 2;
  auto* note = add_note(e.label);
  note->setPos(middle - note->boundingRect().center());
}

}  // namespace

void draw(QGraphicsScene& scene, const Diagram& diagram, const DiagramStyle& style, int selected) {
  if (diagram.empty.empty()) Drawer(scene, diagram, style, selected).draw();
}

int node_of(const QGraphicsItem* item) {
  const auto index = item ? item->topLevelItem()->data(node_data) : QVariant();
  return index.isValid() ? index.toInt() : -1;
}

}  // namespace fathom::gui
