#include "gui/models/session.h"

#include <gtest/gtest.h>

#include <QTemporaryDir>

#include "gui/models/file.h"

namespace fathom::gui {
namespace {

TEST(Session, WhatIsKeptIsFoundByTheNextAppInItsPlace) {
  const QTemporaryDir folder;
  {
    const Session first(folder.path());
    EXPECT_FALSE(first.lost());
    first.keep({QStringLiteral("/a b/x.toml"), "system = \"h200_sxm\"\n"});
    const Session beside(folder.path());  // another app that runs at the same time
    EXPECT_FALSE(beside.lost());
  }
  const Session next(folder.path());
  ASSERT_TRUE(next.lost());
  EXPECT_EQ(next.lost()->path, QStringLiteral("/a b/x.toml"));
  EXPECT_EQ(next.lost()->text, "system = \"h200_sxm\"\n");
  next.forget();
  EXPECT_FALSE(next.lost());
}

TEST(Session, TwoThatEndedEarlyAreBothFound) {
  const QTemporaryDir folder;
  {
    const Session first(folder.path()), second(folder.path());
    first.keep({{}, "1"});
    second.keep({{}, "2"});
  }
  const Session a(folder.path()), b(folder.path());
  ASSERT_TRUE(a.lost() && b.lost());
  EXPECT_NE(a.lost()->text, b.lost()->text);
}

TEST(Session, AnUnsavedDocumentMayHaveNoPath) {
  const QTemporaryDir folder;
  const Session session(folder.path());
  session.keep({{}, "# first line\n[workload]\n"});
  EXPECT_EQ(session.lost()->path, QString());
  EXPECT_EQ(session.lost()->text, "# first line\n[workload]\n");
}

TEST(Session, ADroppedFileIsAModelOrAScenario) {
  const QTemporaryDir folder;
  const auto scenario = folder.filePath(QStringLiteral("s.toml"));
  write_file(scenario, "system = \"h800_sxm\"\n");
  EXPECT_EQ(kind_of(scenario), FileKind::scenario);
  EXPECT_EQ(kind_of(QStringLiteral("config.json")), FileKind::model);
  EXPECT_EQ(kind_of(QStringLiteral("model_spec/specs/deepseek-v3.2.toml")), FileKind::model);
}

}  // namespace
}  // namespace fathom::gui
