// Every action of the window by a few letters of its name.
#pragma once

#include <QAction>
#include <QDialog>
#include <QLineEdit>
#include <QListWidget>

namespace fathom::gui {

// "ex pdf" finds "Export report": every word begins somewhere in the text, case ignored.
bool matches(const QString& typed, const QString& text);

class CommandPalette : public QDialog {
  Q_OBJECT

 public:
  // Offers the enabled actions, of menus with the menu's name before it; the chosen one is triggered when the dialog has closed.
  CommandPalette(const QList<QAction*>& actions, QWidget* parent);

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void filter();
  void choose();

  QLineEdit typed_;
  QListWidget list_;
  QList<QAction*> actions_;
};

// All actions of a menu bar, those of submenus included.
QList<QAction*> actions_of(const QWidget& menu_bar);
// "File: Export report".
QString full_name(const QAction& action);

}  // namespace fathom::gui
