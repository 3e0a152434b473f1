#include "gui/widgets/palette.h"

#include <QGuiApplication>

#include <algorithm>
#include <array>
#include <cmath>

namespace fathom::gui {
namespace {

constexpr std::array<QRgb, 8> okabe_ito{0xff0072b2, 0xffe69f00, 0xff009e73, 0xffcc79a7, 0xff56b4e9, 0xffd55e00, 0xffb8a800, 0xff767676};

// viridis at 0, 1/4, 1/2, 3/4, 1 (matplotlib's colour map, in the public domain).
constexpr std::array<QRgb, 5> viridis{0xff440154, 0xff3b528b, 0xff21918c, 0xff5ec962, 0xfffde725};

QColor between(QRgb a, QRgb b, double t) {
  const auto mix = [&](int x, int y) { return static_cast<int>(std::lround(x + t * (y - x))); };
  return {mix(qRed(a), qRed(b)), mix(qGreen(a), qGreen(b)), mix(qBlue(a), qBlue(b))};
}

QPalette palette(const QColor& ground, const QColor& paper, const QColor& ink, const QColor& faint, const QColor& accent) {
  QPalette p(ink, ground, ground.lighter(120), ground.darker(150), ground.darker(120), ink, Qt::white, paper, ground);
  p.setColor(QPalette::AlternateBase, between(paper.rgb(), ground.rgb(), 0.6));
  p.setColor(QPalette::Highlight, accent);
  p.setColor(QPalette::HighlightedText, Qt::white);
  p.setColor(QPalette::Link, accent);
  p.setColor(QPalette::ToolTipBase, paper);
  p.setColor(QPalette::ToolTipText, ink);
  p.setColor(QPalette::PlaceholderText, faint);
  for (const auto role : {QPalette::Text, QPalette::ButtonText, QPalette::WindowText}) p.setColor(QPalette::Disabled, role, faint);
  return p;
}

}  // namespace

QColor series_colour(int index, bool dark) {
  const auto at = static_cast<std::size_t>(index) % (2 * okabe_ito.size());
  const auto colour = okabe_ito[at % okabe_ito.size()];
  if (at >= okabe_ito.size()) return between(colour, dark ? qRgb(0, 0, 0) : qRgb(255, 255, 255), 0.5);
  return dark ? QColor::fromRgb(colour).lighter(125) : QColor::fromRgb(colour);
}

QColor heat_colour(double share) {
  const double at = std::clamp(share, 0.0, 1.0) * (viridis.size() - 1);
  const auto low = std::min<std::size_t>(static_cast<std::size_t>(at), viridis.size() - 2);
  return between(viridis[low], viridis[low + 1], at - static_cast<double>(low));
}

QPalette palette_of(Theme theme) {
  static const QPalette own = QGuiApplication::palette();  // of the system, before we set one
  if (theme == Theme::light) return palette(0xf3f4f6, 0xffffff, 0x1f2328, 0x767c85, 0x0b62a8);
  if (theme == Theme::dark) return palette(0x24272c, 0x1a1d21, 0xe4e7eb, 0x8b929c, 0x3d8fd6);
  return own;
}

bool is_dark(const QPalette& p) { return p.color(QPalette::Base).lightness() < 128; }

}  // namespace fathom::gui
