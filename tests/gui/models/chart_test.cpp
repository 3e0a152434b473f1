#include "gui/models/chart.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::gui {
namespace {

TEST(Chart, WhatHasNoValueIsEmptyInCsv) {
  Chart c{.title = "t", .x = {.title = "x", .categories = {"p, q"}}, .y = {.title = "y"}, .series = {}, .guides = {}, .colour_title = {}, .empty = {}};
  c.series = {{.name = "a", .look = Look::line, .marks = {{.x = 0, .y = NAN, .key = "k=1", .tip = {}}, {.x = 2.5, .y = 1, .size = NAN, .key = {}, .tip = {}}}}};
  EXPECT_EQ(to_csv(c), "series,x,y,size,key\na,\"p, q\",,0,k=1\na,2.5,1,,\n");
  EXPECT_EQ(dump(c), "t\nx: x\ny: y\nline a (-1)\n  p, q | nan | 0 | k=1\n  2.5 | 1 | nan\n");
}

}  // namespace
}  // namespace fathom::gui
