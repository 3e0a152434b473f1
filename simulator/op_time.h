// Cost x machine -> time, with its reasons.
#pragma once

#include "model_spec/trace.h"
#include "simulator/machine.h"

namespace fathom::simulator {

// Duration of one operator on one rank. launched = false: it rides in another kernel and has no fixed cost of its own.
// free_sms: share of the SMs that it may use; the rest is busy with an exchange.
// Throws Error{bad_file} if the machine lacks a rate that the operator needs.
OpTime op_time(const Machine&, const Op&, bool launched = true, double free_sms = 1);

}  // namespace fathom::simulator
