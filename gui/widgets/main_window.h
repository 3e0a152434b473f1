// The window: a document, its answer, and the views around it.
#pragma once

#include <QMainWindow>
#include <QTimer>

#include "gui/models/document.h"
#include "gui/models/recompute.h"
#include "gui/models/session.h"
#include "gui/widgets/answer_panel.h"
#include "gui/widgets/palette.h"
#include "gui/widgets/views.h"

class QFileSystemWatcher;
class QMenu;

namespace fathom::gui {

class MainWindow : public QMainWindow {
  Q_OBJECT

 public:
  // session_folder: where unsaved work is kept; empty: the user's data folder.
  explicit MainWindow(const QString& session_folder = {});

  // Opens a scenario, or takes a model (FileKind) into the scenario at hand. False: it could not be read, and the user was told.
  bool open(const QString& path);
  void load(const QString& path);  // the same without a question; throws model_spec::Error
  bool save();
  bool save_as(const QString& path);
  // HTML, PDF, Markdown, CSV or JSON by the suffix. Throws model_spec::Error{io}.
  void write_report(const QString& path);
  void set_theme(Theme theme);

  [[nodiscard]] Document& document() { return document_; }
  [[nodiscard]] Views& views() { return views_; }
  [[nodiscard]] const SharedAnswer& answer() const { return answer_; }
  [[nodiscard]] bool busy() const { return recompute_.busy(); }  // the answer is not of the newest text yet
  [[nodiscard]] QString command() const;  // the `fathom` command line for what is shown. Precondition: answer()->scenario
  // Asks whether to go on with what a session before left when it ended early, if there is something. Before anything is opened.
  void offer_recovery();

 Q_SIGNALS:
  void answered();  // everything that can be seen shows the newest answer
  void curved();    // the cost curves do, too

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;
  void closeEvent(QCloseEvent* event) override;
  void dragEnterEvent(QDragEnterEvent* event) override;
  void dropEvent(QDropEvent* event) override;

 private:
  static constexpr int message_ms = 5000;  // in the status bar

  void make_menus();  // main_window_menus.cpp, as the four that follow
  void make_file_menu();
  void make_edit_menu();
  void make_view_menu();
  void make_help_menu();
  QAction* add_action(QMenu& menu, const QString& text, const QKeySequence& keys, const std::function<void()>& run);
  void fill_recent();
  void choose_report();
  void show_palette();
  void show_help();

  void ask();
  void show_title();
  void take_answer(const SharedAnswer& answer);
  bool may_discard();  // asks about unsaved changes
  void start_new(const std::string& text);
  void choose_and_open();
  bool choose_and_save();
  void watch();  // the file of the document
  void notice_change();
  bool may_overwrite();  // asks if the file is another one than was opened
  void remember(const QString& path);
  void copy_command();
  void keep();
  void restore_layout();
  // Runs `work`; an Error becomes a message. False: it failed.
  bool told(const std::function<void()>& work);

  Session session_;
  Document document_;
  Recompute recompute_;
  AnswerPanel answer_panel_;
  Views views_;
  SharedAnswer answer_;
  QTimer keep_timer_, change_timer_;
  bool asking_ = false;  // about a change on disk
  QFileSystemWatcher* watcher_ = nullptr;
  QMenu* recent_ = nullptr;
  QTextBrowser* help_ = nullptr;
};

}  // namespace fathom::gui
