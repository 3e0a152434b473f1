// Pictures of the window and of each view, for tests and documentation.
#pragma once

#include <QSize>
#include <QString>

#include "gui/widgets/main_window.h"

namespace fathom::gui {

// Writes <folder>/window.png and <folder>/<view>.png once the window shows its answer; `size` is the window's. Throws model_spec::Error{io}.
void take_screenshots(MainWindow& window, const QString& folder, QSize size);

}  // namespace fathom::gui
