// Where a rank stands in a layout. Ranks count through the stages; in a stage tp is innermost for attention, etp for experts.
#pragma once

#include <cstdint>

#include "model_spec/layout.h"

namespace fathom::model_spec {

struct Place {
  std::int64_t stage = 0;       // pipeline stage
  std::int64_t stage_rank = 0;  // within the stage
  std::int64_t tp = 0, dp = 0, etp = 0, ep = 0;
};

constexpr Place place_of(const Layout& l, std::int64_t rank) {
  const auto r = rank % stage_ranks(l);
  return {.stage = rank / stage_ranks(l), .stage_rank = r, .tp = r % l.tp, .dp = r / l.tp, .etp = r % l.etp, .ep = r / l.etp};
}

}  // namespace fathom::model_spec
