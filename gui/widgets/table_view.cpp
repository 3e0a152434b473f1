#include "gui/widgets/table_view.h"

#include <QApplication>
#include <QClipboard>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QProxyStyle>
#include <QScrollBar>
#include <QShortcut>
#include <QTableView>
#include <QVBoxLayout>

#include <algorithm>

#include "gui/models/file.h"
#include "gui/widgets/picture.h"
#include "gui/widgets/save_dialog.h"

namespace fathom::gui {
namespace {

constexpr int least_width = 320;  // that columns are made for

// Room beside the text: a number at the right and a word at the left of the next column would touch.
class Roomy : public QProxyStyle {
 public:
  int pixelMetric(PixelMetric metric, const QStyleOption* option, const QWidget* widget) const override {
    const int usual = QProxyStyle::pixelMetric(metric, option, widget);
    return metric == PM_FocusFrameHMargin || metric == PM_HeaderMargin ? usual + 4 : usual;
  }
};

}  // namespace

TableView::TableView(QWidget* parent) : QWidget(parent), reason_(new QLabel), filter_(new QLineEdit), table_(new QTableView) {
  setObjectName(QStringLiteral("table_view"));
  setAccessibleName(QStringLiteral("Table"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(4);
  layout->addWidget(filter_);
  layout->addWidget(table_);
  layout->addWidget(reason_, 1);
  reason_->setAlignment(Qt::AlignCenter);
  reason_->setWordWrap(true);
  reason_->setMargin(24);
  reason_->setForegroundRole(QPalette::PlaceholderText);
  reason_->hide();
  sorted_.setSourceModel(&model_);
  sorted_.setSortRole(TableModel::sort_role);
  sorted_.setSortCaseSensitivity(Qt::CaseInsensitive);
  sorted_.setFilterCaseSensitivity(Qt::CaseInsensitive);
  sorted_.setFilterKeyColumn(-1);
  set_up_filter();
  set_up_table();
}

void TableView::set_up_filter() {
  filter_->setObjectName(QStringLiteral("table_filter"));
  filter_->setAccessibleName(QStringLiteral("Filter of the table"));
  filter_->setPlaceholderText(QStringLiteral("Filter"));
  filter_->setClearButtonEnabled(true);
  connect(filter_, &QLineEdit::textChanged, this, [this](const QString& text) {
    sorted_.setFilterFixedString(text);
    show_selected();
  });
  setFocusProxy(table_);
  connect(new QShortcut(QKeySequence::Find, this, nullptr, nullptr, Qt::WidgetWithChildrenShortcut), &QShortcut::activated, filter_, [this] {
    filter_->setFocus(Qt::ShortcutFocusReason);
    filter_->selectAll();
  });
  connect(new QShortcut(QKeySequence(Qt::Key_Escape), filter_, nullptr, nullptr, Qt::WidgetShortcut), &QShortcut::activated, filter_, [this] {
    filter_->clear();
    table_->setFocus();
  });
  connect(new QShortcut(QKeySequence::Copy, table_, nullptr, nullptr, Qt::WidgetShortcut), &QShortcut::activated, this, &TableView::copy);
}

void TableView::set_up_table() {
  table_->setObjectName(QStringLiteral("table"));
  table_->setModel(&sorted_);
  table_->setFrameShape(QFrame::NoFrame);
  table_->setShowGrid(false);
  table_->setAlternatingRowColors(true);
  table_->setWordWrap(false);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
  table_->verticalHeader()->hide();
  table_->verticalHeader()->setDefaultSectionSize(table_->fontMetrics().height() + 8);
  table_->horizontalHeader()->setHighlightSections(false);
  table_->horizontalHeader()->setSectionsMovable(true);
  table_->horizontalHeader()->setSortIndicatorClearable(true);
  auto* roomy = new Roomy;
  roomy->setParent(table_);
  for (QWidget* w : std::initializer_list<QWidget*>{table_, table_->horizontalHeader()}) {
    w->setStyle(roomy);
    w->setContextMenuPolicy(Qt::CustomContextMenu);
    connect(w, &QWidget::customContextMenuRequested, this, [this, w](const QPoint& at) { show_menu(w->mapToGlobal(at)); });
  }
  connect(table_->selectionModel(), &QItemSelectionModel::currentRowChanged, this, &TableView::take_current);
}

QStringList TableView::headings() const {
  QStringList out;
  for (int c = 0; c < model_.columnCount(); ++c) out << model_.headerData(c, Qt::Horizontal, Qt::DisplayRole).toString();
  return out;
}

std::vector<int> TableView::widths() const {
  std::vector<int> out;
  for (int c = 0; c < sorted_.columnCount(); ++c) out.push_back(table_->columnWidth(c));
  return out;
}

void TableView::set_empty(const QString& why) {
  reason_->setText(why);
  reason_->setVisible(!why.isEmpty());
  table_->setVisible(why.isEmpty());
  filter_->setVisible(why.isEmpty());
}

// Columns that showed all of their text go on doing so.
void TableView::set_table(const simulator::Table& table, std::vector<std::string> keys) {
  set_empty({});
  const auto old_headings = headings();
  const auto old = widths();
  const int scrolled = table_->verticalScrollBar()->value();
  table_->resizeColumnsToContents();
  const auto old_needed = widths();
  model_.set_table(table, std::move(keys));
  if (headings() != old_headings) start_columns();
  table_->resizeColumnsToContents();
  const auto needed = widths();
  for (std::size_t c = 0; headings() == old_headings && c < old.size(); ++c)
    if (const int column = static_cast<int>(c); !table_->isColumnHidden(column))
      table_->setColumnWidth(column, old[c] >= old_needed[c] ? std::max(old[c], needed[c]) : old[c]);
  for (int c = 0; model_.by_field() && c < model_.columnCount(); ++c)  // a name or a reason that is long gives way to the other columns
    table_->setColumnWidth(c, std::min(table_->columnWidth(c), std::max(width(), least_width) * 45 / 100));
  table_->setAccessibleName(QString::fromStdString(table.title));
  show_selected();
  table_->verticalScrollBar()->setValue(scrolled);
}

// For columns that were not there before: all of them, in their own order, unsorted.
void TableView::start_columns() {
  auto* header = table_->horizontalHeader();
  const int count = model_.columnCount();
  for (int c = 0; c < count; ++c) {
    table_->setColumnHidden(c, false);
    header->moveSection(header->visualIndex(c), c);
  }
  table_->setSortingEnabled(false);
  header->setSortIndicator(-1, Qt::AscendingOrder);
  sorted_.sort(-1);
  table_->setSortingEnabled(!model_.by_field());  // lines of different fields have no order
  header->setStretchLastSection(count > 0 && !model_.is_number(count - 1));
}

void TableView::set_selected(const QString& key) {
  if (key == selected_) return;  // several lines may be selected, of which this is the current one
  selected_ = key;
  show_selected();
}

void TableView::show_selected() {
  const auto index = sorted_.mapFromSource(model_.index(model_.row_of(selected_), 0));
  showing_ = true;
  table_->setCurrentIndex(index);
  if (!index.isValid()) table_->clearSelection();
  showing_ = false;
}

void TableView::take_current(const QModelIndex& current) {
  const auto key = current.data(TableModel::key_role).toString();
  if (showing_ || key.isEmpty()) return;
  selected_ = key;
  Q_EMIT key_clicked(key);
}

std::vector<int> TableView::shown_columns() const {
  std::vector<int> out;
  const auto* header = table_->horizontalHeader();
  for (int v = 0; v < header->count(); ++v)
    if (const int c = header->logicalIndex(v); !header->isSectionHidden(c)) out.push_back(c);
  return out;
}

QString TableView::selected_text() const {
  std::vector<int> rows;
  for (const auto& index : table_->selectionModel()->selectedRows()) rows.push_back(index.row());
  std::ranges::sort(rows);
  return to_tsv(sorted_, rows, shown_columns());
}

bool TableView::export_csv(const QString& path, QString* error) const {
  return try_to_write_file(path, simulator::to_csv({.answer = {}, .tables = {model_.table()}, .notes = {}, .csv = {}}), error);
}

void TableView::ask_and_export() {
  const auto name = QString::fromStdString(model_.table().key) + QLatin1String(".csv");
  const auto path = ask_where_to_save(this, QStringLiteral("Export table"), name, {QStringLiteral("Comma-separated values (*.csv)")});
  QString error;
  if (!path.isEmpty() && !export_csv(path, &error)) tell_failure(this, error);
}

void TableView::show_menu(const QPoint& at) {
  QMenu menu(this);
  auto* copy = menu.addAction(QStringLiteral("&Copy"), this, &TableView::copy);
  copy->setShortcut(QKeySequence::Copy);
  copy->setEnabled(table_->selectionModel()->hasSelection());
  menu.addAction(QStringLiteral("&Export CSV…"), this, &TableView::ask_and_export);
  menu.addSeparator();
  auto* columns = menu.addMenu(QStringLiteral("C&olumns"));
  const auto shown = shown_columns();
  for (int c = 0; c < model_.columnCount(); ++c) {
    auto* action = columns->addAction(model_.headerData(c, Qt::Horizontal, Qt::DisplayRole).toString());
    action->setCheckable(true);
    action->setChecked(!table_->isColumnHidden(c));
    action->setEnabled(shown.size() > 1 || !action->isChecked());
    connect(action, &QAction::toggled, this, [this, c](bool on) { table_->setColumnHidden(c, !on); });
  }
  menu.exec(at);
}

void TableView::copy() const { QApplication::clipboard()->setText(selected_text()); }

}  // namespace fathom::gui
