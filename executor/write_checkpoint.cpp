#include <fmt/core.h>

#include <cassert>
#include <nlohmann/json.hpp>
#include <system_error>

#include "executor/checkpoint.h"
#include "executor/checkpoint_tensors.h"
#include "model_spec/error.h"

namespace fathom::executor {
namespace {

namespace fs = std::filesystem;
using model_spec::Error;
using model_spec::Failure;
using model_spec::Tensor;

struct Shard {
  std::vector<Instance> tensors;
  std::int64_t bytes = 0;
};

std::vector<Shard> shards_of(const model_spec::TensorTable& table, std::int64_t shard_bytes) {
  std::vector<Shard> shards(1);
  for (const Instance& i : instances(table)) {
    const std::int64_t bytes = totals_of(*i.tensor).bytes;
    if (!shards.back().tensors.empty() && shards.back().bytes + bytes > shard_bytes) shards.emplace_back();
    shards.back().tensors.push_back(i);
    shards.back().bytes += bytes;
  }
  return shards;
}

SafetensorsHeader header_of(const Shard& shard) {
  SafetensorsHeader header{.tensors = {}, .metadata = {{"format", "pt"}}};
  for (const Instance& i : shard.tensors) {
    const Tensor& t = *i.tensor;
    const std::string name = i.name();
    header.tensors.emplace(name, TensorEntry{.type = file_type(t.storage).value(), .shape = file_shape(t)});
    if (is_quantised(t)) header.tensors.emplace(scales_name(name), TensorEntry{.type = FileType::f32, .shape = scales_shape(t)});
  }
  return header;
}

void write_shard(const fs::path& path, const Shard& shard, const SafetensorsHeader& header, const WeightSource& source) {
  SafetensorsWriter writer(path, header);
  for (const Instance& i : shard.tensors) {
    const Tensor& t = *i.tensor;
    const StoredMatrix m = source.load(t, i.layer, i.expert, {.rows = t.rows, .columns = t.columns});
    assert(m.type == t.storage && m.rows == t.rows && m.columns == t.columns);
    const auto scales = static_cast<std::size_t>(totals_of(t).scales) * sizeof(float), all = static_cast<std::size_t>(totals_of(t).bytes);
    writer.write(i.name(), {m.data, all - scales});
    if (is_quantised(t)) writer.write(scales_name(i.name()), {m.scales, scales});
  }
  writer.finish();
}

void write_text(const fs::path& path, const std::string& text) {
  NewFile file(path);
  file.write(0, std::as_bytes(std::span(text)));
  file.finish();
}

void write_files(const fs::path& folder, const std::vector<Shard>& shards, const WeightSource& source) {
  std::int64_t total = 0;
  nlohmann::json map = nlohmann::json::object();
  for (std::size_t n = 0; n < shards.size(); ++n) {
    const auto name = fmt::format("model-{:05}-of-{:05}.safetensors", n + 1, shards.size());
    const auto header = header_of(shards[n]);
    for (const auto& [tensor, entry] : header.tensors) map[tensor] = name;
    total += shards[n].bytes;
    write_shard(folder / name, shards[n], header, source);
  }
  const nlohmann::ordered_json index{{"metadata", {{"total_size", total}}}, {"weight_map", map}};
  write_text(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

// A folder that gets its name when all its files are there, and else goes.
class NewFolder {
 public:
  explicit NewFolder(const fs::path& path) : path_(fs::absolute(path).lexically_normal()) {
    if (!path_.has_filename()) path_ = path_.parent_path();  // of "name/"
    std::error_code error;
    const auto there = fs::status(path_, error);
    const bool free = !fs::exists(there) || (fs::is_directory(there) && fs::is_empty(path_, error));
    if (!free) throw Error(Failure::usage, fmt::format("{}: exists and is not an empty folder", path_.string()));
    beside_ = path_;
    beside_ += ".tmp";
    if (!fs::create_directory(beside_, error))
      throw Error(Failure::io, fmt::format("{}: {}", beside_.string(), error ? error.message() : "is in the way, perhaps of an earlier run"));
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  ~NewFolder() {
    std::error_code ignored;  // there is nobody to tell
    if (!finished_) fs::remove_all(beside_, ignored);
  }
  [[nodiscard]] const fs::path& path() const { return beside_; }
  void finish() {
    std::error_code error;
    fs::rename(beside_, path_, error);
    if (error) throw Error(Failure::io, fmt::format("{}: {}", path_.string(), error.message()));
    finished_ = true;
  }

 private:
  fs::path path_, beside_;
  bool finished_ = false;
};

}  // namespace

void write_checkpoint(const fs::path& folder, const model_spec::ModelSpec& model, const WeightSource& source, std::int64_t shard_bytes) {
  const std::string config = write_hf_config(model);
  const auto table = tensor_table(model);
  NewFolder files(folder);
  write_text(files.path() / "config.json", config);
  write_files(files.path(), shards_of(table, shard_bytes), source);
  files.finish();
}

}  // namespace fathom::executor
