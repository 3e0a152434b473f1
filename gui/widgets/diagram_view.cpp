#include "gui/widgets/diagram_view.h"

#include <QApplication>
#include <QClipboard>
#include <QContextMenuEvent>
#include <QGraphicsItem>
#include <QMenu>
#include <QPainter>
#include <QScrollBar>
#include <QWheelEvent>

#include <algorithm>
#include <cmath>
#include <memory>

#include "gui/widgets/diagram_scene.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/picture.h"

namespace fathom::gui {
namespace {

constexpr double least_scale = 0.1, most_scale = 4;
constexpr double readable = 0.6, legible = 0.4, comfortable = 0.85;  // what fits below the first begins at its top

QPointF direction_of(int key) {
  switch (key) {
    case Qt::Key_Left: return {-1, 0};
    case Qt::Key_Right: return {1, 0};
    case Qt::Key_Up: return {0, -1};
    case Qt::Key_Down: return {0, 1};
    default: return {};
  }
}

}  // namespace

DiagramView::DiagramView(QWidget* parent) : QGraphicsView(parent) {
  setObjectName(QStringLiteral("diagram_view"));
  setAccessibleName(QStringLiteral("Diagram"));
  setFrameShape(QFrame::NoFrame);
  setRenderHints(QPainter::Antialiasing | QPainter::TextAntialiasing);
  setTransformationAnchor(AnchorUnderMouse);
  setScene(&scene_);
}

void DiagramView::set_diagram(const Diagram& d) {
  if (d.title != diagram_.title) part_ = Part::beginning;
  diagram_ = d;
  setAccessibleName(QStringLiteral("Diagram: ") + QString::fromStdString(d.title));
  rebuild();
  adjust();
}

void DiagramView::set_selected(const QString& key) {
  if (key == selected_) return;
  selected_ = key;
  rebuild();
}

int DiagramView::selected_node() const {
  const auto found = std::ranges::find(diagram_.nodes, selected_.toStdString(), &Node::key);
  return selected_.isEmpty() || found == diagram_.nodes.end() ? -1 : static_cast<int>(found - diagram_.nodes.begin());
}

void DiagramView::rebuild() {
  scene_.clear();
  scene_.setSceneRect({});
  draw(scene_, diagram_, {palette(), font()}, selected_node());
  setBackgroundBrush(palette().color(QPalette::Base));
  viewport()->update();
}

double DiagramView::fitting_scale() const {
  const auto size = sceneRect().size();
  const auto room = maximumViewportSize();
  return size.isEmpty() ? 1 : std::min({1.0, room.width() / size.width(), room.height() / size.height()});
}

void DiagramView::show_at(double scale, bool from_top) {
  setTransform(QTransform::fromScale(scale, scale));
  centerOn(sceneRect().center().x(), from_top ? sceneRect().top() : sceneRect().center().y());
}

void DiagramView::adjust() {
  const double fitting = fitting_scale();
  const bool too_small = part_ == Part::beginning && fitting < readable;
  if (part_ == Part::chosen) return;
  const double across = maximumViewportSize().width() / std::max(1.0, sceneRect().width());
  show_at(!too_small ? fitting : across >= legible ? std::min(across, comfortable) : comfortable, too_small);
}

void DiagramView::fit() {
  part_ = Part::whole;
  adjust();
}

void DiagramView::zoom(double factor) {
  const double now = transform().m11(), next = std::clamp(now * factor, least_scale, most_scale);
  scale(next / now, next / now);
  part_ = Part::chosen;
}

void DiagramView::select_towards(QPointF direction) {
  const auto& nodes = diagram_.nodes;
  const int from = selected_node();
  int best = -1;
  double least = 0;
  for (int n = 0; n < static_cast<int>(nodes.size()); ++n) {
    const auto& node = nodes[static_cast<std::size_t>(n)];
    if (node.key.empty() || n == from) continue;
    const auto start = from < 0 ? node.at : nodes[static_cast<std::size_t>(from)].at;
    const QPointF way(node.at.x - start.x, node.at.y - start.y);
    const double along = QPointF::dotProduct(way, direction), across = std::abs(QPointF::dotProduct(way, {direction.y(), direction.x()}));
    const double cost = along + 2 * across;
    if ((from >= 0 && along < 1e-6) || (best >= 0 && cost >= least)) continue;
    best = n;
    least = cost;
  }
  if (best < 0) return;
  set_selected(QString::fromStdString(nodes[static_cast<std::size_t>(best)].key));
  for (auto* item : scene_.items())
    if (item->parentItem() == nullptr && node_of(item) == best) ensureVisible(item);
}

Picture DiagramView::picture(const QPalette& palette) const {
  const auto scene = std::make_shared<QGraphicsScene>();
  draw(*scene, diagram_, {palette, font()}, selected_node());
  const auto size = scene->sceneRect().size();
  return {.title = QString::fromStdString(diagram_.title), .size = size, .paint = [scene, size](QPaintDevice& device) {
            QPainter painter(&device);
            painter.setRenderHints(QPainter::Antialiasing | QPainter::TextAntialiasing);
            scene->render(&painter, {{}, size});
          }};
}

bool DiagramView::export_to(const QString& path, QString* error) const {
  const bool as_seen = path.endsWith(QLatin1String(".png"), Qt::CaseInsensitive);
  return write_picture(picture(as_seen ? palette() : palette_of(Theme::light)), path, error);
}

void DiagramView::changeEvent(QEvent* event) {
  QGraphicsView::changeEvent(event);
  const auto type = event->type();
  if (type == QEvent::PaletteChange || type == QEvent::FontChange || type == QEvent::StyleChange) rebuild();
}

void DiagramView::contextMenuEvent(QContextMenuEvent* event) {
  QMenu menu(this);
  menu.addAction(QStringLiteral("&Fit"), this, &DiagramView::fit);
  menu.addSeparator();
  menu.addAction(QStringLiteral("&Copy as picture"), this, [this] { QApplication::clipboard()->setImage(image_of(picture(palette()))); });
  menu.addAction(QStringLiteral("&Export…"), this, [this] {
    const auto path = ask_for_picture(this, QString::fromStdString(diagram_.title));
    QString error;
    if (!path.isEmpty() && !export_to(path, &error)) tell_failure(this, error);
  });
  for (auto* action : menu.actions()) action->setEnabled(diagram_.empty.empty());
  menu.exec(event->globalPos());
}

void DiagramView::keyPressEvent(QKeyEvent* event) {
  const auto direction = direction_of(event->key());
  const bool chooses = std::ranges::any_of(diagram_.nodes, [](const Node& n) { return !n.key.empty(); });
  if (!direction.isNull() && chooses) select_towards(direction);
  else if ((event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter) && selected_node() >= 0) Q_EMIT key_clicked(selected_);
  else if (event->key() == Qt::Key_0) fit();
  else if (event->key() == Qt::Key_Plus) zoom(1.25);
  else if (event->key() == Qt::Key_Minus) zoom(0.8);
  else QGraphicsView::keyPressEvent(event);
}

void DiagramView::mousePressEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton) pressed_ = event->pos();
}

void DiagramView::mouseMoveEvent(QMouseEvent* event) {
  if (!pressed_) {
    QGraphicsView::mouseMoveEvent(event);  // shows the cursor of the item below
    return;
  }
  if (!panned_ && (event->pos() - *pressed_).manhattanLength() < QApplication::startDragDistance()) return;
  const auto by = event->pos() - panned_.value_or(*pressed_);
  panned_ = event->pos();
  part_ = Part::chosen;
  viewport()->setCursor(Qt::ClosedHandCursor);
  horizontalScrollBar()->setValue(horizontalScrollBar()->value() - by.x());
  verticalScrollBar()->setValue(verticalScrollBar()->value() - by.y());
}

void DiagramView::mouseReleaseEvent(QMouseEvent* event) {
  if (event->button() != Qt::LeftButton || !pressed_) return;
  const bool clicked = !panned_;
  pressed_.reset();
  panned_.reset();
  viewport()->unsetCursor();
  const int node = clicked ? node_of(itemAt(event->pos())) : -1;
  if (node < 0 || diagram_.nodes[static_cast<std::size_t>(node)].key.empty()) return;
  set_selected(QString::fromStdString(diagram_.nodes[static_cast<std::size_t>(node)].key));
  Q_EMIT key_clicked(selected_);
}

void DiagramView::mouseDoubleClickEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton) fit();
}

void DiagramView::paintEvent(QPaintEvent* event) {
  QGraphicsView::paintEvent(event);
  if (diagram_.empty.empty()) return;
  QPainter painter(viewport());
  painter.setPen(palette().color(QPalette::PlaceholderText));
  painter.drawText(viewport()->rect().adjusted(24, 24, -24, -24), Qt::AlignCenter | Qt::TextWordWrap, QString::fromStdString(diagram_.empty));
}

void DiagramView::resizeEvent(QResizeEvent* event) {
  QGraphicsView::resizeEvent(event);
  adjust();
}

void DiagramView::wheelEvent(QWheelEvent* event) {
  zoom(std::pow(1.0015, event->angleDelta().y()));
  event->accept();
}

}  // namespace fathom::gui
