#include "executor/cuda/devices.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "kernels/cuda/capability.h"
#include "model_spec/error.h"

namespace fathom::executor {
namespace {

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }  // 13000: 13.0
std::string cublas_text(std::size_t version) { return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100); }
std::string capability_text(int capability) { return fmt::format("{}.{}", capability / 100, capability % 100 / 10); }

std::string built_for_text() {
  std::string all;
  for (const int c : kernels::cuda::capabilities()) all += (all.empty() ? "" : ", ") + capability_text(c);
  return all;
}

// 0: there is no driver.
int driver_version() {
  int version = 0;
  return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

std::string failed(const char* call, cudaError_t status) {
  cudaGetLastError();  // nobody else is to meet it
  return fmt::format("{}: {}, {}", call, cudaGetErrorName(status), cudaGetErrorString(status));
}

Fault missing_driver() {
  const std::string remedy = fmt::format("install the NVIDIA driver for CUDA {} (in a container: pass the GPUs in)", version_text(CUDART_VERSION));
  if (void* library = dlopen("libcuda.so.1", RTLD_LAZY)) {
    dlclose(library);
    return {"CUDA driver: libcuda.so.1 is there and does not work", remedy};
  }
  return {"CUDA driver: not found: libcuda.so.1 cannot be loaded", remedy};
}

Fault no_device() {
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES"))
    return {fmt::format("CUDA device: none is visible: CUDA_VISIBLE_DEVICES is '{}'", visible),
            "unset CUDA_VISIBLE_DEVICES or name a GPU that nvidia-smi lists"};
  return {"CUDA device: the driver finds none", "nvidia-smi lists the GPUs (in a container: pass them in)"};
}

// Why there is no device to look at, or nothing and how many there are.
std::optional<Fault> count_fault(int& devices) {
  const auto driver = driver_version();
  if (driver == 0) return missing_driver();
  const auto status = cudaGetDeviceCount(&devices);
  if (status == cudaSuccess && devices > 0) return std::nullopt;
  if (status == cudaErrorInsufficientDriver)
    return Fault{fmt::format("CUDA driver: it supports CUDA {}, this program needs {}", version_text(driver), version_text(CUDART_VERSION)),
                 "update the NVIDIA driver"};
  if (status == cudaSuccess || status == cudaErrorNoDevice) {
    cudaGetLastError();
    return no_device();
  }
  return Fault{"CUDA driver: " + failed("cudaGetDeviceCount", status), "nvidia-smi says what the driver finds"};
}

// Makes the device the current one.
DeviceFacts device_facts(int device) {
  DeviceFacts facts;
  cudaDeviceProp p{};
  if (const auto status = cudaGetDeviceProperties(&p, device); status != cudaSuccess) {
    facts.fault = {fmt::format("CUDA device {}: {}", device, failed("cudaGetDeviceProperties", status)), "nvidia-smi says what state it is in"};
    return facts;
  }
  const int capability = 100 * p.major + 10 * p.minor;
  facts = {.name = p.name,
           .capability = capability_text(capability),
           .memory_bytes = static_cast<double>(p.totalGlobalMem),
           .free_bytes = {},
           .multiprocessors = p.multiProcessorCount,
           .l2_bytes = static_cast<double>(p.l2CacheSize),
           .fault = capability_fault(p.name, capability)};
  std::size_t free = 0, total = 0;
  auto status = cudaSetDevice(device);
  if (status == cudaSuccess) status = cudaMemGetInfo(&free, &total);
  if (status == cudaSuccess) facts.free_bytes = static_cast<double>(free);
  else if (!facts.fault) facts.fault = Fault{fmt::format("CUDA device {}: {}", device, failed("cudaMemGetInfo", status)), "nvidia-smi says who uses it"};
  return facts;
}

int current_device() {
  int device = 0;
  return cudaGetDevice(&device) == cudaSuccess ? device : 0;
}

}  // namespace

std::optional<Fault> capability_fault(const std::string& name, int capability) {
  if (std::ranges::count(kernels::cuda::capabilities(), capability) > 0) return std::nullopt;
  return Fault{fmt::format("CUDA device: the kernels are built for compute capability {}, {} has {}", built_for_text(), name, capability_text(capability)),
               fmt::format("put a GPU of compute capability {} first in CUDA_VISIBLE_DEVICES", built_for_text())};
}

std::optional<Fault> cuda_fault() {
  int devices = 0;
  if (auto fault = count_fault(devices)) return fault;
  return device_facts(current_device()).fault;
}

void require_cuda() {
  if (const auto fault = cuda_fault()) throw model_spec::Error(model_spec::Failure::device, fmt::format("{}: {}", fault->cause, fault->remedy));
}

CudaFacts cuda_facts() {
  const auto driver = driver_version();
  CudaFacts facts{.runtime = version_text(CUDART_VERSION),
                  .cublas_lt = cublas_text(cublasLtGetVersion()),
                  .built_for = built_for_text(),
                  .driver = driver > 0 ? version_text(driver) : "",
                  .devices = {},
                  .fault = {}};
  int devices = 0;
  facts.fault = count_fault(devices);
  if (facts.fault) return facts;
  const int current = current_device();
  for (int i = 0; i < devices; ++i) facts.devices.push_back(device_facts(i));
  cudaSetDevice(current);
  facts.fault = facts.devices[static_cast<std::size_t>(current)].fault;
  return facts;
}

}  // namespace fathom::executor
