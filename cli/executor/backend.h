// --backend.
#pragma once

#include "cli/request.h"
#include "executor/run.h"

namespace fathom::cli {

// What makes the backend that was asked for. Throws Error{device} if this program was built without it.
executor::MakeBackend backend_of(const Request&);
// --numerics; by default exact on the CPU and fp8 on a GPU.
executor::Numerics numerics_of(const Request&);
// The reason why the backend cannot run these options, or nothing.
std::optional<std::string> backend_reason(const Request&, const executor::RunOptions&);

}  // namespace fathom::cli
