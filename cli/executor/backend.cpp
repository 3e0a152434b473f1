#include "cli/executor/backend.h"

#include <algorithm>

#ifdef FATHOM_HAVE_CUDA
#include "executor/cuda/cuda_backend.h"
#endif

namespace fathom::cli {
namespace {

bool on_cuda(const Request& request) { return request.option("backend", "cpu") == "cuda"; }

}  // namespace

executor::MakeBackend backend_of(const Request& request) {
  if (!on_cuda(request)) return executor::make_cpu_backend;
#ifdef FATHOM_HAVE_CUDA
  return [](const Plan& plan, const Place& place, executor::Numerics numerics, const executor::WeightSource& source, const executor::LoadProgress& progress,
            std::int64_t pages, executor::Communicator&) { return executor::make_cuda_backend(plan, place, numerics, source, progress, pages); };
#else
  throw Error(Failure::device, "--backend cuda: not built into this fathom-executor (no nvcc of CUDA 13 was found)");
#endif
}

executor::Numerics numerics_of(const Request& request) {
  const auto name = request.option("numerics", on_cuda(request) ? "fp8" : "exact");
  return static_cast<executor::Numerics>(std::ranges::find(executor::numerics_names, name) - executor::numerics_names.begin());
}

std::optional<std::string> backend_reason([[maybe_unused]] const Request& request, [[maybe_unused]] const executor::RunOptions& options) {
#ifdef FATHOM_HAVE_CUDA
  if (on_cuda(request)) return executor::check_cuda(plan(options.model, options.layout, options.policy, true), options.numerics);
#endif
  return std::nullopt;
}

}  // namespace fathom::cli
