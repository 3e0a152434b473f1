#include "gui/models/glossary.h"

#include <fmt/format.h>

#include <QtGlobal>

#include <array>

#include "gui/models/html.h"
#include "model_spec/version.h"

namespace fathom::gui {
namespace {

constexpr std::array terms{
    Term{"absorbed attention (MQA)",
         "attention on the latent cache itself: kv_b is multiplied into queries and outputs, so keys are never expanded. Cheaper for few new tokens."},
    Term{"bound", "what limits an operator: compute (matrix units), memory (HBM), vector (other arithmetic), wire (links) or fixed (the cost of a kernel)."},
    Term{
        "calibration",
        "measured fractions of a machine's peaks, by kind of operator. Each says where it was measured; outside the measured sizes numbers are marked with *."},
    Term{"chunked prefill", "a long prompt runs in steps of at most so many tokens (chunked_prefill_tokens)."},
    Term{"decode", "the phase that makes output tokens, one step a token (more with accepted drafts)."},
    Term{"dense MLA", "multi-head latent attention over all cached tokens, as DeepSeek-V3 has it: without an indexer."},
    Term{"dp", "data parallelism of attention: ranks that each serve their own sequences."},
    Term{"ep", "expert parallelism: ranks over which the routed experts are spread."},
    Term{"etp", "tensor parallelism inside each expert; tp x dp = etp x ep."},
    Term{"index cache", "one small key a token and layer, which the indexer scores against the query: 132 bytes in V3.2."},
    Term{"indexer", "the part of V3.2 that chooses the top-k cached tokens that attention reads (DeepSeek Sparse Attention)."},
    Term{"interval", "time between steps that finish; with pipeline stages shorter than the step itself."},
    Term{"isl, osl", "input and output tokens of a request."},
    Term{"latent cache",
         "what attention keeps of a token: the compressed keys and values and the rotary part, 656 bytes a token and layer in V3.2 with an fp8 cache."},
    Term{"measured domain", "the sizes for which a rate was measured. Beyond it a number is an extrapolation, and says so."},
    Term{"MTP, nextn", "multi-token prediction: a further layer drafts tokens that the next step verifies; accepted ones save steps."},
    Term{"pp", "pipeline parallelism: stages of layers, one after the other."},
    Term{"prefill", "the phase that reads the prompt and fills the caches."},
    Term{"prefix-cache hit", "input tokens whose cache entries are there already; they are not computed again."},
    Term{"redundant experts", "copies of busy experts, so that no rank waits for one."},
    Term{"roofline", "rate of an operator against its intensity (FLOP per byte): it cannot be above the machine's roofs."},
    Term{"speed of light (SoL)", "the time of an operator at the machine's peaks, without fixed cost. Percent of it: how near a time comes."},
    Term{"top-k", "cached tokens that sparse attention reads for a query: 2048 in V3.2."},
    Term{"tp", "tensor parallelism: ranks that share each sequence's heads and matrices."},
    Term{"TPOT", "time per output token of one user, the first token excluded."},
    Term{"TTFT", "time to first token: of one prompt in a full batch, without a queue."},
    Term{"two-batch overlap", "two halves of a batch take turns: one computes while the other's tokens travel."},
};

}  // namespace

std::span<const Term> glossary() { return terms; }

std::string help_html() {
  std::string out = "<h2>Glossary</h2><table cellpadding=\"4\">";
  for (const auto& t : terms) out += fmt::format("<tr><td><b>{}</b></td><td>{}</td></tr>", escaped_html(t.word), escaped_html(t.meaning));
  out +=
      "</table><h2>Formulas</h2>"
      "<p>Time of an operator = fixed + max(compute, memory, vector, wire), where</p><ul>"
      "<li>compute = matrix FLOPs / (peak of their arithmetic x measured fraction)</li>"
      "<li>memory = HBM bytes, each address once / (bandwidth x measured fraction)</li>"
      "<li>vector = other FLOPs / vector peak</li>"
      "<li>wire = bytes that a rank sends / rate of the busiest link</li></ul>"
      "<p>A figure's own formula, with its values: hover over it or click it. An operator's: click it in any view; Details shows it.</p>"
      "<h2>In plots</h2><p>Wheel: zoom at the pointer. Drag: pan. Double-click: all. Click a mark: its details, in every view. "
      "Shift and drag in the timeline: sums of that range. The menu of a plot (right mouse button) hides curves, switches axes to logarithmic, copies and "
      "exports.</p>";
  return out;
}

std::string about_html() {
  const auto commit = version_commit();
  return fmt::format(
      "<h3>Fathom {}{}</h3>"
      "<p>What serving DeepSeek-V3.2-class models costs, how fast it is and where it fits.</p>"
      "<p>The desktop app is under the GNU General Public License, version 3 or later, because of QCustomPlot; all else of Fathom is under the Apache License "
      "2.0.</p>"
      "<table cellpadding=\"2\"><tr><td>Qt {}</td><td>LGPL 3</td></tr><tr><td>QCustomPlot</td><td>GPL 3 or later</td></tr>"
      "<tr><td>Boost.Graph</td><td>Boost Software License 1.0</td></tr><tr><td>toml++, fmt, nlohmann/json</td><td>MIT</td></tr>"
      "<tr><td>CLI11</td><td>BSD 3-clause</td></tr></table>",
      version(), commit.empty() ? std::string() : fmt::format(" ({})", commit), qVersion());
}

}  // namespace fathom::gui
