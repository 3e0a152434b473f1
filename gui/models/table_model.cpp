#include "gui/models/table_model.h"

#include <QStringList>

#include <algorithm>

namespace fathom::gui {
namespace {

using namespace simulator;

QString spaced(const std::string& name) { return QString::fromStdString(name).replace(QLatin1Char('_'), QLatin1Char(' ')); }

QVariant sort_value(const Cell& cell, Kind kind) {
  if (const auto* whole = std::get_if<std::int64_t>(&cell)) return static_cast<double>(*whole);
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  return std::holds_alternative<std::monostate>(cell) ? QVariant() : QString::fromStdString(shown(cell, kind));
}

}  // namespace

void TableModel::set_table(Table table, std::vector<std::string> keys) {
  beginResetModel();
  table_ = std::move(table);
  keys_ = std::move(keys);
  fields_.clear();
  for (std::size_t f = 0; f < table_.fields.size(); ++f) {
    const bool applies = std::ranges::any_of(table_.records, [&](const Record& r) { return !std::holds_alternative<std::monostate>(r.cells[f]); });
    if (applies && !table_.fields[f].machines_only) fields_.push_back(f);
  }
  endResetModel();
}

int TableModel::names() const {
  return by_field() || std::ranges::any_of(table_.records, [](const Record& r) { return !r.name.empty(); }) ? 1 : 0;
}

QString TableModel::name(std::size_t line) const {
  return by_field() ? QString::fromStdString(table_.fields[fields_[line]].heading) : spaced(table_.records[line].name);
}

bool TableModel::is_number(int column) const {
  if (column < names()) return false;
  return by_field() || table_.fields[fields_[static_cast<std::size_t>(column - names())]].kind != Kind::text;
}

int TableModel::row_of(const QString& key) const {
  const auto found = std::ranges::find(keys_, key.toStdString());
  return by_field() || key.isEmpty() || found == keys_.end() ? -1 : static_cast<int>(found - keys_.begin());
}

int TableModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(by_field() ? fields_.size() : table_.records.size());
}

int TableModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : names() + static_cast<int>(by_field() ? table_.records.size() : fields_.size());
}

QVariant TableModel::data(const QModelIndex& index, int role) const {
  if (!index.isValid()) return {};  // views ask for the current cell even if there is none
  const auto line = static_cast<std::size_t>(index.row());
  if (role == key_role) return !by_field() && line < keys_.size() ? QString::fromStdString(keys_[line]) : QString();
  if (role == Qt::TextAlignmentRole) return QVariant::fromValue(Qt::AlignVCenter | (is_number(index.column()) ? Qt::AlignRight : Qt::AlignLeft));
  if (role != Qt::DisplayRole && role != Qt::ToolTipRole && role != sort_role) return {};  // a tip for what is cut
  if (index.column() < names()) return name(line);
  const auto column = static_cast<std::size_t>(index.column() - names());
  const auto field = fields_[by_field() ? line : column];
  const auto& cell = table_.records[by_field() ? column : line].cells[field];
  const auto kind = table_.fields[field].kind;
  return role == sort_role ? sort_value(cell, kind) : QString::fromStdString(shown(cell, kind));
}

QVariant TableModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || section >= columnCount()) return {};
  if (role == Qt::TextAlignmentRole) return QVariant::fromValue(Qt::AlignVCenter | (is_number(section) ? Qt::AlignRight : Qt::AlignLeft));
  if (role != Qt::DisplayRole && role != Qt::ToolTipRole) return {};
  if (section < names()) return QString();
  const auto column = static_cast<std::size_t>(section - names());
  return by_field() ? spaced(table_.records[column].name) : QString::fromStdString(table_.fields[fields_[column]].heading);
}

QString to_tsv(const QAbstractItemModel& model, const std::vector<int>& rows, const std::vector<int>& columns) {
  QString out;
  const auto line = [&](const auto& cell) {
    QStringList cells;
    for (const int c : columns) cells << cell(c).toString();
    out += cells.join(QLatin1Char('\t')) + QLatin1Char('\n');
  };
  line([&](int c) { return model.headerData(c, Qt::Horizontal, Qt::DisplayRole); });
  for (const int r : rows) line([&](int c) { return model.index(r, c).data(); });
  return out;
}

}  // namespace fathom::gui
