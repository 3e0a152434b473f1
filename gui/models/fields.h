// The settings of a scenario that people edit, as data: what each is called, what may be typed, and what is in force.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gui/models/answer.h"

namespace fathom::gui {

struct Field {
  SettingInfo info;          // its key, range and words; "policy.overlap" stands for both phases. Words of a text are only some that are known
  std::string group, label;  // the two phases of one thing have the same label
  std::string unit, help;
  std::string zero;                  // what 0 means, shown instead
  std::string share_of;              // shown as the share of the value at this key
  double step = 0;                   // by the arrow keys; 0: doubled and halved
  bool percent = false;              // shown as one
  std::optional<PhaseName> phase{};  // a column beside the other phase's; absent: a row of its own
};

// In the order of their groups; phases of one label follow each other.
const std::vector<Field>& scenario_fields();

// All that has a value, first ones win: the settings in force, the sizes of the model, the price that the machine brings.
std::vector<Setting> values_in_force(const Answer&);
// The key whose value in force a field shows.
std::string shown_key(const Field&);
// Keys that set a field in a text: its own first, then such of one phase or of both as have no field of their own.
std::vector<std::string> keys_behind(const Field&);

// What was typed ("4k", "128Ki", "90%", "1.5M") as a TOML literal; nothing if it is none. `whole`: the value at share_of.
std::optional<std::string> literal_of(const Field&, std::string_view typed, double whole = 1);
// A literal as it is shown and typed.
std::string typed_of(const Field&, const std::string& literal, double whole = 1);
// What was typed, some steps further, within the field's range.
std::string stepped(const Field&, std::string_view typed, int steps, double whole = 1);
// "1 to 1,000,000", "none, two_batch": what a field takes; empty: any text.
std::string range_of(const Field&);

}  // namespace fathom::gui
