// Boxes and lines as data: the operator graph and the cluster. One widget draws both.
#pragma once

#include <string>
#include <vector>

namespace fathom::gui {

struct Place {
  double x = 0, y = 0;  // in widths and heights of a box
};

struct Node {
  std::string key;     // what it stands for, the same in every view; empty: nothing that other views know
  std::string label;   // first line
  std::string detail;  // second line, smaller; may be empty
  std::string tip;     // lines shown beside the pointer
  int colour = 0;      // of the palette
  Place at{};          // its centre
};

struct Edge {
  std::size_t from = 0, to = 0;  // nodes
  std::string label;
  bool arrow = true;
  double weight = 1;         // of the line
  std::vector<Place> bends;  // where the line passes on its way, so that it runs under no box
};

// A frame behind the nodes that belong together, around the centres of the outermost ones.
struct Frame {
  std::string label;
  Place first, last;  // top left, bottom right
};

struct Diagram {
  std::string title;
  std::vector<Node> nodes;
  std::vector<Edge> edges;
  std::vector<Frame> frames;
  std::string empty;  // why there is nothing to show; empty: there is
};

// How far apart boxes stand, centre to centre.
inline constexpr double column_step = 1.25, row_step = 1.8;

// Places the nodes in layers from top to bottom, each below all that it depends on (longest path), and within a layer by the mean place of its
// neighbours; lines that pass layers get bends there. The same diagram always gets the same places. Precondition: edges make no cycle.
void lay_out(Diagram&);

std::string dump(const Diagram&);  // for tests

}  // namespace fathom::gui
