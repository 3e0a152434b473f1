// Colours of charts and diagrams, and the themes of the app.
#pragma once

#include <QColor>
#include <QPalette>

namespace fathom::gui {

enum class Theme : unsigned char { system, light, dark };

// Colour `index` of Okabe and Ito's palette for colour-blind readers (jfly.uni-koeln.de/color), made lighter on a dark ground.
// From 8 on the same colours again, paler; all repeats after 16.
QColor series_colour(int index, bool dark);
// A perceptually even scale for heat maps, 0 to 1 (dark to light, legible in grey).
QColor heat_colour(double share);
// The application's palette (style Fusion) of a theme.
QPalette palette_of(Theme);
bool is_dark(const QPalette&);

}  // namespace fathom::gui
