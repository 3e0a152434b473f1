#include <array>

#include "cli/executor/verbs.h"
#include "cli/run.h"

int main(int argc, char** argv) {
  using namespace fathom::cli;
  static constexpr std::array own{Runner{"run", run_model}, Runner{"checkpoint", run_checkpoint}, Runner{"bench", run_bench}, Runner{"doctor", run_doctor}};
  return run({argv + 1, argv + argc}, own);
}
