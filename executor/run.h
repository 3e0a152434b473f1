// A whole run: ranks as threads of this process, weights, caches, requests, and what came of it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "executor/generate.h"
#include "executor/numerics.h"
#include "executor/safetensors.h"
#include "executor/weights.h"

namespace fathom::executor {

// Loads the weights of one rank and makes what runs its steps; pages: of its caches. All that it is given stays alive.
using MakeBackend = std::function<std::unique_ptr<Backend>(const model_spec::Plan&, const model_spec::Place&, Numerics, const WeightSource&,
                                                           const LoadProgress&, std::int64_t pages, Communicator& world)>;
std::unique_ptr<Backend> make_cpu_backend(const model_spec::Plan&, const model_spec::Place&, Numerics, const WeightSource&, const LoadProgress&,
                                          std::int64_t pages, Communicator& world);

struct RunOptions {
  model_spec::ModelSpec model;
  model_spec::Layout layout;
  model_spec::Policy policy;
  Numerics numerics = Numerics::exact;
  std::shared_ptr<const WeightSource> weights;
  MakeBackend backend = make_cpu_backend;
  std::string backend_name = "cpu";  // for reports
  std::vector<Request> requests;
  Sampling sampling;
  std::int64_t max_sequences = 256;
  std::optional<std::int64_t> pages;  // of the caches of each rank; as many as all requests at once need, if not given
  bool traces = false;                // keep those of every step
  bool dump = false;                  // record the tensors of the first request (record.h)
  std::int64_t dump_rows = 0;         // the last so many of its prompt; 0: all
  std::optional<std::filesystem::path> force;
  // What the run is doing and how far: 0 .. 1. Called from several threads, one at a time. May be empty.
  std::function<void(const std::string& what, double done)> progress;
};

// One step of the first dp rank.
struct StepRecord {
  model_spec::Batch batch;
  std::vector<model_spec::Trace> stages;  // of the first rank of each pipeline stage; empty unless asked for
  model_spec::Seconds time{};             // of the slowest of them
  double sent_bytes = 0;                  // by that rank of the first stage
};

struct RunResult {
  std::vector<Generated> requests;
  std::vector<StepRecord> steps;
  std::vector<NamedTensor> dump;
  double weight_bytes = 0;  // of the rank that holds most
  double load_seconds = 0, run_seconds = 0;
};

// The reason why such a plan, or these options, cannot run, in one line, or nothing.
std::optional<std::string> check(const model_spec::ModelSpec&, const model_spec::Layout&, const model_spec::Policy&, Numerics);
std::optional<std::string> check(const RunOptions&);

// Precondition: check() finds nothing. Throws Error; a request that cannot run is Error{usage}.
RunResult run(const RunOptions&);

}  // namespace fathom::executor
