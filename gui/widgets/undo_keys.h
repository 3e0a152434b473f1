// Fields leave undo to the window, whose document undoes texts and fields alike.
#pragma once

#include <QKeyEvent>

namespace fathom::gui {

inline bool is_undo(const QKeyEvent& e) { return e.matches(QKeySequence::Undo) || e.matches(QKeySequence::Redo); }

// For a field's event(): true for the question whether it wants the undo keys for itself. It does not.
inline bool leaves_undo(QEvent& e) {
  if (e.type() != QEvent::ShortcutOverride || !is_undo(static_cast<QKeyEvent&>(e))) return false;
  e.ignore();
  return true;
}

}  // namespace fathom::gui
