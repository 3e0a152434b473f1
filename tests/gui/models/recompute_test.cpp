#include "gui/models/recompute.h"

#include <gtest/gtest.h>

#include <QCoreApplication>
#include <QElapsedTimer>

namespace fathom::gui {
namespace {

// Runs the event loop until `done`, at most ten seconds.
template <class Done>
bool until(Done done) {
  QElapsedTimer timer;
  timer.start();
  while (!done() && timer.elapsed() < 10'000) QCoreApplication::processEvents(QEventLoop::AllEvents, 20);
  return done();
}

TEST(Recompute, TheNewestQuestionWins) {
  int argc = 0;
  QCoreApplication app(argc, nullptr);
  Recompute recompute;
  std::vector<std::string> answers;
  std::int64_t curves = 0;
  QObject::connect(&recompute, &Recompute::answered, [&](const SharedAnswer& a) { answers.push_back(std::to_string(a->scenario->workload.isl)); });
  QObject::connect(&recompute, &Recompute::curved,
                   [&](const SharedAnswer& a, const Curves& c) { curves += c.decode.empty.empty() ? a->scenario->workload.isl : 0; });
  for (int isl = 1000; isl <= 1100; ++isl) recompute.ask("[workload]\nisl = " + std::to_string(isl) + "\n", "x.toml");
  EXPECT_TRUE(recompute.busy());
  EXPECT_TRUE(until([&] { return curves > 0; }));
  EXPECT_EQ(answers, std::vector<std::string>{"1100"});
  EXPECT_EQ(curves, 1100);
  EXPECT_FALSE(recompute.busy());
}

TEST(Recompute, EndsWhileItComputes) {
  int argc = 0;
  QCoreApplication app(argc, nullptr);
  for (int i = 0; i < 5; ++i) {
    Recompute recompute;
    recompute.ask("", "x.toml");
  }
}

}  // namespace
}  // namespace fathom::gui
