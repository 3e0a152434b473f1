// What the kernels are compiled for.
#pragma once

#include <span>

namespace fathom::kernels::cuda {

// Compute capabilities times 100: 900 is 9.0. The kernels use instructions of one architecture: they run on exactly these.
std::span<const int> capabilities();

}  // namespace fathom::kernels::cuda
