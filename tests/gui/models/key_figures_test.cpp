#include "gui/models/key_figures.h"

#include "gui/models/html.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "gui/models/metrics.h"

namespace fathom::gui {
namespace {

// An expression of numbers, + - * / and parentheses.
class Expression {
 public:
  explicit Expression(const std::string& text) : at_(text.c_str()) {}
  double value() {
    const double v = sum();
    EXPECT_EQ(*at_, '\0') << at_;
    return v;
  }
  [[nodiscard]] double largest_term() const { return largest_; }

 private:
  bool take(char c) {
    while (*at_ == ' ') ++at_;
    return *at_ == c && ++at_;
  }
  double term() {
    const double v = product();
    largest_ = std::max(largest_, std::abs(v));
    return v;
  }
  double sum() {
    double v = term();
    while (true) {
      if (take('+')) v += term();
      else if (take('-')) v -= term();
      else return v;
    }
  }
  double product() {
    double v = factor();
    while (true) {
      if (take('*')) v *= factor();
      else if (take('/')) v /= factor();
      else return v;
    }
  }
  double factor() {
    if (take('(')) {
      const double v = sum();
      EXPECT_TRUE(take(')'));
      return v;
    }
    char* end = nullptr;
    const double v = std::strtod(at_, &end);
    EXPECT_NE(at_, end) << at_;
    at_ = end;
    return v;
  }
  const char* at_;
  double largest_ = 0;
};

TEST(Figures, FormulasGiveTheirValues) {
  const std::string scenarios[] = {"", "decode_system = \"h200_sxm\"\n",
                                   "[workload]\nisl = 40000\nosl = 500\nprefix = 8000\nnextn_accepted = 0.7\n[policy]\nmtp_depth = 1\n[decode]\nbatch = 16\n",
                                   "[layout]\ntp = 8\npp = 4\nep = 8\n[workload]\nisl = 60000\n[prices]\nutilisation = 0.5\nusd_per_gpu_hour = 3\n"};
  for (const auto& toml : scenarios) {
    const auto a = answer(toml, "x.toml");
    const auto all = key_figures(a);
    ASSERT_GE(all.size(), 6u) << a.report.answer;
    // Numbers have nine digits, so are right to 5e-9 of themselves; a formula has at most six of them.
    for (const auto& f : all) {
      Expression e(f.filled);
      const double value = e.value();
      EXPECT_NEAR(value, f.number, 3e-8 * e.largest_term()) << f.key << " = " << f.filled;
    }
  }
}

// The JSON of the command line, by the same names.
TEST(Figures, AreThoseOfTheCommandLine) {
  const auto a = answer("", "x.toml");
  const auto json = nlohmann::json::parse(to_json(a.report));
  const std::map<std::string, nlohmann::json> expected{{"figure/ttft", json["request"]["ttft_ms"]},
                                                       {"figure/tpot", json["request"]["tpot_ms"]},
                                                       {"figure/tokens_per_user", json["request"]["output_tokens_per_second_per_user"]},
                                                       {"figure/tokens_per_decode_gpu", json["phases"]["decode"]["output_tokens_per_second_per_gpu"]},
                                                       {"figure/usd_output", json["costs"]["output"]["usd_per_mtok"]},
                                                       {"figure/usd_input", json["costs"]["input_missed"]["usd_per_mtok"]}};
  std::size_t found = 0;
  for (const auto& f : key_figures(a)) {
    const auto at = expected.find(f.key);
    if (at == expected.end()) continue;
    EXPECT_EQ(at->second.get<double>(), f.number) << f.key;
    ++found;
  }
  EXPECT_EQ(found, expected.size());
}

TEST(Figures, TheFirstTokenWaitsForTheFirstChunkAndForAllLaterOnes) {
  const std::string policy = "policy.chunked_prefill_tokens = 8192\n";
  const auto chunk = answer(policy + "workload.isl = 8192\n", "x.toml"), whole = answer(policy + "workload.isl = 40000\n", "x.toml");
  const auto filled = key_figures(whole)[0].filled;
  EXPECT_NEAR(std::stod(filled), 1e3 * chunk.estimate->ttft.value, 2) << filled;  // but for the head
  EXPECT_NE(filled.find(" + 5 * "), std::string::npos) << filled;
}

// One wording for a figure, wherever it is shown.
TEST(Figures, AreCalledAsInOtherViews) {
  std::vector<std::string> labels;
  for (const auto& f : key_figures(answer("", "x.toml"))) labels.push_back(f.label + (f.unit.empty() ? "" : ", " + f.unit));
  for (const auto* id : {"ttft", "tpot", "tokens_per_user", "tokens_per_decode_gpu", "usd_output", "usd_input", "free_memory"})
    EXPECT_EQ(std::ranges::count(labels, label(*find_metric(id))), 1) << id;
}

TEST(Figures, AScenarioThatDoesNotFitHasNone) {
  const auto a = answer("[layout]\ntp = 1\n", "x.toml");
  ASSERT_TRUE(a.estimate);
  EXPECT_FALSE(a.report.feasible);
  EXPECT_TRUE(key_figures(a).empty());
}

TEST(Figures, KeysAreExplained) {
  const auto a = answer("", "x.toml");
  EXPECT_NE(explanation(a, "figure/tpot").find("decode step / tokens per step"), std::string::npos);
  const auto key = operator_key(PhaseName::decode, cli::operator_totals(a.estimate->decode.trace)[1]);
  EXPECT_NE(explanation(a, key).find("time_total"), std::string::npos) << key;
  EXPECT_EQ(explanation(a, "decode/MoE/nothing of the kind"), "");
}

TEST(Figures, HtmlIsEscaped) { EXPECT_EQ(escaped_html("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;"); }

}  // namespace
}  // namespace fathom::gui
