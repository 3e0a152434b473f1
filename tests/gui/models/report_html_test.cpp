#include "gui/models/report_html.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fathom::gui {
namespace {

using Json = nlohmann::json;

// HasSubstr would print the page.
bool has(const std::string& html, std::string_view part) { return html.find(part) != std::string::npos; }
std::string cell_html(const std::string& text) { return ">" + text + "</td>"; }
std::string number_html(const Json& value, Kind kind) { return cell_html(shown(Cell{value.get<double>()}, kind)); }

TEST(ReportHtml, HoldsTheNumbersOfTheJson) {
  const auto a = answer("[workload]\nisl = 8000\n", "x.toml");
  const auto html = report_html(a, {});
  const auto json = Json::parse(to_json(a.report));
  for (const auto* key : {"ttft_ms", "tpot_ms", "request_latency_ms", "prefill_gpus"}) EXPECT_TRUE(has(html, number_html(json["request"][key], Kind::real)));
  for (const auto* phase : {"prefill", "decode"})
    for (const auto* key : {"needed_GB", "limit_GB", "latent_cache_GB"}) EXPECT_TRUE(has(html, number_html(json["memory_per_gpu"][phase][key], Kind::fixed)));
  for (const auto* what : {"input_missed", "input_cached", "output"}) EXPECT_TRUE(has(html, number_html(json["costs"][what]["usd_per_mtok"], Kind::usd)));
  EXPECT_TRUE(has(html, cell_html(json["phases"]["decode"]["layout"])));
  EXPECT_TRUE(has(html, json["answer"].get<std::string>()));
  for (const auto& note : a.report.notes) EXPECT_TRUE(has(html, note)) << note;
}

TEST(ReportHtml, HoldsTheStepsTheAssumptionsAndTheSources) {
  const auto a = answer("decode_system = \"h20_sxm\"\n[workload]\nisl = 8000\n", "x.toml");
  const auto html = report_html(a, {});
  for (const auto* part : {"Prefill step by operator", "Decode step by operator", "% SoL", "workload.isl", "x.toml:3", "built in", "of h800_sxm and its source",
                           "of h20_sxm and its source", "hbm_GBps", "Rates of h800_sxm", "Rates of h20_sxm", "DeepGEMM FP8"})
    EXPECT_TRUE(has(html, part)) << part;
}

TEST(ReportHtml, EscapesEveryTextAndNeedsNothingFromElsewhere) {
  auto a = answer("", "<b>&\"'.toml");
  a.report.answer = "a < b & c";
  a.report.notes = {"<script>alert(1)</script>"};
  a.scenario->model.name = "<model>";
  const auto html = report_html(a, {{"Memory <GB>", "data:image/png;base64,AA\"x"}});
  EXPECT_TRUE(has(html, "a &lt; b &amp; c"));
  EXPECT_TRUE(has(html, "&lt;script&gt;"));
  EXPECT_TRUE(has(html, "<title>Fathom: &lt;model&gt;</title>"));
  EXPECT_TRUE(has(html, R"(<img src="data:image/png;base64,AA&quot;x" alt="Memory &lt;GB&gt;" width="620">)"));
  for (const auto* wrong : {"<script", "<link", "href=", "url(", "@import", "src=\"http", "<b>"}) EXPECT_FALSE(has(html, wrong)) << wrong;
  EXPECT_EQ(html, report_html(a, {{"Memory <GB>", "data:image/png;base64,AA\"x"}}));
}

TEST(ReportHtml, SaysWhyThereIsNoEstimate) {
  const auto refused = report_html(answer("decode.batch = 100000", "x.toml"), {});
  EXPECT_TRUE(has(refused, "<p class=\"refused\">does not fit: decode: 100000 sequences"));
  const auto wrong = report_html(answer("\nworkload.isl = -1", "x.toml"), {});
  EXPECT_TRUE(has(wrong, "<li>line 2: workload.isl: "));
}

}  // namespace
}  // namespace fathom::gui
