#include "gui/models/timeline_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "gui/models/figures.h"

namespace fathom::gui {
namespace {

struct Sum {
  double time = 0;
  int spans = 0;
};

}  // namespace

std::string range_html(const Chart& timeline, double from, double to) {
  std::map<std::pair<double, std::string>, Sum> sums;  // by row and first line of the tip
  for (const auto& s : timeline.series)
    for (const auto& m : s.marks) {
      const double inside = std::min(to, m.x + m.size) - std::max(from, m.x);
      if (s.look != Look::spans || inside <= 0) continue;
      auto& sum = sums[{m.y, m.tip.substr(0, m.tip.find('\n'))}];
      sum.time += inside;
      ++sum.spans;
    }
  std::vector sorted(sums.begin(), sums.end());
  std::ranges::stable_sort(sorted, [](const auto& a, const auto& b) { return a.first.first != b.first.first ? a.first.first < b.first.first : a.second.time > b.second.time; });
  auto out = fmt::format("<h3>From {:.4g} to {:.4g}: {:.4g}</h3><p>{}</p><table cellpadding=\"3\">", from, to, to - from, escaped_html(timeline.x.title));
  double row = -1;
  for (const auto& [key, sum] : sorted) {
    if (key.first != row) {
      const auto index = static_cast<std::size_t>(key.first);
      out += fmt::format("<tr><td colspan=\"4\"><b>{}</b></td></tr>", index < timeline.y.categories.size() ? escaped_html(timeline.y.categories[index]) : "");
      row = key.first;
    }
    out += fmt::format("<tr><td>{}</td><td align=\"right\">{}</td><td align=\"right\">{:.4g}</td><td align=\"right\">{:.1f} %</td></tr>", escaped_html(key.second),
                       sum.spans, sum.time, 100 * sum.time / (to - from));
  }
  return out + "</table>";
}

}  // namespace fathom::gui
