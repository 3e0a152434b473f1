// What uniform, independent routing makes of a batch: loads of experts and copies of tokens, as expectations.
#pragma once

#include <cstdint>

#include "model_spec/layout.h"

namespace fathom::model_spec {

// Expected largest of n independent standard normal numbers (0 for n = 1), by integration.
double expected_maximum(std::int64_t n);

// Expected number of `places` (ranks or nodes holding equal shares of the experts) that a token's topk experts touch, with the choice
// limited to topk_group of n_group groups of neighbouring experts.
double expected_places(const ModelSpec&, std::int64_t places);

// Constants of a layout, computed once in plan().
struct RoutingConstants {
  double rank_maximum = 0;    // rows of the busiest rank beyond the mean, for one token; as the root of the tokens for more
  double expert_maximum = 0;  // over the experts of one rank
  double distinct_ranks = 0;  // expected_places(ep)
};
RoutingConstants routing_constants(const ModelSpec&, const Layout&);

// Load of the slowest rank when `tokens` tokens in all (of the whole stage) choose their experts.
struct ExpertLoad {
  std::int64_t capacity = 0;  // rows that could come at most
  double rows = 0;            // mean plus the expected excess of the busiest rank
  double active = 0;          // experts of a rank that get at least one row
  double largest = 0;         // rows of the busiest expert of a rank
};
ExpertLoad expected_load(const ModelSpec&, const Layout&, const RoutingConstants&, std::int64_t tokens);

}  // namespace fathom::model_spec
