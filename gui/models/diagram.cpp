#include "gui/models/diagram.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fathom::gui {
namespace {

constexpr double lane = 0.3;        // room that a passing line takes, in widths of a box
constexpr double straightness = 8;  // how much more a passing line wants to go straight than a box wants to be near its neighbours
constexpr int most_sweeps = 8;

using Indices = std::vector<std::size_t>;
enum class Side : unsigned char { above, below };

// What stands in a layer: a node, or a line that passes.
struct Site {
  std::size_t layer = 0;
  bool passing = false;
  Indices above{}, below{};  // neighbours in the next layers
  double x = 0;
};

// The method of Sugiyama, Tagawa and Toda (1981): layers, then an order in each, then places.
struct Layers {
  std::vector<Site> sites;    // the nodes, then what passes
  std::vector<Indices> rows;  // sites of each layer from left to right
};

// Layers by longest path: as many rounds as the longest path has edges.
void rank(const Diagram& d, std::vector<Site>& sites) {
  for (bool changed = true; changed;) {
    changed = false;
    for (const auto& e : d.edges) {
      if (sites[e.to].layer > sites[e.from].layer) continue;
      sites[e.to].layer = sites[e.from].layer + 1;
      changed = true;
    }
  }
}

// The sites that an edge passes, from top to bottom.
Indices add_chain(const Edge& e, std::vector<Site>& sites) {
  Indices chain;
  std::size_t last = e.from;
  const auto join = [&](std::size_t next) {
    sites[last].below.push_back(next);
    sites[next].above.push_back(last);
    last = next;
  };
  for (auto layer = sites[e.from].layer + 1; layer < sites[e.to].layer; ++layer) {
    sites.push_back({.layer = layer, .passing = true});
    chain.push_back(sites.size() - 1);
    join(chain.back());
  }
  join(e.to);
  return chain;
}

double apart(const Site& a, const Site& b) { return ((a.passing ? lane : column_step) + (b.passing ? lane : column_step)) / 2; }

// Side by side in their order, the middle at 0.
void spread(Layers& l, const Indices& row) {
  double x = 0;
  for (std::size_t i = 0; i < row.size(); ++i) l.sites[row[i]].x = x += i == 0 ? 0 : apart(l.sites[row[i - 1]], l.sites[row[i]]);
  for (const auto s : row) l.sites[s].x -= x / 2;
}

// Where a site wants to be: in the middle of its neighbours on one side.
double wanted(const Layers& l, std::size_t site, Side side) {
  const auto& s = l.sites[site];
  const auto& neighbours = side == Side::above ? s.above : s.below;
  if (neighbours.empty()) return s.x;
  double sum = 0;
  for (const auto n : neighbours) sum += l.sites[n].x;
  return sum / static_cast<double>(neighbours.size());
}

template <class F>
void sweep(Layers& l, F f) {
  for (auto row = l.rows.begin(); row != l.rows.end(); ++row) f(*row, Side::above);
  for (auto row = l.rows.rbegin(); row != l.rows.rend(); ++row) f(*row, Side::below);
}

std::size_t crossings(const Layers& l) {
  std::size_t count = 0;
  for (const auto& row : l.rows) {
    std::vector<std::pair<double, double>> lines;
    for (const auto s : row)
      for (const auto n : l.sites[s].below) lines.emplace_back(l.sites[s].x, l.sites[n].x);
    for (const auto& a : lines)
      count += static_cast<std::size_t>(std::ranges::count_if(lines, [&](const auto& b) { return a.first < b.first && a.second > b.second; }));
  }
  return count;
}

// By barycentres, as long as that helps.
void order(Layers& l) {
  for (const auto& row : l.rows) spread(l, row);
  auto best = l;
  auto least = crossings(l);
  for (int i = 0; i < most_sweeps && least > 0; ++i) {
    sweep(l, [&](Indices& row, Side side) {
      std::vector<std::pair<double, std::size_t>> by;
      for (const auto s : row) by.emplace_back(wanted(l, s, side), s);
      std::ranges::stable_sort(by, {}, &std::pair<double, std::size_t>::first);
      std::ranges::transform(by, row.begin(), &std::pair<double, std::size_t>::second);
      spread(l, row);
    });
    if (const auto now = crossings(l); now < least) {
      least = now;
      best = l;
    }
  }
  l = std::move(best);
}

// The places nearest to the wanted ones, by weighted least squares, that keep the order and the distances: neighbours that would overlap move as
// one (pool adjacent violators).
void settle(Layers& l, const Indices& row, Side side) {
  struct Pool {
    double weight, sum;
    std::size_t count;
    [[nodiscard]] double mean() const { return sum / weight; }
  };
  std::vector<Pool> pools;
  std::vector<double> offsets;
  for (std::size_t i = 0; i < row.size(); ++i) {
    offsets.push_back(i == 0 ? 0 : offsets.back() + apart(l.sites[row[i - 1]], l.sites[row[i]]));
    const double weight = l.sites[row[i]].passing ? straightness : 1;
    pools.push_back({weight, weight * (wanted(l, row[i], side) - offsets.back()), 1});
    while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
      const auto p = pools.back();
      pools.pop_back();
      pools.back() = {pools.back().weight + p.weight, pools.back().sum + p.sum, pools.back().count + p.count};
    }
  }
  std::size_t i = 0;
  for (const auto& p : pools)
    for (const auto end = i + p.count; i < end; ++i) l.sites[row[i]].x = p.mean() + offsets[i];
}

}  // namespace

void lay_out(Diagram& d) {
  if (d.nodes.empty()) return;
  Layers l{.sites = std::vector<Site>(d.nodes.size()), .rows = {}};
  rank(d, l.sites);
  std::vector<Indices> chains;
  for (const auto& e : d.edges) chains.push_back(add_chain(e, l.sites));
  for (std::size_t s = 0; s < l.sites.size(); ++s) {
    l.rows.resize(std::max(l.rows.size(), l.sites[s].layer + 1));
    l.rows[l.sites[s].layer].push_back(s);
  }
  order(l);
  for (int i = 0; i < most_sweeps; ++i) sweep(l, [&](const Indices& row, Side side) { settle(l, row, side); });

  const double left = std::ranges::min(l.sites, {}, &Site::x).x;
  const auto place = [&](std::size_t s, double below) { return Place{l.sites[s].x - left, row_step * static_cast<double>(l.sites[s].layer) + below}; };
  for (std::size_t n = 0; n < d.nodes.size(); ++n) d.nodes[n].at = place(n, 0);
  for (std::size_t e = 0; e < d.edges.size(); ++e) {
    d.edges[e].bends.clear();
    for (const auto s : chains[e]) d.edges[e].bends.insert(d.edges[e].bends.end(), {place(s, -0.5), place(s, 0.5)});  // straight past the boxes beside it
  }
}

std::string dump(const Diagram& d) {
  auto out = d.title + "\n";
  if (!d.empty.empty()) return out + "empty: " + d.empty + "\n";
  for (const auto& f : d.frames) out += fmt::format("frame {} from {:.4g} {:.4g} to {:.4g} {:.4g}\n", f.label, f.first.x, f.first.y, f.last.x, f.last.y);
  for (const auto& n : d.nodes) out += fmt::format("{:.4g} {:.4g} {} | {} | {} ({})\n", n.at.x, n.at.y, n.label, n.detail, n.key, n.colour);
  for (const auto& e : d.edges) {
    out += fmt::format("{} {} {}", d.nodes[e.from].label, e.arrow ? "->" : "--", d.nodes[e.to].label);
    for (const auto& b : e.bends) out += fmt::format(" by {:.4g} {:.4g}", b.x, b.y);
    out += e.label.empty() ? "\n" : fmt::format(": {}\n", e.label);
  }
  return out;
}

}  // namespace fathom::gui
