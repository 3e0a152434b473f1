// What CUDA finds on this machine. Nothing throws where there is no driver or no device: the cause is a value. No CUDA header.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace fathom::executor {

// Why something does not work, and what to do about it, each in one line.
struct Fault {
  std::string cause, remedy;
};

struct DeviceFacts {
  std::string name, capability;  // "9.0"
  double memory_bytes = 0;
  std::optional<double> free_bytes;  // nothing if the device lets nobody in
  int multiprocessors = 0;
  double l2_bytes = 0;
  std::optional<Fault> fault;  // why the kernels do not run on it
};

struct CudaFacts {
  std::string runtime, cublas_lt, built_for;  // versions: "13.0", "13.1.0"; compute capabilities: "9.0"
  std::string driver;                         // the newest CUDA that the driver supports; empty: there is no driver
  std::vector<DeviceFacts> devices;
  std::optional<Fault> fault;  // cuda_fault()
};

CudaFacts cuda_facts();
// Why the kernels cannot run on the current device (the first, unless another was chosen), or nothing.
std::optional<Fault> cuda_fault();
// Throws Error{device} where there is a reason.
void require_cuda();
// The part of it that looks at the device's compute capability, times 100.
std::optional<Fault> capability_fault(const std::string& name, int capability);

}  // namespace fathom::executor
