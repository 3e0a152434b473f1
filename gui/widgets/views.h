// The docks around the answer: each shows one view of it, all are linked by what is selected.
#pragma once

#include <QDockWidget>
#include <QMainWindow>
#include <QTextBrowser>

#include <functional>
#include <vector>

#include "gui/models/document.h"
#include "gui/models/recompute.h"
#include "gui/widgets/chart_view.h"
#include "gui/widgets/diagram_view.h"
#include "gui/widgets/scenario_panel.h"
#include "gui/widgets/source_view.h"
#include "gui/widgets/sweep_panel.h"
#include "gui/widgets/table_view.h"

class QComboBox;

namespace fathom::gui {

class Views : public QObject {
  Q_OBJECT

 public:
  Views(QMainWindow& window, Document& document);

  void show_answer(const SharedAnswer& answer);
  void show_curves(const Curves& curves);
  void show_phase(PhaseName phase);
  [[nodiscard]] PhaseName phase() const { return phase_; }
  void select(const QString& key);   // in every view; empty: nothing
  void explain(const QString& key);  // the same, and its details are brought to the front
  // Under the name, or by what differs from the one before.
  void add_to_comparison(const QString& name);
  void clear_comparison();
  void show(const QString& id);                                     // the dock, in front and with the keyboard
  void arrange();                                                   // as at the first start
  [[nodiscard]] bool busy() const { return sweep_->is_running(); }  // something is still to be drawn

  [[nodiscard]] std::vector<QDockWidget*> docks() const;
  [[nodiscard]] QDockWidget* dock(const QString& id) const;  // null: there is none
  // The charts of the answer for a report: (title, PNG), on white.
  [[nodiscard]] std::vector<std::pair<QString, QByteArray>> pictures() const;

 private:
  // A view is drawn when it can be seen.
  struct View {
    QDockWidget* dock;
    std::function<void()> draw;
    bool stale = true;
  };
  QDockWidget* add(const char* id, const char* title, QWidget* widget, std::function<void()> draw);
  ChartView* add_chart(const char* id, const char* title, std::function<Chart()> chart);
  void add_charts();
  void add_tables(Document& document);
  void add_graph();
  void add_sweep();
  void draw_graph();
  void draw_comparison();
  void draw_details();
  void show_range(double from, double to);
  void show_names();
  void reveal(const char* id);
  [[nodiscard]] bool typing() const;  // into the scenario, as fields or as text
  void mark_stale();
  void draw_visible();
  [[nodiscard]] const Answer& now() const { return *answer_; }

  QMainWindow& window_;
  std::vector<View> views_;
  std::vector<ChartView*> charts_;
  DiagramView *graph_ = nullptr, *topology_ = nullptr;
  QComboBox* block_ = nullptr;
  TableView *operators_ = nullptr, *compared_ = nullptr;
  QTextBrowser* details_ = nullptr;
  ProblemsView* problems_ = nullptr;
  SourceView* source_ = nullptr;
  ScenarioPanel* scenario_ = nullptr;
  SweepPanel* sweep_ = nullptr;
  SharedAnswer answer_;
  Curves curves_;
  PhaseName phase_ = PhaseName::decode;
  QString selected_, chosen_block_ = QStringLiteral("MoE layer");
  bool swept_ = false;  // a first sweep was run by itself
  std::vector<std::pair<std::string, SharedAnswer>> comparison_;
};

}  // namespace fathom::gui
