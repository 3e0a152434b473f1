// Where an axis has its ticks, and what they say.
#pragma once

#include <string>
#include <vector>

#include "gui/widgets/plot.h"

namespace fathom::gui {

QString short_number(double);  // "0.25", "20", "1.5k", "2M": never a power of ten

// Even steps with short numbers. setTickCount(): how many are asked for.
class LinearTicker : public QCPAxisTicker {
 protected:
  QString getTickLabel(double tick, const QLocale&, QChar, int) override { return short_number(tick); }
};

// 1, 2, 5, 10, 20, ...; whole decades if setTickCount() is too small for these, even steps within less than a decade.
class LogTicker : public LinearTicker {
 protected:
  QVector<double> createTickVector(double step, const QCPRange&) override;
  QVector<double> createSubTickVector(int count, const QVector<double>& ticks) override;
};

// Names at 0, 1, 2, ...: every one that fits setTickCount(), those wider than `width` pixels without their middle.
class CategoryTicker : public QCPAxisTicker {
 public:
  CategoryTicker(const std::vector<std::string>& names, const QFont& font, int width);

 protected:
  QVector<double> createTickVector(double step, const QCPRange&) override;
  QVector<double> createSubTickVector(int, const QVector<double>&) override { return {}; }
  QString getTickLabel(double tick, const QLocale&, QChar, int) override;

 private:
  std::vector<std::string> names_;
  QFontMetrics metrics_;
  int width_;
};

}  // namespace fathom::gui
