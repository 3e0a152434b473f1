// What the library says about a scenario: computed in one go, away from the window, and shown by every view.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/tables.h"

namespace fathom::gui {

using namespace simulator;

enum class PhaseName : unsigned char { prefill, decode };
constexpr std::string_view name_of(PhaseName p) { return p == PhaseName::prefill ? "prefill" : "decode"; }
inline std::string title_of(PhaseName p) { return p == PhaseName::prefill ? "Prefill" : "Decode"; }

// Something wrong with a scenario.
struct Fault {
  int line = 0;     // of the text, from 1; 0: of no line
  std::string key;  // dotted, "policy.mtp_depth"; empty: of the text as a whole
  std::string message;
};
std::string line_of(const Fault&);  // "line 3: workload.isl: must be ..."

// What a phase runs on, as it was when the scenario was read: a file may have changed or gone since.
struct System {
  hardware_profiles::HardwareProfile profile;
  hardware_profiles::Calibration calibration;
};

struct Answer {
  std::vector<Setting> settings;     // in force, built-in defaults included, each with its origin ("built in", "derived" or "<file>:<line>")
  std::optional<Scenario> scenario;  // absent: see faults
  std::array<System, 2> systems;     // of the phases; of a scenario
  std::optional<Estimate> estimate;
  Report report;              // the same that `fathom estimate` gives
  std::vector<Fault> faults;  // why there is no estimate

  [[nodiscard]] const Phase& phase(PhaseName p) const { return p == PhaseName::prefill ? scenario->prefill : scenario->decode; }
  [[nodiscard]] const System& system(PhaseName p) const { return systems[static_cast<std::size_t>(p)]; }
  [[nodiscard]] const PhaseEstimate& estimated(PhaseName p) const { return p == PhaseName::prefill ? estimate->prefill : estimate->decode; }
  // Why a view of this phase has nothing to show: a fault, or the phase does not fit. Empty: it has.
  [[nodiscard]] std::string nothing(PhaseName) const;
};
using SharedAnswer = std::shared_ptr<const Answer>;

// `toml` is a scenario (simulator/scenario.h); `file` names it in origins. Never throws: what is wrong is in faults.
Answer answer(std::string_view toml, const std::string& file);

// The key of an operator in all views: "decode/MoE/routed up".
std::string operator_key(PhaseName, const cli::OperatorTotal&);
// The operator of a key; its pointers are into the answer. Nothing if the answer has no such operator.
std::optional<cli::OperatorTotal> find_operator(const Answer&, std::string_view key);
// Lines about an operator beside the pointer: time, share, bound, speed of light, where the rate came from.
std::string operator_tip(const cli::OperatorTotal&, Seconds step);

}  // namespace fathom::gui
