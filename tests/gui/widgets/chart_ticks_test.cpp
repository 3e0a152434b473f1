#include "gui/widgets/chart_ticks.h"

#include <gtest/gtest.h>

#include <limits>

namespace fathom::gui {
namespace {

struct Ticks {
  QVector<double> at, between;
  QVector<QString> labels;
};

Ticks ticks(QCPAxisTicker& ticker, double least, double most, int count) {
  Ticks t;
  ticker.setTickCount(count);
  ticker.generate({least, most}, {}, QLatin1Char('g'), 6, t.at, &t.between, &t.labels);
  return t;
}

QString labels(QCPAxisTicker& ticker, double least, double most, int count) { return ticks(ticker, least, most, count).labels.toList().join(QLatin1Char(' ')); }

TEST(ShortNumber, HasNoPowerOfTen) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.1 + 0.2), "0.3");
  EXPECT_EQ(short_number(999), "999");
  EXPECT_EQ(short_number(1000), "1k");
  EXPECT_EQ(short_number(-1500), "-1.5k");
  EXPECT_EQ(short_number(131072), "131.072k");
  EXPECT_EQ(short_number(2e6), "2M");
  EXPECT_EQ(short_number(5e9), "5G");
  EXPECT_EQ(short_number(1e12), "1T");
}

TEST(LogTicker, LabelsOneTwoFive) {
  LogTicker t;
  EXPECT_EQ(labels(t, 1, 1000, 12), "1 2 5 10 20 50 100 200 500 1k");
  EXPECT_EQ(labels(t, 0.03, 3, 12), "0.05 0.1 0.2 0.5 1 2");
}

TEST(LogTicker, LabelsDecadesWhereMoreFindNoRoom) {
  LogTicker t;
  EXPECT_EQ(labels(t, 1, 1000, 5), "1 10 100 1k");
  EXPECT_EQ(labels(t, 1, 1e8, 5), "1 100 10k 1M 100M");
}

TEST(LogTicker, MarksEveryDigitOfADecade) {
  LogTicker t;
  EXPECT_EQ(ticks(t, 1, 10, 5).between, (QVector<double>{2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(LogTicker, TakesEvenStepsWithinADecade) {
  LogTicker t;
  EXPECT_EQ(labels(t, 1000, 2000, 5), "1k 1.2k 1.4k 1.6k 1.8k 2k");
}

TEST(LinearTicker, IsShort) {
  LinearTicker t;
  EXPECT_EQ(labels(t, 0, 2000, 5), "0 500 1k 1.5k 2k");
}

TEST(CategoryTicker, NamesWhatIsInRangeAndFits) {
  CategoryTicker all({"a", "b", "c", "d", "e"}, {}, 100);
  EXPECT_EQ(labels(all, -0.5, 4.5, 5), "a b c d e");
  EXPECT_EQ(labels(all, 0.5, 2.5, 5), "b c");
  EXPECT_EQ(labels(all, -0.5, 4.5, 3), "a c e");
}

TEST(CategoryTicker, TakesTheMiddleOutOfLongNames) {
  CategoryTicker t({"the first of many words, and the last"}, {}, 100);
  const auto label = labels(t, -0.5, 0.5, 1);
  EXPECT_TRUE(label.startsWith("the") && label.endsWith("last") && label.contains(QChar(0x2026))) << label.toStdString();
}

}  // namespace
}  // namespace fathom::gui
