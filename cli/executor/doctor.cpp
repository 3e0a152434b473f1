// fathom doctor.
#include <fmt/format.h>

#include <thread>

#include "cli/executor/machine.h"
#include "cli/executor/verbs.h"
#include "cli/output.h"
#include "executor/cuda/devices.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/product.h"
#include "model_spec/version.h"

namespace fathom::cli {
namespace {

using executor::CudaFacts;
using executor::Fault;

// Nothing if this program was built without CUDA.
std::optional<CudaFacts> facts_of_cuda() {
#ifdef FATHOM_HAVE_CUDA
  return executor::cuda_facts();
#else
  return std::nullopt;
#endif
}

#ifdef _OPENMP
constexpr bool has_openmp = true;
#else
constexpr bool has_openmp = false;
#endif

Cell text(const std::string& s) { return s.empty() ? Cell{} : Cell{s}; }
Cell gigabytes(const std::optional<double>& bytes) { return bytes ? Cell{*bytes / 1e9} : Cell{}; }

// Without CUDA its versions do not apply.
Table machine_table(const CudaFacts& cuda, bool has_cuda) {
  Table t{.key = "machine", .title = {}, .form = Form::columns, .fields = {}, .records = {{}}};
  const auto add = [&](const char* key, const char* heading, Kind kind, Cell value) {
    t.fields.push_back({key, heading, kind});
    t.records[0].cells.push_back(std::move(value));
  };
  add("version", "fathom", Kind::text, std::string(version()));
  add("cpu", "CPU", Kind::text, text(cpu_name()));
  add("cpu_cores", "CPU cores", Kind::count, static_cast<std::int64_t>(std::thread::hardware_concurrency()));
  add("vector_units", "vector units used", Kind::text, std::string(kernels::cpu::vector_units()));
  add("memory_available_GB", "memory available, GB", Kind::fixed, gigabytes(available_bytes()));
  add("openmp_threads", "OpenMP threads", Kind::count, has_openmp ? Cell{kernels::cpu::thread_count()} : Cell{});
  add("built_with_cuda", "built with CUDA", Kind::text, has_cuda);
  add("cuda_runtime", "CUDA runtime", Kind::text, text(cuda.runtime));
  add("cublas_lt", "cuBLASLt", Kind::text, text(cuda.cublas_lt));
  add("built_for", "kernels for compute capability", Kind::text, text(cuda.built_for));
  add("cuda_driver", "CUDA driver supports", Kind::text, text(cuda.driver));
  add("gpus", "GPUs", Kind::count, has_cuda ? Cell{static_cast<std::int64_t>(std::ssize(cuda.devices))} : Cell{});
  return t;
}

Table gpus_table(const CudaFacts& cuda) {
  Table t{.key = "gpus",
          .title = "GPUs",
          .form = Form::rows,
          .fields = {{"gpu", "", Kind::count},
                     {"name", "name", Kind::text},
                     {"capability", "capability", Kind::text},
                     {"memory_GB", "GB", Kind::fixed},
                     {"free_GB", "free, GB", Kind::fixed},
                     {"multiprocessors", "SMs", Kind::count},
                     {"l2_MB", "L2, MB", Kind::fixed},
                     {"kernels_run", "kernels run", Kind::text}},
          .records = {}};
  for (const auto& d : cuda.devices)
    t.records.push_back({"",
                         {static_cast<std::int64_t>(std::ssize(t.records)), d.name, d.capability, d.memory_bytes / 1e9, gigabytes(d.free_bytes),
                          static_cast<std::int64_t>(d.multiprocessors), d.l2_bytes / 1e6, !d.fault}});
  return t;
}

std::vector<Fault> missing(const std::optional<CudaFacts>& cuda) {
  std::vector<Fault> out;
  if (!has_openmp) out.push_back({"OpenMP: not built in: the CPU kernels use one core", "build with a compiler that has OpenMP"});
  if (!cuda) out.push_back({"CUDA: not built in: --backend cuda is not there", "build with nvcc of CUDA 13 and without FATHOM_CUDA=OFF"});
  else if (cuda->fault) out.push_back(*cuda->fault);
  if (!cuda) return out;
  for (const auto& d : cuda->devices)
    if (d.fault && (!cuda->fault || d.fault->cause != cuda->fault->cause)) out.push_back(*d.fault);
  return out;
}

Table missing_table(const std::vector<Fault>& faults) {
  Table t{.key = "missing", .title = "Missing", .form = Form::paragraphs, .fields = {{"cause", "", Kind::text}, {"remedy", "", Kind::text}}, .records = {}};
  for (const auto& f : faults) t.records.push_back({"", {f.cause, f.remedy}});
  return t;
}

std::string answer_of(const std::optional<CudaFacts>& cuda) {
  if (!cuda) return "models run here on the CPU; this program is built without CUDA";
  return cuda->fault ? "models run here on the CPU alone: " + cuda->fault->cause : "models run here on the CPU and on " + cuda->devices.front().name;
}

}  // namespace

Outcome run_doctor(const Request& request) {
  const auto cuda = facts_of_cuda();
  const auto known = cuda.value_or(CudaFacts{});
  const Report report{.answer = answer_of(cuda),
                      .feasible = !known.fault,
                      .tables = {machine_table(known, cuda.has_value()), gpus_table(known), missing_table(missing(cuda))},
                      .notes = {},
                      .csv = {}};
  return {.data = rendered(report, request), .exit = known.fault ? Exit::device : Exit::ok};
}

}  // namespace fathom::cli
