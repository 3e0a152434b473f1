#include "cli/trace_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fathom::cli {
namespace {

using namespace model_spec;

constexpr std::int64_t drawn_repeats = 2;
constexpr std::string_view thread_names[] = {"computation", "communication", "blocks"};
enum Thread { computation, communication, blocks };

// Labels and names of blocks are identifiers of ours: nothing to escape.
class Writer {
 public:
  explicit Writer(bool all_layers) : all_layers_(all_layers) {}

  void names(std::size_t stages) {
    for (std::size_t pid = 0; pid < stages; ++pid) {
      name("process_name", pid, 0, fmt::format("stage {}", pid));
      for (const auto thread : {computation, communication, blocks}) name("thread_name", pid, thread, std::string(thread_names[thread]));
    }
  }

  void stage(std::size_t pid, const Trace& trace, Seconds start) {
    std::size_t half = 0;
    for (const auto& block : trace.blocks) half += block.count;
    for (const auto& block : trace.blocks) {
      // With two-batch overlap the first repeat holds the start of the halves; a second one is not that pattern moved by an interval.
      const auto drawn = all_layers_ ? block.repeats : std::min(block.repeats, trace.steps.size() > half ? 1 : drawn_repeats);
      for (std::int64_t repeat = 0; repeat < drawn; ++repeat) {
        const auto shift = start + static_cast<double>(repeat) * block.interval;
        event(layer_name(block, repeat, 1), pid, blocks, block.start + shift, block.interval, "");
        for (auto first = std::size_t{0}; first < trace.steps.size(); first += half)  // the second half of two-batch overlap follows the first
          for (auto i = block.first; i < block.first + block.count; ++i) step(trace.steps[first + i], pid, shift);
      }
      if (const auto left = block.repeats - drawn; left > 0)
        event(layer_name(block, drawn, left), pid, blocks, start + block.start + static_cast<double>(drawn) * block.interval,
              static_cast<double>(left) * block.interval, "");
    }
  }

  std::string text() const { return "{\"traceEvents\":[\n" + events_ + "\n],\"displayTimeUnit\":\"ns\"}\n"; }

 private:
  static std::string layer_name(const TracedBlock& block, std::int64_t repeat, std::int64_t count) {
    if (block.first_layer < 0) return std::string(block.name);
    const auto layer = block.first_layer + repeat;
    return count == 1 ? fmt::format("{} {}", block.name, layer) : fmt::format("{} {} to {}, alike", block.name, layer, layer + count - 1);
  }

  void add(std::string_view event) {
    if (!events_.empty()) events_ += ",\n";
    events_ += event;
  }
  void name(std::string_view what, std::size_t pid, int tid, const std::string& value) {
    add(fmt::format(R"({{"name":"{}","ph":"M","pid":{},"tid":{},"args":{{"name":"{}"}}}})", what, pid, tid, value));
  }
  void event(const std::string& label, std::size_t pid, Thread tid, Seconds start, Seconds duration, const std::string& arguments) {
    add(fmt::format(R"({{"name":"{}","ph":"X","pid":{},"tid":{},"ts":{},"dur":{}{}}})", label, pid, static_cast<int>(tid), start.value * 1e6,
                    duration.value * 1e6, arguments));
  }
  void step(const TracedStep& s, std::size_t pid, Seconds shift) {
    if (s.duration <= Seconds{}) return;
    const auto c = cost(s.op);
    std::string why;
    if (s.predicted)
      why = fmt::format(R"(,"bound":"{}","rate_from":"{}","speed_of_light_us":{})", name_of(s.predicted->bound), name_of(s.predicted->provenance),
                        s.predicted->floor.value * 1e6);
    event(std::string(s.label), pid, s.communication ? communication : computation, s.start + shift, s.duration,
          fmt::format(R"(,"args":{{"operator":"{}","group":{},"micro_batch":{},"matrix_flops":{},"hbm_bytes":{},"sent_bytes":{}{}}})", op_name(s.op),
                      s.id.group, s.id.micro_batch, c.total_matrix_flops(), c.hbm_bytes(), c.sent_bytes, why));
  }

  bool all_layers_;
  std::string events_;
};

}  // namespace

std::string trace_json(const std::vector<Trace>& stages, bool all_layers) {
  Writer writer(all_layers);
  writer.names(stages.size());
  Seconds start;
  for (std::size_t pid = 0; pid < stages.size(); ++pid) {
    writer.stage(pid, stages[pid], start);
    start += stages[pid].total;
  }
  return writer.text();
}

std::string measured_trace_json(std::span<const std::vector<Trace>> steps) {
  Writer writer(true);
  if (!steps.empty()) writer.names(steps.front().size());
  Seconds start;
  for (const auto& stages : steps) {
    Seconds longest;
    for (std::size_t pid = 0; pid < stages.size(); ++pid) {
      writer.stage(pid, stages[pid], start);
      longest = std::max(longest, stages[pid].total);
    }
    start += longest;
  }
  return writer.text();
}

}  // namespace fathom::cli
