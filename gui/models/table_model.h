// A table of a report as Qt's views want it: a line per record, or for Form::columns a line per field.
#pragma once

#include <QAbstractTableModel>

#include <string>
#include <vector>

#include "simulator/report.h"

namespace fathom::gui {

class TableModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Role : int {
    sort_role = Qt::UserRole,  // a number where the cell is one
    key_role,                  // of the record in this line; empty if there is none
  };
  using QAbstractTableModel::QAbstractTableModel;

  // keys: of the records, or none. Fields that are for machines, or apply to no record, are left out.
  void set_table(simulator::Table table, std::vector<std::string> keys);
  [[nodiscard]] const simulator::Table& table() const { return table_; }
  [[nodiscard]] bool by_field() const { return table_.form == simulator::Form::columns; }
  [[nodiscard]] bool is_number(int column) const;      // and so stands at the right
  [[nodiscard]] int row_of(const QString& key) const;  // -1: none

  [[nodiscard]] int rowCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] int columnCount(const QModelIndex& parent = {}) const override;
  [[nodiscard]] QVariant data(const QModelIndex&, int role) const override;
  [[nodiscard]] QVariant headerData(int section, Qt::Orientation, int role) const override;

 private:
  [[nodiscard]] int names() const;  // columns before the first of cells: 1 with a name for each line, or 0
  [[nodiscard]] QString name(std::size_t line) const;

  simulator::Table table_;
  std::vector<std::string> keys_;
  std::vector<std::size_t> fields_;  // shown
};

// Lines with headings, cells parted by tabs, as spreadsheets paste them.
QString to_tsv(const QAbstractItemModel&, const std::vector<int>& rows, const std::vector<int>& columns);

}  // namespace fathom::gui
