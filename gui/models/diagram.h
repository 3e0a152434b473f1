// Boxes and lines as data: the operator graph and the cluster. One widget draws both.
#pragma once

#include <string>
#include <vector>

namespace fathom::gui {

struct Node {
  std::string key;      // what it stands for, the same in every view; empty: nothing that other views know
  std::string label;    // first line
  std::string detail;   // second line, smaller; may be empty
  std::string tip;      // lines shown beside the pointer
  int colour = 0;       // of the palette
  double x = 0, y = 0;  // of its centre, in widths and heights of a box
};

struct Edge {
  std::size_t from = 0, to = 0;  // nodes
  std::string label;
  bool arrow = true;
  double weight = 1;  // of the line
};

struct Diagram {
  std::string title;
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::string empty;  // why there is nothing to show; empty: there is
};

// Places the nodes in layers from top to bottom, each below all that it depends on (longest path), and within a layer by the mean place of its
// neighbours. The same diagram always gets the same places. Precondition: edges make no cycle.
void lay_out(Diagram&);

std::string dump(const Diagram&);  // for tests

}  // namespace fathom::gui
