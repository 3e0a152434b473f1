#include "gui/widgets/chart_ticks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace fathom::gui {
namespace {

double power_of_ten(int exponent) { return std::pow(10.0, exponent); }
int decade_below(double value) { return static_cast<int>(std::floor(std::log10(value) + 1e-9)); }
int decade_above(double value) { return static_cast<int>(std::ceil(std::log10(value) - 1e-9)); }

}  // namespace

QString short_number(double value) {
  static constexpr std::array<std::pair<double, char>, 4> units{{{1e12, 'T'}, {1e9, 'G'}, {1e6, 'M'}, {1e3, 'k'}}};
  const auto text = [](double v) { return QString::number(v, 'g', 8); };
  for (const auto& [unit, letter] : units)
    if (std::abs(value) >= unit * (1 - 1e-9)) return text(value / unit) + QLatin1Char(letter);
  return text(value);
}

QVector<double> LogTicker::createTickVector(double step, const QCPRange& range) {
  const double decades = std::log10(range.upper / range.lower);
  if (decades < 0.9) return QCPAxisTicker::createTickVector(step, range);
  const bool dense = 3 * decades < tickCount();
  const int stride = dense ? 1 : std::max(1, static_cast<int>(std::ceil(decades / tickCount())));
  QVector<double> ticks;
  for (int d = decade_below(range.lower); d <= decade_above(range.upper); ++d) {
    if (d % stride != 0) continue;
    ticks.append(power_of_ten(d));
    if (dense) ticks.append({2 * power_of_ten(d), 5 * power_of_ten(d)});
  }
  return ticks;
}

QVector<double> LogTicker::createSubTickVector(int, const QVector<double>& ticks) {
  QVector<double> between;
  const int first = decade_below(ticks.first()), last = decade_above(ticks.last());
  if (first >= last || last - first > tickCount()) return between;
  for (int d = first; d < last; ++d)
    for (int digit = 2; digit < 10; ++digit) between.append(digit * power_of_ten(d));
  return between;
}

CategoryTicker::CategoryTicker(const std::vector<std::string>& names, const QFont& font, int width) : names_(names), metrics_(font), width_(width) {}

QVector<double> CategoryTicker::createTickVector(double, const QCPRange& range) {
  const int first = std::max(0, static_cast<int>(std::ceil(range.lower)));
  const int last = std::min(static_cast<int>(names_.size()) - 1, static_cast<int>(std::floor(range.upper)));
  const int stride = (std::max(0, last - first) + tickCount()) / tickCount();
  QVector<double> ticks;
  for (int i = first; i <= last; i += stride) ticks.append(i);
  return ticks;
}

QString CategoryTicker::getTickLabel(double tick, const QLocale&, QChar, int) {
  const auto name = QString::fromStdString(names_[static_cast<std::size_t>(tick)]);
  return metrics_.elidedText(name, Qt::ElideMiddle, width_);
}

}  // namespace fathom::gui
