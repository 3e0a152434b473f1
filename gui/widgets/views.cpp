#include "gui/widgets/views.h"

#include <QApplication>
#include <QComboBox>
#include <QTabBar>
#include <QTimer>
#include <QVBoxLayout>

#include <algorithm>
#include <utility>

#include "gui/models/comparison.h"
#include "gui/models/key_figures.h"
#include "gui/models/timeline_range.h"
#include "gui/widgets/chart_export.h"

namespace fathom::gui {
namespace {

QString text(std::string_view s) { return QString::fromUtf8(s.data(), static_cast<qsizetype>(s.size())); }

QWidget* stacked(QWidget* top, QWidget* below) {
  auto* both = new QWidget;
  auto* rows = new QVBoxLayout(both);
  rows->setContentsMargins(4, 4, 4, 0);
  rows->addWidget(top);
  rows->addWidget(below, 1);
  return both;
}

}  // namespace

Views::Views(QMainWindow& window, Document& document) : QObject(&window), window_(window), answer_(std::make_shared<const Answer>()) {
  scenario_ = new ScenarioPanel(document);
  add("scenario", "Scenario", scenario_, [this] { scenario_->show_answer(answer_); });
  add_charts();
  add_graph();
  add_sweep();
  add_tables(document);
  connect(&document, &Document::text_changed, this, [this, &document] { sweep_->set_source(document.text(), document.name().toStdString()); });
  arrange();
}

QDockWidget* Views::add(const char* id, const char* title, QWidget* widget, std::function<void()> draw) {
  auto* dock = new QDockWidget(text(title), &window_);
  dock->setObjectName(text(id));
  dock->setWidget(widget);
  views_.push_back({dock, std::move(draw)});
  connect(dock, &QDockWidget::visibilityChanged, this, &Views::draw_visible);
  return dock;
}

ChartView* Views::add_chart(const char* id, const char* title, std::function<Chart()> chart) {
  auto* view = new ChartView;
  view->setObjectName(text(id) + QStringLiteral("_chart"));
  add(id, title, view, [view, chart = std::move(chart)] { view->set_chart(chart()); });
  connect(view, &ChartView::key_clicked, this, &Views::select);
  charts_.push_back(view);
  return view;
}

void Views::add_charts() {
  add_chart("memory", "Memory", [this] { return memory_chart(now()); });
  add_chart("latency", "Latency", [this] { return latency_chart(now(), phase_); });
  auto* timeline = add_chart("timeline", "Timeline", [this] { return timeline_chart(now(), phase_); });
  connect(timeline, &ChartView::range_selected, this, &Views::show_range);
  connect(timeline, &ChartView::range_cleared, this, &Views::draw_details);
  add_chart("roofline", "Roofline", [this] { return roofline_chart(now(), phase_); });
  add_chart("curve", "Cost", [this] { return phase_ == PhaseName::prefill ? curves_.prefill : curves_.decode; });
}

void Views::add_graph() {
  block_ = new QComboBox;
  block_->setAccessibleName(QStringLiteral("Block"));
  block_->setObjectName(QStringLiteral("block"));
  graph_ = new DiagramView;
  graph_->setObjectName(QStringLiteral("graph_diagram"));
  add("graph", "Graph", stacked(block_, graph_), [this] { draw_graph(); });
  connect(block_, &QComboBox::activated, this, [this] {
    chosen_block_ = block_->currentText();
    draw_graph();
  });
  connect(graph_, &DiagramView::key_clicked, this, &Views::select);
  topology_ = new DiagramView;
  topology_->setObjectName(QStringLiteral("topology_diagram"));
  add("topology", "Topology", topology_, [this] { topology_->set_diagram(topology_diagram(now(), phase_)); });
}

void Views::add_sweep() {
  sweep_ = new SweepPanel;
  auto* view = new ChartView;
  view->setObjectName(QStringLiteral("sweep_chart"));
  sweep_->set_view(view);
  connect(sweep_, &SweepPanel::chart_changed, view, &ChartView::set_chart);
  connect(view, &ChartView::key_clicked, this, [this](const QString& key) {
    if (key.isEmpty() || !sweep_->result()) return;
    details_->setHtml(text(point_html(*sweep_->result(), key.toStdString())));
  });
  add("sweep", "Sweep", sweep_, [this] {
    if (!answer_->estimate || std::exchange(swept_, true)) return;
    sweep_->run();  // somebody looks for the first time: something to look at
  });
}

void Views::add_tables(Document& document) {
  operators_ = new TableView;
  operators_->setObjectName(QStringLiteral("operators_table"));
  add("operators", "Operators", operators_, [this] {
    auto t = latency_table(now(), phase_);
    if (t.table.records.empty()) operators_->set_empty(text(now().nothing(phase_)));
    else operators_->set_table(t.table, std::move(t.keys));
  });
  connect(operators_, &TableView::key_clicked, this, &Views::select);
  compared_ = new TableView;
  compared_->setObjectName(QStringLiteral("comparison_table"));
  add("comparison", "Compare", compared_, [this] { draw_comparison(); });
  details_ = new QTextBrowser;
  details_->setAccessibleName(QStringLiteral("Details"));
  details_->setObjectName(QStringLiteral("details_text"));
  details_->setOpenLinks(false);
  connect(details_, &QTextBrowser::anchorClicked, this, [&document](const QUrl& link) {  // "take:" a point of a sweep
    for (const auto& [key, literal] : settings_of_key(link.path().toStdString())) document.set(key, literal, QStringLiteral("Take a point of a sweep"));
  });
  add("details", "Details", details_, [this] { draw_details(); });
  source_ = new SourceView(document);
  add("source", "Text", source_, [this] { source_->show_answer(answer_); });
  problems_ = new ProblemsView;
  add("problems", "Problems", problems_, [] {});
  connect(problems_, &ProblemsView::line_chosen, this, [this](int line) {
    reveal("source");
    source_->go_to(line);
  });
  connect(problems_, &ProblemsView::key_chosen, this, [this](const QString& key) {
    reveal("scenario");
    scenario_->go_to(key.toStdString());
  });
}

// Left the scenario, below the answer the pictures, to the right of them tables and texts.
void Views::arrange() {
  for (auto* d : docks()) window_.removeDockWidget(d);
  window_.setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
  const auto place = [&](const char* id) { return dock(text(id)); };
  window_.addDockWidget(Qt::LeftDockWidgetArea, place("scenario"));
  auto* first = place("memory");
  auto* side = place("operators");
  window_.addDockWidget(Qt::BottomDockWidgetArea, first);
  window_.splitDockWidget(first, side, Qt::Horizontal);  // all splits before the tabs: a dock among tabs is not split
  window_.splitDockWidget(side, place("details"), Qt::Vertical);
  for (const char* id : {"latency", "timeline", "roofline", "curve", "sweep", "graph", "topology"}) window_.tabifyDockWidget(first, place(id));
  for (const char* id : {"comparison", "source", "problems"}) window_.tabifyDockWidget(side, place(id));
  for (auto* d : docks()) {
    d->setFloating(false);
    d->show();
  }
  first->raise();
  side->raise();
  window_.resizeDocks({place("scenario")}, {330}, Qt::Horizontal);
  window_.resizeDocks({first, side}, {570, 370}, Qt::Horizontal);
  window_.resizeDocks({side, place("details")}, {340, 200}, Qt::Vertical);
  QTimer::singleShot(0, this, &Views::show_names);
}

// Names of tabs in full: Qt makes the tab bars, and would shorten them.
void Views::show_names() {
  for (auto* bar : window_.findChildren<QTabBar*>(QString(), Qt::FindDirectChildrenOnly)) bar->setElideMode(Qt::ElideNone);
}

std::vector<QDockWidget*> Views::docks() const {
  std::vector<QDockWidget*> out;
  for (const auto& v : views_) out.push_back(v.dock);
  return out;
}

QDockWidget* Views::dock(const QString& id) const {
  const auto found = std::ranges::find_if(views_, [&](const View& v) { return v.dock->objectName() == id; });
  return found == views_.end() ? nullptr : found->dock;
}

void Views::show_answer(const SharedAnswer& answer) {
  const bool had_problems = answer_ && !answer_->faults.empty();
  answer_ = answer;
  scenario_->show_answer(answer);  // also when it is hidden: its fields are the keyboard's
  const int problems = problems_->show_answer(answer);
  dock(QStringLiteral("problems"))->setWindowTitle(problems == 0 ? QStringLiteral("Problems") : QStringLiteral("Problems (%1)").arg(problems));
  if (!answer->faults.empty() && !had_problems && !typing()) reveal("problems");  // half a word is a fault, too
  mark_stale();
}

void Views::show_curves(const Curves& curves) {
  curves_ = curves;
  auto& curve = *std::ranges::find(views_, dock(QStringLiteral("curve")), &View::dock);
  curve.stale = true;
  draw_visible();
}

void Views::show_phase(PhaseName phase) {
  phase_ = phase;
  mark_stale();
}

void Views::mark_stale() {
  for (auto& v : views_) v.stale = true;
  draw_visible();
}

void Views::draw_visible() {
  for (auto& v : views_) {
    if (!v.stale || v.dock->visibleRegion().isEmpty()) continue;
    v.stale = false;
    v.draw();
  }
}

void Views::select(const QString& key) {
  selected_ = key;
  for (auto* chart : charts_) chart->set_selected(key);
  graph_->set_selected(key);
  operators_->set_selected(key);
  draw_details();
}

void Views::explain(const QString& key) {
  select(key);
  reveal("details");
}

void Views::reveal(const char* id) {
  auto* shown = dock(text(id));
  shown->show();
  shown->raise();
}

void Views::show(const QString& id) {
  reveal(id.toLatin1().constData());
  auto* shown = dock(id)->widget();
  auto* first = shown->focusPolicy() == Qt::NoFocus && !shown->focusProxy() ? shown->nextInFocusChain() : shown;
  first->setFocus(Qt::ShortcutFocusReason);
}

bool Views::typing() const {
  const auto* focus = QApplication::focusWidget();
  return focus && (source_ == focus || scenario_->isAncestorOf(focus));
}

void Views::draw_details() {
  const auto html = explanation(now(), selected_.toStdString());
  details_->setHtml(html.empty() ? QStringLiteral("<p>Click a figure, an operator or a mark: here is how its number came about.</p>") : text(html));
}

void Views::draw_graph() {
  const auto blocks = blocks_of(now(), phase_);
  block_->clear();
  for (const auto& b : blocks) block_->addItem(text(b));
  block_->setVisible(!blocks.empty());
  const int index = std::max(0, block_->findText(chosen_block_));
  block_->setCurrentIndex(index);
  graph_->set_diagram(operator_graph(now(), phase_, static_cast<std::size_t>(index)));
  graph_->set_selected(selected_);
}

void Views::show_range(double from, double to) {
  details_->setHtml(text(range_html(timeline_chart(now(), phase_), from, to)));
  reveal("details");
}

void Views::add_to_comparison(const QString& name) {
  auto label = name.toStdString();
  if (!comparison_.empty()) {
    const auto differs = difference(*comparison_.back().second, *answer_);
    label = differs.empty() ? label + " again" : differs;
  }
  comparison_.emplace_back(std::move(label), answer_);
  draw_comparison();
  reveal("comparison");
}

void Views::clear_comparison() {
  comparison_.clear();
  draw_comparison();
}

void Views::draw_comparison() {
  auto all = comparison_;
  all.emplace_back(comparison_.empty() ? "this scenario" : "now", answer_);
  compared_->set_table(comparison_table(all), {});
}

std::vector<std::pair<QString, QByteArray>> Views::pictures() const {
  std::vector<std::pair<QString, QByteArray>> out;
  const auto add = [&](const Chart& chart) {
    if (chart.empty.empty()) out.emplace_back(text(chart.title), picture_of(chart, {720, 420}));
  };
  add(memory_chart(now()));
  for (const auto phase : {PhaseName::prefill, PhaseName::decode}) {
    add(latency_chart(now(), phase));
    add(roofline_chart(now(), phase));
    add(phase == PhaseName::prefill ? curves_.prefill : curves_.decode);
  }
  return out;
}

}  // namespace fathom::gui
