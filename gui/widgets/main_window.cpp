#include "gui/widgets/main_window.h"

#include <QActionGroup>
#include <QApplication>
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QFileSystemWatcher>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QSettings>
#include <QStatusBar>

#include "gui/models/command_line.h"
#include "gui/models/examples.h"
#include "gui/widgets/report_file.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

constexpr int keep_after_ms = 2000, message_ms = 6000;
constexpr int layout_version = 1;  // of saved docks: a new number forgets the old ones
const auto scenario_filter = QStringLiteral("Scenarios and models (*.toml *.json);;All files (*)");

}  // namespace

MainWindow::MainWindow(const QString& session_folder) : session_(session_folder), views_(*this, document_), answer_(std::make_shared<const Answer>()) {
  setObjectName(QStringLiteral("main_window"));
  setAcceptDrops(true);
  setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks | GroupedDragging);
  setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
  setCentralWidget(&answer_panel_);
  watcher_ = new QFileSystemWatcher(this);
  make_menus();
  connect(&document_, &Document::text_changed, this, &MainWindow::ask);
  connect(&document_, &Document::file_changed, this, &MainWindow::show_title);
  connect(&document_.undo(), &QUndoStack::cleanChanged, this, &MainWindow::show_title);
  connect(&recompute_, &Recompute::answered, this, &MainWindow::take_answer);
  connect(&recompute_, &Recompute::curved, this, [this](const SharedAnswer&, const Curves& curves) {
    views_.show_curves(curves);
    Q_EMIT curved();
  });
  connect(&answer_panel_, &AnswerPanel::asked, &views_, &Views::select);
  connect(watcher_, &QFileSystemWatcher::fileChanged, this, &MainWindow::notice_change);
  keep_timer_.setSingleShot(true);
  keep_timer_.setInterval(keep_after_ms);
  connect(&keep_timer_, &QTimer::timeout, this, &MainWindow::keep);
  restore_layout();
  show_title();
  document_.start_new(examples().front().text);
  if (session_.lost()) QTimer::singleShot(0, this, &MainWindow::recover);
}

void MainWindow::ask() {
  answer_panel_.show_busy(true);
  recompute_.ask(document_.text(), document_.name().toStdString());
  keep_timer_.start();
}

void MainWindow::take_answer(const SharedAnswer& answer) {
  answer_ = answer;
  answer_panel_.show_busy(false);
  answer_panel_.show_answer(answer);
  views_.show_answer(answer);
  Q_EMIT answered();
}

QString MainWindow::command() const { return QString::fromStdString(command_line(*answer_)); }

void MainWindow::show_title() {
  setWindowTitle(QStringLiteral("%1[*] - Fathom").arg(document_.name()));
  setWindowModified(document_.modified());
  setWindowFilePath(document_.path());
}

bool MainWindow::told(const std::function<void()>& work) {
  try {
    work();
    return true;
  } catch (const model_spec::Error& e) {
    QMessageBox::warning(this, QStringLiteral("Fathom"), QString::fromUtf8(e.what()));
    return false;
  }
}

void MainWindow::start_new(const std::string& text) {
  if (!may_discard()) return;
  document_.start_new(text);
  watch();
}

bool MainWindow::open(const QString& path) {
  const auto full = QFileInfo(path).absoluteFilePath();
  if (kind_of(full) == FileKind::model)
    return document_.set("model.name", model_spec::toml_string(full.toStdString()), QStringLiteral("Take model %1").arg(QFileInfo(full).fileName()));
  if (!may_discard() || !told([&] { document_.open(full); })) return false;
  add_recent_file(full);
  watch();
  return true;
}

void MainWindow::choose_and_open() {
  const auto path = QFileDialog::getOpenFileName(this, QStringLiteral("Open"), QFileInfo(document_.path()).path(), scenario_filter);
  if (!path.isEmpty()) open(path);
}

bool MainWindow::save() { return document_.path().isEmpty() ? choose_and_save() : save_as(document_.path()); }

bool MainWindow::save_as(const QString& path) {
  watcher_->removePaths(watcher_->files());  // what we write is no change by others
  const bool saved = told([&] { document_.save(path); });
  watch();
  if (!saved) return false;
  add_recent_file(path);
  session_.forget();
  statusBar()->showMessage(QStringLiteral("Saved %1").arg(path), message_ms);
  return true;
}

bool MainWindow::choose_and_save() {
  auto path = QFileDialog::getSaveFileName(this, QStringLiteral("Save as"), document_.path(), QStringLiteral("Scenarios (*.toml)"));
  if (path.isEmpty()) return false;
  if (QFileInfo(path).suffix().isEmpty()) path += QStringLiteral(".toml");
  return save_as(path);
}

bool MainWindow::may_discard() {
  if (!document_.modified()) return true;
  QMessageBox question(QMessageBox::Question, QStringLiteral("Fathom"), QStringLiteral("%1 has changes that are not saved.").arg(document_.name()),
                       QMessageBox::Save | QMessageBox::Discard | QMessageBox::Cancel, this);
  question.setObjectName(QStringLiteral("unsaved_changes"));
  switch (question.exec()) {
    case QMessageBox::Save: return save();
    case QMessageBox::Discard: return true;
    default: return false;
  }
}

void MainWindow::watch() {
  if (!watcher_->files().isEmpty()) watcher_->removePaths(watcher_->files());
  if (!document_.path().isEmpty()) watcher_->addPath(document_.path());
}

void MainWindow::notice_change() {
  watch();  // a file that was replaced is no longer watched
  if (!document_.changed_on_disk()) return;
  QMessageBox question(QMessageBox::Question, QStringLiteral("Fathom"), QStringLiteral("%1 has changed on disk.").arg(document_.name()), QMessageBox::NoButton,
                       this);
  question.setObjectName(QStringLiteral("changed_on_disk"));
  if (document_.modified()) question.setInformativeText(QStringLiteral("Reloading loses the changes made here; undo does not bring them back."));
  const QAbstractButton* reload = question.addButton(QStringLiteral("Reload"), QMessageBox::AcceptRole);
  question.addButton(QStringLiteral("Keep mine"), QMessageBox::RejectRole);
  question.exec();
  if (question.clickedButton() == reload) told([&] { document_.open(document_.path()); });
}

void MainWindow::recover() {
  const auto lost = session_.lost();
  if (!lost) return;
  document_.recover(lost->text, lost->path);
  watch();
  statusBar()->showMessage(QStringLiteral("Recovered unsaved changes of %1 from a session that ended early").arg(document_.name()));
}

// Autosave: only while there is something to lose.
void MainWindow::keep() {
  if (!document_.modified()) return session_.forget();
  try {
    session_.keep({document_.path(), document_.text()});
  } catch (const model_spec::Error& e) { statusBar()->showMessage(QStringLiteral("Autosave: %1").arg(QString::fromUtf8(e.what()))); }
}

void MainWindow::write_report(const QString& path) {
  write_report_file(path, *answer_, [this] { return views_.pictures(); });
}

void MainWindow::set_theme(Theme theme) {
  QApplication::setPalette(palette_of(theme));
  QSettings().setValue(QStringLiteral("theme"), static_cast<int>(theme));
}

void MainWindow::restore_layout() {
  const QSettings settings;
  resize(1280, 800);
  restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
  restoreState(settings.value(QStringLiteral("docks")).toByteArray(), layout_version);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (!may_discard()) return event->ignore();
  keep_timer_.stop();
  session_.forget();
  QSettings settings;
  settings.setValue(QStringLiteral("geometry"), saveGeometry());
  settings.setValue(QStringLiteral("docks"), saveState(layout_version));
  event->accept();
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
  const auto urls = event->mimeData()->urls();
  if (urls.size() == 1 && urls.front().isLocalFile()) event->acceptProposedAction();
}

void MainWindow::dropEvent(QDropEvent* event) {
  event->acceptProposedAction();
  open(event->mimeData()->urls().front().toLocalFile());
}

}  // namespace fathom::gui
