// A diagram as items of a scene.
#pragma once

#include <QFont>
#include <QPalette>

#include "gui/models/diagram.h"

class QGraphicsItem;
class QGraphicsScene;

namespace fathom::gui {

struct DiagramStyle {
  QPalette palette;
  QFont font;
};

// Fills an empty scene. selected: a node, set off with its edges; -1: none.
void draw(QGraphicsScene&, const Diagram&, const DiagramStyle&, int selected);
int node_of(const QGraphicsItem*);  // -1: it belongs to none

}  // namespace fathom::gui
