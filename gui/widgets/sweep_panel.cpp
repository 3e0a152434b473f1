#include "gui/widgets/sweep_panel.h"

#include <QComboBox>
#include <QCompleter>
#include <QEvent>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>

#include "gui/models/metrics.h"
#include "gui/models/sweep_axis.h"
#include "gui/widgets/palette.h"
#include "model_spec/error.h"

namespace fathom::gui {
namespace {

using namespace std::chrono_literals;

constexpr auto quick = 300ms;  // a sweep that takes less follows every edit
constexpr auto patience = 150ms;
constexpr int vermilion = 5;  // of the palette
constexpr int progress_steps = 1000;

QString text_of(std::string_view s) { return QString::fromUtf8(s.data(), static_cast<qsizetype>(s.size())); }

template <class Widget>
Widget* named(Widget* w, const QString& object, const QString& accessible) {
  w->setObjectName(object);
  w->setAccessibleName(accessible);
  return w;
}

// The chosen entry's key, or what was typed instead.
std::string key_of(const QComboBox& box) {
  const auto text = box.currentText().trimmed();
  const int entry = box.findText(text);
  return (entry >= 0 ? box.itemData(entry).toString() : text).toStdString();
}

void fill_keys(QComboBox* box) {
  for (const auto& k : sweep_keys()) box->addItem(QStringLiteral("%1 (%2)").arg(text_of(k.label), text_of(k.key)), text_of(k.key));
  box->setEditable(true);
  box->setInsertPolicy(QComboBox::NoInsert);
  box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  box->setMinimumContentsLength(16);
  box->completer()->setCompletionMode(QCompleter::PopupCompletion);
  box->completer()->setFilterMode(Qt::MatchContains);
  box->setToolTip(QStringLiteral("One of these, or any setting of the scenario that takes a number, by its key: model.q_lora_rank"));
}

QString defaults_of(const std::string& key) {
  for (const auto& k : sweep_keys())
    if (k.key == key) return text_of(k.values);
  return {};
}

void complain(QLabel* at, const QString& message) {
  at->setText(message);
  at->setVisible(!message.isEmpty());
}

QString points_text(std::size_t count) { return QStringLiteral("%L1 %2").arg(count).arg(count == 1 ? QStringLiteral("point") : QStringLiteral("points")); }

}  // namespace

SweepPanel::SweepPanel(QWidget* parent) : QWidget(parent) {
  named(this, QStringLiteral("sweep"), QStringLiteral("Sweep"));
  auto* layout = new QVBoxLayout(this);
  auto* grid = new QGridLayout;
  layout->addLayout(grid);
  grid->setColumnStretch(1, 3);
  grid->setColumnStretch(2, 2);
  x_ = add_row(grid, 0, QStringLiteral("Along x"), QStringLiteral("x"));
  y_ = add_row(grid, 2, QStringLiteral("Along y"), QStringLiteral("y"));
  y_.key->insertItem(0, QStringLiteral("nothing"), QString());
  y_.key->setCurrentIndex(0);
  x_.values->setText(defaults_of(key_of(*x_.key)));
  add_actions(grid, 4);
  note_ = named(new QLabel(this), QStringLiteral("sweep_note"), QStringLiteral("State of the sweep"));
  note_->setWordWrap(true);
  layout->addWidget(note_);
  for (const auto& row : {x_, y_}) connect_row(row);
  patience_.setSingleShot(true);
  patience_.setInterval(patience);
  connect(&patience_, &QTimer::timeout, this, [this] {
    busy_ = true;
    show_state();
  });
  colour_errors();
  settings_changed();
}

SweepPanel::Row SweepPanel::add_row(QGridLayout* grid, int line, const QString& caption, const QString& name) {
  const Row row{named(new QComboBox(this), QStringLiteral("sweep_key_") + name, QStringLiteral("Setting along ") + name),
                named(new QLineEdit(this), QStringLiteral("sweep_values_") + name, QStringLiteral("Values along ") + name),
                named(new QLabel(this), QStringLiteral("sweep_error_") + name, QStringLiteral("What is wrong along ") + name)};
  fill_keys(row.key);
  row.values->setToolTip(QStringLiteral("1,2,4k    1k..128k x2    0.6..0.9 +0.05    1k..128k in 8"));
  row.error->setWordWrap(true);
  grid->addWidget(new QLabel(caption, this), line, 0);
  grid->addWidget(row.key, line, 1);
  grid->addWidget(row.values, line, 2);
  grid->addWidget(row.error, line + 1, 1, 1, 2);
  return row;
}

void SweepPanel::add_actions(QGridLayout* grid, int line) {
  metric_ = named(new QComboBox(this), QStringLiteral("sweep_metric"), QStringLiteral("Figure to show"));
  metric_->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  metric_->setMinimumContentsLength(16);
  for (const auto& m : metrics()) metric_->addItem(text_of(label(m)));
  progress_ = named(new QProgressBar(this), QStringLiteral("sweep_progress"), QStringLiteral("Share of the points that are done"));
  progress_->setRange(0, progress_steps);
  auto policy = progress_->sizePolicy();
  policy.setRetainSizeWhenHidden(true);
  progress_->setSizePolicy(policy);
  button_ = named(new QPushButton(this), QStringLiteral("sweep_run"), QStringLiteral("Run or cancel the sweep"));
  auto* actions = new QHBoxLayout;
  actions->addWidget(progress_, 1);
  actions->addWidget(button_);
  grid->addWidget(new QLabel(QStringLiteral("Show"), this), line, 0);
  grid->addWidget(metric_, line, 1);
  grid->addLayout(actions, line, 2);
  connect(metric_, &QComboBox::currentIndexChanged, this, &SweepPanel::show_chart);
  connect(button_, &QPushButton::clicked, this, [this] { busy_ ? cancel() : run(); });
}

void SweepPanel::connect_row(const Row& row) {
  connect(row.key, &QComboBox::currentTextChanged, this, [this, row] {
    const auto key = key_of(*row.key);
    const auto values = defaults_of(key);
    if (key.empty() || !values.isEmpty()) row.values->setText(values);
    settings_changed();
  });
  auto* typed = row.key->lineEdit();
  const auto show_beginning = [typed] { typed->setCursorPosition(0); };
  connect(row.key, &QComboBox::activated, typed, show_beginning);
  connect(typed, &QLineEdit::editingFinished, typed, [row, show_beginning] {  // Enter takes the only name that is left
    if (row.key->findText(row.key->currentText()) < 0 && row.key->completer()->completionCount() == 1)
      row.key->setCurrentText(row.key->completer()->currentCompletion());
    show_beginning();
  });
  show_beginning();
  connect(row.values, &QLineEdit::textChanged, this, &SweepPanel::settings_changed);
  connect(row.values, &QLineEdit::returnPressed, this, &SweepPanel::run);
}

void SweepPanel::colour_errors() {
  for (auto* label : {x_.error, y_.error}) {
    auto colours = palette();
    colours.setColor(QPalette::WindowText, series_colour(vermilion, is_dark(colours)));
    label->setPalette(colours);
  }
}

void SweepPanel::changeEvent(QEvent* event) {
  QWidget::changeEvent(event);
  if (event->type() == QEvent::PaletteChange) colour_errors();
}

void SweepPanel::set_view(QWidget* view) { static_cast<QVBoxLayout*>(layout())->addWidget(view, 1); }

void SweepPanel::set_source(std::string toml, std::string file) {
  const bool same = toml == toml_ && file == file_;
  toml_ = std::move(toml);
  file_ = std::move(file);
  if (!result_ && !running_) return show_chart();
  if (same) return;
  outdated_ = true;
  if (running_ || took_ < quick) run();
  else show_state();
}

std::optional<SweepAxis> SweepPanel::axis_of(const Row& row) const {
  try {
    const auto key = key_of(*row.key);
    if (key.empty()) throw model_spec::Error(model_spec::Failure::usage, "name a setting");
    auto values = parse_axis_values(row.values->text().toStdString());
    complain(row.error, {});
    return SweepAxis{key, std::move(values)};
  } catch (const model_spec::Error& e) {
    complain(row.error, text_of(e.what()));
    return std::nullopt;
  }
}

std::optional<SweepRequest> SweepPanel::request() const {
  const auto x = axis_of(x_);
  const bool two = !key_of(*y_.key).empty();
  const auto y = two ? axis_of(y_) : std::nullopt;
  if (!two) complain(y_.error, {});
  if (!x || (two && !y)) return std::nullopt;
  if (y && y->key == x->key) complain(y_.error, QStringLiteral("this setting is swept along x already"));
  else if (y && x->values.size() * y->values.size() > most_sweep_points)
    complain(y_.error, QStringLiteral("%1 are more than %L2").arg(points_text(x->values.size() * y->values.size())).arg(most_sweep_points));
  if (two && !y_.error->text().isEmpty()) return std::nullopt;
  return SweepRequest{.toml = toml_, .file = file_, .x = *x, .y = y};
}

void SweepPanel::settings_changed() {
  y_.values->setEnabled(!key_of(*y_.key).empty());
  outdated_ = outdated_ || result_;
  show_state();
  button_->setEnabled(busy_ || request());
}

void SweepPanel::run() {
  const auto wanted = request();
  if (!wanted) return;
  const int run = ++run_;
  started_ = std::chrono::steady_clock::now();
  running_ = true;
  if (!busy_) patience_.start();
  progress_->setValue(0);
  worker_ = std::jthread([this, run, wanted = *wanted](const std::stop_token& stop) {
    const auto report = [&](double share) {
      QMetaObject::invokeMethod(this, [this, run, share] { run == run_ ? progress_->setValue(static_cast<int>(share * progress_steps)) : void(); });
    };
    auto result = std::make_shared<const SweepResult>(sweep(wanted, stop, report));
    QMetaObject::invokeMethod(this, [this, run, result] { take(run, result); });
  });
}

void SweepPanel::cancel() {
  worker_.request_stop();
  ++run_;
  stand_still();
  show_state(QStringLiteral("Cancelled."));
}

// A result of a run that a newer one or cancel() has overtaken is dropped.
void SweepPanel::take(int run, std::shared_ptr<const SweepResult> result) {
  if (run != run_) return;
  took_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_);
  result_ = std::move(result);
  outdated_ = false;
  stand_still();
  show_chart();
  Q_EMIT finished();
}

void SweepPanel::stand_still() {
  running_ = busy_ = false;
  patience_.stop();
  show_state();
}

void SweepPanel::show_chart() {
  if (result_) return Q_EMIT chart_changed(sweep_chart(*result_, static_cast<std::size_t>(metric_->currentIndex())));
  Chart nothing;
  nothing.empty = "Choose what to vary and over which values, then run the sweep";
  Q_EMIT chart_changed(nothing);
}

void SweepPanel::show_state(const QString& first) {
  button_->setText(busy_ ? QStringLiteral("Cancel") : QStringLiteral("Run"));
  progress_->setVisible(busy_);
  QStringList parts{first};
  if (busy_) parts << QStringLiteral("Running.");
  else if (outdated_) parts << QStringLiteral("Outdated: run again.");
  if (result_ && result_->fault.empty()) parts << QStringLiteral("%1 in %L2 ms.").arg(points_text(result_->points.size())).arg(took_.count());
  if (result_) parts << text_of(sweep_note(*result_));
  parts.removeAll(QString());
  note_->setText(parts.join(QStringLiteral(" ")));
  note_->setVisible(!parts.isEmpty());
}

}  // namespace fathom::gui
