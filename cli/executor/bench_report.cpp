#include "cli/executor/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "executor/numerics.h"

namespace fathom::cli {
namespace {

std::string count_text(std::int64_t n) { return n >= 1024 && n % 1024 == 0 ? fmt::format("{}Ki", n / 1024) : fmt::format("{}", n); }

// What of an operator depends on the batch: "32", or "32x1+4Ki".
std::string size_text(const Op& op) {
  return std::visit(
      [](const auto& o) {
        if constexpr (requires { o.sequences; }) return fmt::format("{}x{}+{}", count_text(o.sequences), count_text(o.new_tokens), count_text(o.cached_tokens));
        else if constexpr (requires { o.capacity; }) return count_text(o.capacity);
        else if constexpr (requires { o.rows; }) return count_text(std::llround(o.rows));
        else return count_text(o.tokens);
      },
      op);
}

bool timed(const BenchRow& r) { return r.reason.empty(); }
bool impossible(const BenchRow& r) { return timed(r) && !r.speed.possible(); }

std::string label_text(const BenchRow& r) {
  const auto more = r.record.labels.size() - 1;
  return r.record.labels.front() + (more > 0 ? fmt::format(" +{}", more) : "");
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, " ")); }

template <class F>
Cell if_timed(const BenchRow& r, F value) {
  return timed(r) ? Cell{value(r)} : Cell{};
}
double us(Seconds s) { return s.value * 1e6; }

struct Column {
  TableField field;
  Cell (*value)(const BenchRow&);
};

const std::array<Column, 17> columns{{
    {{"label", "", Kind::text}, [](const BenchRow& r) -> Cell { return label_text(r); }},
    {{"size", "size", Kind::text}, [](const BenchRow& r) -> Cell { return size_text(r.measured.op) + (impossible(r) ? " !" : ""); }},
    {{"covers", "", Kind::text, true}, [](const BenchRow& r) -> Cell { return joined(r.record.labels); }},
    {{"op", "", Kind::text, true}, [](const BenchRow& r) -> Cell { return std::string(op_name(r.measured.op)); }},
    {{"sizes", "", Kind::text, true}, [](const BenchRow& r) -> Cell { return sizes_text(r.measured.op); }},
    {{"n", "", Kind::count, true}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return t.measured.n; }); }},
    {{"median_us", "us", Kind::real}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return us(t.measured.median); }); }},
    {{"p10_us", "", Kind::real, true}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return us(t.measured.p10); }); }},
    {{"p90_us", "", Kind::real, true}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return us(t.measured.p90); }); }},
    {{"TFLOPS", "TFLOPS", Kind::real}, [](const BenchRow& r) { return timed(r) && r.speed.flops.value > 0 ? Cell{r.speed.flops.value / 1e12} : Cell{}; }},
    {{"GBps", "GB/s", Kind::real}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return t.speed.bytes.value / 1e9; }); }},
    {{"floor_us", "", Kind::real, true}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return us(t.speed.predicted.floor); }); }},
    {{"floor_percent", "% of floor", Kind::percent},
     [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return 100 * t.speed.floor_share; }); }},
    {{"predicted_us", "predicted", Kind::real}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return us(t.speed.predicted.total); }); }},
    {{"bound", "", Kind::text, true},
     [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return std::string(name_of(t.speed.predicted.bound)); }); }},
    {{"possible", "", Kind::text, true}, [](const BenchRow& r) { return if_timed(r, [](const BenchRow& t) { return t.speed.possible(); }); }},
    {{"reason", "", Kind::text, true}, [](const BenchRow& r) { return timed(r) ? Cell{} : Cell{r.reason}; }},
}};

Table operators_table(const std::vector<BenchRow>& rows) {
  Table t{.key = "operators", .title = {}, .form = Form::rows, .fields = {}, .records = {}};
  for (const auto& c : columns) t.fields.push_back(c.field);
  for (const auto& row : rows) {
    t.records.push_back({"", {}});
    for (const auto& c : columns) t.records.back().cells.push_back(c.value(row));
  }
  return t;
}

Cell percent_of_repeats(const BenchResult& result, double share) {
  if (result.repeated.empty()) return {};
  auto off = result.repeated;
  for (auto& v : off) v = std::abs(v);
  std::ranges::sort(off);
  return 100 * off[static_cast<std::size_t>(share * static_cast<double>(off.size() - 1))];
}

void add_cell(Table& t, const char* key, const char* heading, Kind kind, Cell value) {
  t.fields.push_back({key, heading, kind});
  t.records[0].cells.push_back(std::move(value));
}

Table machine_table(const BenchResult& result) {
  auto t = device_table(result.about, result.system);
  const auto add = [&](const char* key, const char* heading, Kind kind, Cell value) { add_cell(t, key, heading, kind, std::move(value)); };
  add("points", "points of the grid", Kind::count, result.points);
  add("operators", "operators", Kind::count, static_cast<std::int64_t>(std::ssize(result.rows)));
  add("seconds", "took, s", Kind::real, result.seconds);
  add("repeated", "timed again at the end", Kind::count, static_cast<std::int64_t>(std::ssize(result.repeated)));
  add("repeatability_percent", "apart, % (median)", Kind::percent, percent_of_repeats(result, 0.5));
  add("worst_repeatability_percent", "apart, % (most)", Kind::percent, percent_of_repeats(result, 1));
  return t;
}

std::vector<std::string> notes_on(const BenchResult& result) {
  std::vector<std::string> notes{
      "size: tokens, rows, or sequences x new tokens + cached ones; +n: so many other steps have the same operator",
      "us: median of replays; % of floor: the operator's cost at the peaks of " + result.system + ", over that; predicted: us, by `fathom estimate`'s rules"};
  if (const auto n = std::ranges::count_if(result.rows, impossible); n > 0)
    notes.push_back(fmt::format("! faster than its floor: {} of {} operators; the device is {}: --system says whose peaks are meant", n, result.rows.size(),
                                result.about.device));
  for (const auto& row : result.rows)
    if (!timed(row)) notes.push_back(fmt::format("not timed: {} {}: {}", row.record.labels.front(), size_text(row.record.op), row.reason));
  return notes;
}

}  // namespace

Table device_table(const hardware_profiles::Measurements& about, const std::string& system) {
  Table t{.key = "bench", .title = {}, .form = Form::columns, .fields = {}, .records = {{}}};
  const auto add = [&](const char* key, const char* heading, const std::string& value) { add_cell(t, key, heading, Kind::text, value); };
  add("device", "device", about.device);
  add("driver", "driver", about.versions.driver);
  add("cuda", "CUDA", about.versions.cuda);
  add("cublas_lt", "cuBLASLt", about.versions.cublas_lt);
  add("fathom", "fathom", about.versions.fathom);
  add("kernel_set", "kernels", about.kernel_set);
  add("date", "date", about.date);
  add("system", "floors of", system);
  return t;
}

Report report_of(const BenchResult& result) {
  const auto all = operators_table(result.rows);
  const auto n = std::ranges::count_if(result.rows, timed);
  return {.answer = fmt::format("timed {} operator{} on {}, floors of {}", n, n == 1 ? "" : "s", result.about.device, result.system),
          .tables = {all, machine_table(result)},
          .notes = notes_on(result),
          .csv = all};
}

hardware_profiles::Measurements measurements_of(const BenchResult& result) {
  auto out = result.about;
  for (const auto& row : result.rows)
    if (timed(row)) out.all.push_back(row.measured);
  return out;
}

}  // namespace fathom::cli
