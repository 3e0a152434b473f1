// What is swept and over which values; the sweep itself runs away from the window.
#pragma once

#include <QTimer>
#include <QWidget>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "gui/models/sweep.h"

class QComboBox;
class QGridLayout;
class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QVBoxLayout;

namespace fathom::gui {

class SweepPanel : public QWidget {
  Q_OBJECT

 public:
  explicit SweepPanel(QWidget* parent = nullptr);

  // Below the controls: what draws the charts that chart_changed() hands out.
  void set_view(QWidget*);
  // The scenario as it is now. A quick sweep runs again by itself, a long one is marked as outdated.
  void set_source(std::string toml, std::string file);

  void run();  // the newest run ends the one before
  void cancel();
  [[nodiscard]] bool is_running() const { return running_; }
  // Of the last sweep that was not cancelled; null if there is none.
  [[nodiscard]] const SweepResult* result() const { return result_.get(); }

 Q_SIGNALS:
  void chart_changed(const fathom::gui::Chart&);
  void finished();  // there is a new result()

 protected:
  void changeEvent(QEvent*) override;

 private:
  // One parameter: its key, its values, and what is wrong with them.
  struct Row {
    QComboBox* key;
    QLineEdit* values;
    QLabel* error;
  };
  Row add_row(QGridLayout*, int line, const QString& caption, const QString& name);
  void add_actions(QGridLayout*, int line);
  void connect_row(const Row&);
  void colour_errors();

  std::optional<SweepAxis> axis_of(const Row&) const;  // nothing: see the row's error
  std::optional<SweepRequest> request() const;
  void settings_changed();
  void take(int run, std::shared_ptr<const SweepResult>);
  void stand_still();
  void show_chart();
  void show_state(const QString& first = {});

  Row x_, y_;
  QComboBox* metric_ = nullptr;
  QPushButton* button_ = nullptr;
  QProgressBar* progress_ = nullptr;
  QLabel* note_ = nullptr;
  QTimer patience_;  // a sweep that ends before it never looks busy: charts that follow edits do not flicker

  std::string toml_, file_;
  std::shared_ptr<const SweepResult> result_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::milliseconds took_{};
  int run_ = 0;  // number of the newest; what older ones send comes too late
  bool running_ = false, busy_ = false, outdated_ = false;
  std::jthread worker_;  // last, so that it ends before the rest goes
};

}  // namespace fathom::gui
