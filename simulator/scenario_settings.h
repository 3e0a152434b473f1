// Settings before they are a scenario: laid over each other, made one tree, and blamed for what is wrong with them. Private to scenario*.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "simulator/scenario.h"

namespace fathom::simulator {

// The winners, in the order in which they were set. A later layer wins over an earlier one, whichever names the key more closely; in one layer
// (a file, the environment, the flags) both stay, and the closer one counts when they are read.
std::vector<Setting> lay(const std::vector<Setting>& settings);

// The winner for a key or for the general key above it; null if nobody set it.
const Setting* find_setting(const std::vector<Setting>& laid, std::string_view key);

bool is_from_file(const Setting&);  // else from a flag, the environment, or built in

// Everything that is wrong, each with the origin of the setting at fault.
class Faults {
 public:
  void add(const Setting* at, std::string_view key, std::string_view message);
  // Problems of the tree: lines "<file>:<index + 1>:<column>: key: message" as TomlReader writes them for settings_tree().
  void add(const Problems&, const std::vector<Setting>& laid);
  void throw_if_any() const;  // Error{usage} if all settings at fault are from outside files, else Error{bad_file}

 private:
  std::vector<std::string> lines_;
  bool from_file_ = false;
};

// One tree of all settings; the line of every value is the index of its setting, from 1.
TomlValue settings_tree(const std::vector<Setting>& laid, Faults&);

// The spec that model.name names, with the other settings below model laid over it.
ModelSpec overridden_model(const std::string& name, const std::vector<Setting>& laid, Faults&);

}  // namespace fathom::simulator
