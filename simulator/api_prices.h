// What customers pay per million tokens, as published (hardware_profiles/published/api_prices.toml).
#pragma once

#include <optional>
#include <string>

#include "model_spec/model.h"

namespace fathom::simulator {

struct ApiPrice {
  double input_miss = 0, input_hit = 0, output = 0;
  std::string source;
};                                                                // USD per million tokens
std::optional<ApiPrice> api_price(const model_spec::ModelSpec&);  // by the model's name; none if it has no list price

}  // namespace fathom::simulator
