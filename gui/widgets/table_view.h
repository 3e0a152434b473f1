// Shows any Table of a report, with a filter on top: sorted by values, copied as TSV, exported as CSV.
#pragma once

#include <QSortFilterProxyModel>
#include <QWidget>

#include "gui/models/table_model.h"

class QLabel;
class QLineEdit;
class QTableView;

namespace fathom::gui {

class TableView : public QWidget {
  Q_OBJECT

 public:
  explicit TableView(QWidget* parent = nullptr);

  // keys: of the records, or none. A table with the same columns keeps their widths, the sort order and the selection.
  void set_table(const simulator::Table&, std::vector<std::string> keys);
  void set_empty(const QString& why);  // in its place, until the next table; columns and order stay
  void set_selected(const QString& key);
  [[nodiscard]] const QString& selected() const { return selected_; }
  [[nodiscard]] QString selected_text() const;  // the selected lines with headings, tabs between cells
  // All records in full precision. error: one line, if it fails.
  bool export_csv(const QString& path, QString* error) const;

 Q_SIGNALS:
  void key_clicked(const QString& key);  // also when the arrow keys move to its line

 private:
  void set_up_filter();
  void set_up_table();
  void start_columns();
  void show_selected();
  void take_current(const QModelIndex&);
  void show_menu(const QPoint& at);
  void copy() const;
  void ask_and_export();
  [[nodiscard]] QStringList headings() const;
  [[nodiscard]] std::vector<int> widths() const;
  [[nodiscard]] std::vector<int> shown_columns() const;  // from left to right

  TableModel model_;
  QSortFilterProxyModel sorted_;
  QLabel* reason_;
  QLineEdit* filter_;
  QTableView* table_;
  QString selected_;
  bool showing_ = false;  // what others selected: not a click
};

}  // namespace fathom::gui
