#include "gui/widgets/main_window.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDragEnterEvent>
#include <QFileDialog>
#include <QFileInfo>
#include <QFileSystemWatcher>
#include <QLineEdit>
#include <QMessageBox>
#include <QMimeData>
#include <QPushButton>
#include <QScreen>
#include <QSettings>
#include <QStatusBar>

#include "gui/models/command_line.h"
#include "gui/models/examples.h"
#include "gui/widgets/report_file.h"
#include "gui/widgets/save_dialog.h"
#include "gui/widgets/undo_keys.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

constexpr int keep_every_ms = 2000, change_after_ms = 200;
constexpr int layout_version = 1;  // of saved docks: a new number forgets the old ones
const auto scenario_filter = QStringLiteral("Scenarios and models (*.toml *.json);;All files (*)");

}  // namespace

MainWindow::MainWindow(const QString& session_folder) : session_(session_folder), views_(*this, document_), answer_(std::make_shared<const Answer>()) {
  setObjectName(QStringLiteral("main_window"));
  setAcceptDrops(true);
  qApp->installEventFilter(this);
  setDockOptions(AnimatedDocks | AllowNestedDocks | AllowTabbedDocks | GroupedDragging);
  setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
  setCentralWidget(&answer_panel_);
  watcher_ = new QFileSystemWatcher(this);
  make_menus();
  connect(&document_, &Document::text_changed, this, &MainWindow::ask);
  connect(&document_, &Document::file_changed, this, &MainWindow::show_title);
  connect(&recompute_, &Recompute::answered, this, &MainWindow::take_answer);
  connect(&recompute_, &Recompute::curved, this, [this](const SharedAnswer&, const Curves& curves) {
    views_.show_curves(curves);
    Q_EMIT curved();
  });
  connect(&answer_panel_, &AnswerPanel::asked, &views_, &Views::explain);
  // Programs write a file in several steps, or put another in its place: the question waits until they are done.
  const auto changing = [this] { change_timer_.start(change_after_ms); };
  connect(watcher_, &QFileSystemWatcher::fileChanged, this, changing);
  connect(watcher_, &QFileSystemWatcher::directoryChanged, this, changing);
  change_timer_.setSingleShot(true);
  connect(&change_timer_, &QTimer::timeout, this, &MainWindow::notice_change);
  keep_timer_.setSingleShot(true);
  connect(&keep_timer_, &QTimer::timeout, this, &MainWindow::keep);
  restore_layout();
  show_title();
  document_.start_new(examples().front().text);
}

void MainWindow::ask() {
  answer_panel_.show_busy(true);
  recompute_.ask(document_.text(), document_.name().toStdString());
  if (!keep_timer_.isActive()) keep_timer_.start(keep_every_ms);
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
  const bool replaces = kind_of(path) == FileKind::scenario;
  if ((replaces && !may_discard()) || !told([&] { load(path); })) return false;
  if (replaces) remember(document_.path());
  return true;
}

void MainWindow::load(const QString& path) {
  const QFileInfo file(path);
  if (kind_of(path) == FileKind::scenario) return document_.open(file.absoluteFilePath());
  const auto literal = model_spec::toml_string(file.absoluteFilePath().toStdString());
  if (!document_.set("model.name", literal, QStringLiteral("Take model %1").arg(file.fileName())))
    throw model_spec::Error(model_spec::Failure::usage, "the scenario's text has to be mended before it can take a model");
}

void MainWindow::remember(const QString& path) {
  add_recent_file(path);
  fill_recent();
  watch();
}

void MainWindow::choose_and_open() {
  const auto path = QFileDialog::getOpenFileName(this, QStringLiteral("Open"), QFileInfo(document_.path()).path(), scenario_filter);
  if (!path.isEmpty()) open(path);
}

bool MainWindow::save() { return document_.path().isEmpty() ? choose_and_save() : may_overwrite() && save_as(document_.path()); }

bool MainWindow::save_as(const QString& path) {
  if (!told([&] { document_.save(path); })) return false;
  remember(path);
  session_.forget();
  statusBar()->showMessage(QStringLiteral("Saved %1").arg(path), message_ms);
  return true;
}

bool MainWindow::choose_and_save() {
  const auto path = ask_where_to_save(this, QStringLiteral("Save as"), document_.path().isEmpty() ? QStringLiteral("scenario") : document_.path(),
                                      {QStringLiteral("Scenario (*.toml)")});
  return !path.isEmpty() && save_as(path);
}

bool MainWindow::may_overwrite() {
  if (!document_.changed_on_disk() || !QFileInfo::exists(document_.path())) return true;
  QMessageBox question(QMessageBox::Warning, QStringLiteral("Fathom"), QStringLiteral("%1 has changed on disk since it was opened.").arg(document_.name()),
                       QMessageBox::Cancel, this);
  question.setObjectName(QStringLiteral("overwrite"));
  const QAbstractButton* overwrite = question.addButton(QStringLiteral("Overwrite"), QMessageBox::DestructiveRole);
  question.exec();
  return question.clickedButton() == overwrite;
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

// The folder too: a file that is put in the place of another is not watched any more.
void MainWindow::watch() {
  const auto watched = watcher_->files() + watcher_->directories();
  if (!watched.isEmpty()) watcher_->removePaths(watched);
  if (!document_.path().isEmpty()) watcher_->addPaths({document_.path(), QFileInfo(document_.path()).path()});
}

void MainWindow::notice_change() {
  watch();
  if (asking_ || !document_.changed_on_disk()) return;
  if (!QFileInfo::exists(document_.path())) {
    document_.keep_mine();
    statusBar()->showMessage(QStringLiteral("%1 is gone from the disk: what is here is not saved").arg(document_.name()));
    return;
  }
  QMessageBox question(QMessageBox::Question, QStringLiteral("Fathom"), QStringLiteral("%1 has changed on disk.").arg(document_.name()), QMessageBox::NoButton,
                       this);
  question.setObjectName(QStringLiteral("changed_on_disk"));
  if (document_.modified()) question.setInformativeText(QStringLiteral("Reloading loses the changes made here; undo does not bring them back."));
  const QAbstractButton* reload = question.addButton(QStringLiteral("Reload"), QMessageBox::AcceptRole);
  question.addButton(QStringLiteral("Keep mine"), QMessageBox::RejectRole);
  asking_ = true;
  question.exec();
  asking_ = false;
  if (question.clickedButton() != reload || !told([&] { document_.open(document_.path()); })) document_.keep_mine();
}

void MainWindow::offer_recovery() {
  const auto lost = session_.lost();
  if (!lost) return;
  const auto name = lost->path.isEmpty() ? QStringLiteral("a scenario that was never saved") : QFileInfo(lost->path).fileName();
  QMessageBox question(QMessageBox::Question, QStringLiteral("Fathom"), QStringLiteral("Fathom ended early, with changes of %1 that were not saved.").arg(name),
                       QMessageBox::NoButton, this);
  question.setObjectName(QStringLiteral("recovery"));
  const QAbstractButton* recover = question.addButton(QStringLiteral("Recover"), QMessageBox::AcceptRole);
  const QAbstractButton* forget = question.addButton(QStringLiteral("Forget them"), QMessageBox::DestructiveRole);
  question.exec();
  if (question.clickedButton() == forget) return session_.forget();
  if (question.clickedButton() != recover) return;
  document_.recover(lost->text, lost->path);
  watch();
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
  resize(QSize(1280, 800).boundedTo(screen()->availableSize()));
  restoreGeometry(settings.value(QStringLiteral("geometry")).toByteArray());
  restoreState(settings.value(QStringLiteral("docks")).toByteArray(), layout_version);
}

// Undo is the document's wherever there is nothing typed to take back.
bool MainWindow::eventFilter(QObject* watched, QEvent* event) {
  const auto* line = qobject_cast<QLineEdit*>(watched);
  return (line && !line->isUndoAvailable() && leaves_undo(*event)) || QMainWindow::eventFilter(watched, event);
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
  const auto path = event->mimeData()->urls().front().toLocalFile();
  QTimer::singleShot(0, this, [this, path] { open(path); });  // a question would keep the other program waiting
}

}  // namespace fathom::gui
