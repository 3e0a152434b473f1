#include "gui/models/answer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gui/models/key_figures.h"
#include "gui/models/report_html.h"
#include "gui/models/views.h"
#include "model_spec/user_folder.h"

namespace fathom::gui {
namespace {

TEST(Answer, OfNothingIsTheDefaultScenario) {
  const auto a = answer("", "x.toml");
  EXPECT_TRUE(a.faults.empty());
  ASSERT_TRUE(a.estimate);
  EXPECT_TRUE(a.report.answer.starts_with("fits: deepseek-v3.2 on 32 prefill and 144 decode GPUs")) << a.report.answer;
}

TEST(Answer, FaultsNameLineAndKey) {
  const auto a = answer("system = \"h800_sxm\"\n[workload]\nisl = -3\n", "x.toml");
  ASSERT_EQ(a.faults.size(), 1u);
  EXPECT_EQ(a.faults[0].line, 3);
  EXPECT_EQ(a.faults[0].key, "workload.isl");
  EXPECT_FALSE(a.faults[0].message.empty());
  EXPECT_FALSE(a.estimate);
}

TEST(Answer, FaultsOfTheTextNameTheLine) {
  const auto a = answer("isl = = 3\n", "x.toml");
  ASSERT_EQ(a.faults.size(), 1u);
  EXPECT_EQ(a.faults[0].line, 1);
  EXPECT_EQ(a.faults[0].key, "");
}

TEST(Answer, EveryOperatorHasAKeyThatFindsIt) {
  const auto a = answer("", "x.toml");
  for (const auto p : {PhaseName::prefill, PhaseName::decode})
    for (const auto& o : cli::operator_totals(a.estimated(p).trace)) {
      const auto found = find_operator(a, operator_key(p, o));
      ASSERT_TRUE(found) << operator_key(p, o);
      EXPECT_EQ(found->step->label, o.step->label);
      EXPECT_EQ(found->total.value, o.total.value);
    }
}

// A user's folder of its own, with a machine in it.
class UserMachine : public testing::Test {
 protected:
  UserMachine() {
    if (const char* before = std::getenv("XDG_CONFIG_HOME")) before_ = before;
    setenv("XDG_CONFIG_HOME", root_.c_str(), 1);
    const auto folder = model_spec::user_folder("systems");
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "mine.toml") << std::ifstream("hardware_profiles/profiles/h800_sxm.toml").rdbuf();
  }
  ~UserMachine() override {
    std::filesystem::remove_all(root_);
    before_.empty() ? unsetenv("XDG_CONFIG_HOME") : setenv("XDG_CONFIG_HOME", before_.c_str(), 1);
  }
  UserMachine(const UserMachine&) = delete;
  UserMachine& operator=(const UserMachine&) = delete;

  std::filesystem::path root_ = testing::TempDir() + "fathom_answer_test-" + std::to_string(::getpid());  // tests run in parallel
  std::string before_;
};

TEST_F(UserMachine, ThatIsGoneIsStillShown) {
  const auto a = answer("system = \"mine\"\n", "x.toml");
  ASSERT_TRUE(a.estimate) << a.nothing(PhaseName::decode);
  std::filesystem::remove_all(root_);
  ASSERT_FALSE(answer("system = \"mine\"\n", "x.toml").estimate);
  for (const auto p : {PhaseName::prefill, PhaseName::decode}) {
    EXPECT_EQ(roofline_chart(a, p).empty, "");
    EXPECT_EQ(topology_diagram(a, p).empty, "");
    EXPECT_NE(explanation(a, operator_key(p, cli::operator_totals(a.estimated(p).trace)[1])), "");
    EXPECT_NE(curve_chart(a, p).empty, "");  // which computes anew
  }
  EXPECT_NE(report_html(a, {}).find("Every number of"), std::string::npos);
}

}  // namespace
}  // namespace fathom::gui
