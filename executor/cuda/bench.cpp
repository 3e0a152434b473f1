#include "executor/cuda/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "executor/cuda/devices.h"
#include "executor/cuda/graph.h"
#include "executor/cuda/stand.h"

namespace fathom::executor {

using namespace model_spec;
using kernels::cuda::check;

namespace {

constexpr double cold_caches = 4;         // operand sets are together larger than so many L2 caches
constexpr double least_replay = 200e-6;   // seconds: the gap between two graphs is a hundredth of that
constexpr double least_warm = 10e-3;      // seconds: the clock follows the power of the operator, not of the one before
constexpr double most_timed = 0.4;        // seconds
constexpr std::int64_t warm_replays = 5;  // or more, until least_warm has gone by; one that takes longer is warm after itself
constexpr std::int64_t fewest_timed = 5, timed_replays = 20;
constexpr double kept_free = 1e9;  // bytes of device memory, for code and the workspaces of libraries

std::int64_t warm_count(double one) { return one > least_warm ? 1 : std::max(warm_replays, static_cast<std::int64_t>(std::ceil(least_warm / one))); }
std::int64_t timed_count(double one) { return std::clamp(static_cast<std::int64_t>(most_timed / one), fewest_timed, timed_replays); }

using Events = std::array<Event, timed_replays + 1>;

// Launches 0 .. count on sets in turn.
ExecutableGraph graph_of(const Stand& stand, std::int64_t count, cudaStream_t stream) {
  Capture capture(stream);
  for (std::int64_t i = 0; i < count; ++i) stand.launch(i % stand.sets(), stream);
  return capture.take();
}

// Seconds of each of `count` replays, one right after the other.
std::vector<double> replay(const ExecutableGraph& graph, std::int64_t count, const Events& events, cudaStream_t stream) {
  check(cudaEventRecord(events[0].get(), stream), "cudaEventRecord");
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    check(cudaGraphLaunch(graph.get(), stream), "cudaGraphLaunch");
    check(cudaEventRecord(events[i + 1].get(), stream), "cudaEventRecord");
  }
  check(cudaStreamSynchronize(stream), "replay of a graph");
  std::vector<double> seconds;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) seconds.push_back(seconds_between(events[i], events[i + 1]));
  return seconds;
}

int required_device() {
  require_cuda();
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

double l2_bytes(int device) {
  int bytes = 0;
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device), "cudaDeviceGetAttribute");
  return bytes;
}

// Free memory of the device, that of `held` included.
double free_bytes(const DeviceMemory& held) {
  std::size_t available = 0, all = 0;
  check(cudaMemGetInfo(&available, &all), "cudaMemGetInfo");
  return static_cast<double>(available + held.bytes()) - kept_free;
}

}  // namespace

struct Bench::State {
  State(const ModelSpec& m, Numerics n) : model(m), numerics(n), cold_bytes(cold_caches * l2_bytes(required_device())) {
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    for (auto& event : events) event = make_event();
  }
  State(State&&) = delete;
  ~State() { cudaStreamDestroy(stream); }
  void run_once(const Stand&, const BenchRecord&) const;
  [[nodiscard]] std::vector<double> replays(const Stand&, std::int64_t& launches) const;

  ModelSpec model;
  Numerics numerics;
  double cold_bytes;
  kernels::cuda::Gemms gemms;
  cudaStream_t stream = nullptr;
  Events events;
  DeviceMemory memory;
};

// Code is loaded, algorithms are chosen, and results are seen to be there.
void Bench::State::run_once(const Stand& stand, const BenchRecord& record) const {
  const auto what = fmt::format("{} ({})", record.labels.front(), sizes_text(record.op));
  stand.launch(0, stream);
  check(cudaStreamSynchronize(stream), what.c_str());
  if (!stand.wrote(stream)) throw Error(Failure::device, what + ": did not write its results");
}

// Whole rounds of all sets, as many as a replay needs to take long enough; launches: in one.
std::vector<double> Bench::State::replays(const Stand& stand, std::int64_t& launches) const {
  launches = stand.sets();
  auto graph = graph_of(stand, launches, stream);
  const auto once = [&] { return replay(graph, 1, events, stream).front(); };
  double one = once();
  if (one < least_replay) one = once();  // the first one carries the graph to the device
  if (one < least_replay) {
    launches *= static_cast<std::int64_t>(std::ceil(1.2 * least_replay / one));
    graph = graph_of(stand, launches, stream);
    one = once();
  }
  for (auto i = warm_count(one); i > 0; --i) check(cudaGraphLaunch(graph.get(), stream), "cudaGraphLaunch");
  return replay(graph, timed_count(one), events, stream);
}

Bench::Bench(const ModelSpec& model, Numerics numerics) : state_(std::make_unique<State>(model, numerics)) {}
Bench::~Bench() = default;

Timing Bench::time(const BenchRecord& record) {
  auto& at = *state_;
  Stand stand(operand_sets(cost(record.op).hbm_bytes(), at.cold_bytes), at.cold_bytes);
  const StandFacts facts{.model = at.model, .index_keys = held(at.numerics, DType::fp8_row), .gemms = at.gemms};
  Timing t{.op = declare(stand, record, facts), .reason = {}};
  const double there = free_bytes(at.memory);
  if (stand.bytes() > there) {
    t.reason = fmt::format("its operands take {:.1f} GB, {:.1f} GB of device memory are free", stand.bytes() / 1e9, there / 1e9);
    return t;
  }
  stand.make(at.memory, at.stream);
  at.run_once(stand, record);
  std::int64_t launches = 0;
  auto seconds = at.replays(stand, launches);
  for (auto& s : seconds) s /= static_cast<double>(launches);
  t.n = std::ssize(seconds);
  const auto q = quantiles(std::move(seconds));
  t.median = Seconds{q.median}, t.p10 = Seconds{q.p10}, t.p90 = Seconds{q.p90};
  return t;
}

}  // namespace fathom::executor
