#include "gui/models/timeline_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "gui/models/html.h"

namespace fathom::gui {
namespace {

struct Sum {
  double row = 0;
  std::string name;  // first line of the tip
  double time = 0;
  int spans = 0;
};

std::vector<Sum> sums_of(const Chart& timeline, double from, double to) {
  std::vector<Sum> out;
  for (const auto& s : timeline.series)
    for (const auto& m : s.marks) {
      const double inside = std::min(to, m.x + m.size) - std::max(from, m.x);
      if (s.look != Look::spans || inside <= 0) continue;
      const auto name = m.tip.substr(0, m.tip.find('\n'));
      auto found = std::ranges::find_if(out, [&](const Sum& sum) { return sum.row == m.y && sum.name == name; });
      if (found == out.end()) found = out.insert(out.end(), {m.y, name});
      found->time += inside;
      ++found->spans;
    }
  std::ranges::stable_sort(out, [](const Sum& a, const Sum& b) { return a.row != b.row ? a.row < b.row : a.time > b.time; });
  return out;
}

}  // namespace

std::string range_html(const Chart& timeline, double from, double to) {
  auto out = fmt::format("<h3>From {:.4g} to {:.4g} ms: {:.4g} ms</h3><table cellpadding=\"3\">", from, to, to - from);
  double row = -1;
  for (const auto& sum : sums_of(timeline, from, to)) {
    if (sum.row != row) {
      const auto index = static_cast<std::size_t>(sum.row);
      out += fmt::format("<tr><td colspan=\"4\"><b>{}</b></td></tr>", index < timeline.y.categories.size() ? escaped_html(timeline.y.categories[index]) : "");
      row = sum.row;
    }
    out += fmt::format("<tr><td>{}</td><td align=\"right\">{}</td><td align=\"right\">{:.4g} ms</td><td align=\"right\">{:.1f} %</td></tr>",
                       escaped_html(sum.name), sum.spans, sum.time, 100 * sum.time / (to - from));
  }
  return out + "</table>";
}

}  // namespace fathom::gui
