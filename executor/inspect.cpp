#include <fmt/core.h>

#include <algorithm>
#include <unordered_set>

#include "executor/checkpoint.h"
#include "executor/checkpoint_tensors.h"

namespace fathom::executor {
namespace {

using model_spec::Tensor;

class Inspector {
 public:
  explicit Inspector(const Checkpoint& checkpoint) : checkpoint_(checkpoint), table_(tensor_table(checkpoint.model())) {}

  Inspection run() {
    for (const Instance& i : instances(table_)) expect(*i.tensor, i.name());
    for (const std::string& name : checkpoint_.names()) list(name);
    return std::move(result_);
  }

 private:
  void expect(const Tensor& t, const std::string& name) {
    const auto data = checkpoint_.find(name);
    if (data.file == nullptr && model_own(table_, t) != nullptr) return;
    const auto scales = is_quantised(t) ? checkpoint_.find(scales_name(name)) : Checkpoint::Found{};
    expect_name(name, data);
    if (is_quantised(t)) expect_name(scales_name(name), scales);
    if (data.file == nullptr) return;
    if (const auto problem = mismatch(t, *data.entry, scales.entry); !problem.empty()) result_.mismatched.push_back(fmt::format("{}: {}", name, problem));
  }
  void expect_name(const std::string& name, const Checkpoint::Found& found) {
    expected_.insert(name);
    if (found.file == nullptr) result_.missing.push_back(name);
  }
  void list(const std::string& name) {
    const auto [file, entry] = checkpoint_.find(name);
    const auto bytes = static_cast<std::int64_t>(entry->end - entry->begin);
    result_.tensors.push_back({.name = name,
                               .file = std::filesystem::path(file->path()).filename().string(),
                               .type = std::string(name_of(entry->type)),
                               .shape = shape_text(entry->shape),
                               .bytes = bytes});
    result_.bytes += bytes;
    if (!expected_.contains(name)) result_.extra.push_back(name);
  }

  const Checkpoint& checkpoint_;
  model_spec::TensorTable table_;
  std::unordered_set<std::string> expected_;
  Inspection result_;
};

}  // namespace

Inspection inspect(const Checkpoint& checkpoint) { return Inspector(checkpoint).run(); }

}  // namespace fathom::executor
