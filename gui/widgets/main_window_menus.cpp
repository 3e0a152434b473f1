// The window's actions: all of them stand in a menu, so that the command palette finds them.
#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QMenuBar>
#include <QMessageBox>
#include <QSettings>
#include <QShortcut>
#include <QStatusBar>
#include <QToolBar>

#include "gui/models/examples.h"
#include "gui/models/glossary.h"
#include "gui/widgets/command_palette.h"
#include "gui/widgets/main_window.h"
#include "gui/widgets/save_dialog.h"

namespace fathom::gui {
namespace {

// Which phase is shown must be seen in every theme.
const auto phase_style = QStringLiteral(
    "QToolButton { padding: 3px 10px; border: 1px solid palette(mid); border-radius: 3px; margin-right: 4px }"
    "QToolButton:checked { background: palette(highlight); color: palette(highlighted-text); border-color: palette(highlight) }");

}  // namespace

QAction* MainWindow::add_action(QMenu& menu, const QString& text, const QKeySequence& keys, const std::function<void()>& run) {
  auto* action = menu.addAction(text);
  action->setShortcut(keys);
  connect(action, &QAction::triggered, this, run);
  return action;
}

void MainWindow::make_menus() {
  make_file_menu();
  make_edit_menu();
  make_view_menu();
  make_help_menu();
}

void MainWindow::make_file_menu() {
  auto& menu = *menuBar()->addMenu(QStringLiteral("&File"));
  add_action(menu, QStringLiteral("&New"), QKeySequence::New, [this] { start_new({}); });
  auto& from_example = *menu.addMenu(QStringLiteral("New from &example"));
  for (const auto& e : examples()) add_action(from_example, QString::fromStdString(e.name), {}, [this, text = e.text] { start_new(text); });
  add_action(menu, QStringLiteral("&Open…"), QKeySequence::Open, [this] { choose_and_open(); });
  recent_ = menu.addMenu(QStringLiteral("Open &recent"));
  connect(recent_, &QMenu::aboutToShow, this, &MainWindow::fill_recent);
  fill_recent();
  menu.addSeparator();
  add_action(menu, QStringLiteral("&Save"), QKeySequence::Save, [this] { save(); });
  add_action(menu, QStringLiteral("Save &as…"), QKeySequence::SaveAs, [this] { choose_and_save(); });
  menu.addSeparator();
  add_action(menu, QStringLiteral("&Export report…"), QKeySequence(QStringLiteral("Ctrl+E")), [this] { choose_report(); });
  menu.addSeparator();
  add_action(menu, QStringLiteral("&Quit"), QKeySequence(QStringLiteral("Ctrl+Q")), [this] { close(); });
}

void MainWindow::fill_recent() {
  recent_->clear();
  for (const auto& path : recent_files()) connect(recent_->addAction(path), &QAction::triggered, this, [this, path] { open(path); });
  recent_->setEnabled(!recent_->isEmpty());
}

void MainWindow::choose_report() {
  const auto path = ask_where_to_save(this, QStringLiteral("Export report"), QStringLiteral("report"),
                                      {QStringLiteral("PDF (*.pdf)"), QStringLiteral("HTML page (*.html)"), QStringLiteral("Markdown (*.md)"),
                                       QStringLiteral("CSV, one line (*.csv)"), QStringLiteral("JSON (*.json)")});
  if (!path.isEmpty() && told([&] { write_report(path); })) statusBar()->showMessage(QStringLiteral("Wrote %1").arg(path), message_ms);
}

void MainWindow::copy_command() {
  if (!answer_->scenario) return statusBar()->showMessage(QStringLiteral("A scenario with problems has no command"), message_ms);
  QApplication::clipboard()->setText(command());
  statusBar()->showMessage(QStringLiteral("Copied: %1").arg(command()), message_ms);
}

void MainWindow::make_edit_menu() {
  auto& menu = *menuBar()->addMenu(QStringLiteral("&Edit"));
  auto* undo = document_.undo().createUndoAction(this, QStringLiteral("&Undo"));
  undo->setShortcut(QKeySequence::Undo);
  auto* redo = document_.undo().createRedoAction(this, QStringLiteral("&Redo"));
  redo->setShortcuts({QKeySequence(QStringLiteral("Ctrl+Shift+Z")), QKeySequence(QStringLiteral("Ctrl+Y"))});
  menu.addActions({undo, redo});
  menu.addSeparator();
  add_action(menu, QStringLiteral("Copy as command &line"), QKeySequence(QStringLiteral("Ctrl+Shift+C")), [this] { copy_command(); });
  add_action(menu, QStringLiteral("Add to &comparison"), QKeySequence(QStringLiteral("Ctrl+D")), [this] { views_.add_to_comparison(document_.name()); });
  add_action(menu, QStringLiteral("Clear comparison"), {}, [this] { views_.clear_comparison(); });
}

void MainWindow::make_view_menu() {
  auto& menu = *menuBar()->addMenu(QStringLiteral("&View"));
  auto* bar = addToolBar(QStringLiteral("Phase"));
  bar->setObjectName(QStringLiteral("phase_bar"));
  bar->setAccessibleName(QStringLiteral("Phase that the views show"));
  bar->setMovable(false);
  bar->setStyleSheet(phase_style);
  auto* phases = new QActionGroup(this);
  for (const auto phase : {PhaseName::prefill, PhaseName::decode}) {
    const bool prefill = phase == PhaseName::prefill;
    auto* action = add_action(menu, prefill ? QStringLiteral("&Prefill") : QStringLiteral("&Decode"),
                              QKeySequence(prefill ? QStringLiteral("Ctrl+1") : QStringLiteral("Ctrl+2")), [this, phase] { views_.show_phase(phase); });
    action->setCheckable(true);
    action->setChecked(phase == views_.phase());
    action->setToolTip(QStringLiteral("Show the %1 step in the views").arg(prefill ? QStringLiteral("prefill") : QStringLiteral("decode")));
    phases->addAction(action);
    bar->addAction(action);
  }
  menu.addSeparator();
  auto& views = *menu.addMenu(QStringLiteral("&Show"));
  int number = 0;  // Alt+1 to Alt+9
  for (const auto* dock : views_.docks()) {
    const auto keys = ++number <= 9 ? QKeySequence(QStringLiteral("Alt+%1").arg(number)) : QKeySequence();
    add_action(views, dock->windowTitle(), keys, [this, id = dock->objectName()] { views_.show(id); });
  }
  add_action(menu, QStringLiteral("&Reset layout"), {}, [this] { views_.arrange(); });
  auto& themes = *menu.addMenu(QStringLiteral("&Theme"));
  auto* theme_group = new QActionGroup(this);
  const auto now = QSettings().value(QStringLiteral("theme"), 0).toInt();
  for (const auto& [theme, name] : {std::pair{Theme::system, "System"}, {Theme::light, "Light"}, {Theme::dark, "Dark"}}) {
    auto* action = add_action(themes, QString::fromLatin1(name), {}, [this, theme = theme] { set_theme(theme); });
    action->setCheckable(true);
    action->setChecked(static_cast<int>(theme) == now);
    theme_group->addAction(action);
  }
  menu.addSeparator();
  add_action(menu, QStringLiteral("&Commands…"), QKeySequence(QStringLiteral("Ctrl+K")), [this] { show_palette(); });
}

void MainWindow::show_palette() {
  CommandPalette palette(actions_of(*menuBar()), this);
  palette.move(mapToGlobal(QPoint((width() - palette.width()) / 2, 60)));
  palette.exec();
}

void MainWindow::make_help_menu() {
  auto& menu = *menuBar()->addMenu(QStringLiteral("&Help"));
  add_action(menu, QStringLiteral("&Glossary and formulas"), QKeySequence::HelpContents, [this] { show_help(); });
  add_action(menu, QStringLiteral("&About Fathom"), {},
             [this] { QMessageBox::about(this, QStringLiteral("About Fathom"), QString::fromStdString(about_html())); });
}

void MainWindow::show_help() {
  if (!help_) {
    help_ = new QTextBrowser(this);
    help_->setWindowFlag(Qt::Window);
    help_->setObjectName(QStringLiteral("help"));
    help_->setAccessibleName(QStringLiteral("Glossary and formulas"));
    help_->setWindowTitle(QStringLiteral("Fathom: glossary and formulas"));
    help_->setHtml(QString::fromStdString(help_html()));
    help_->resize(760, 720);
    connect(new QShortcut(Qt::Key_Escape, help_), &QShortcut::activated, help_, &QWidget::close);
  }
  help_->show();
  help_->raise();
  help_->activateWindow();
}

}  // namespace fathom::gui
