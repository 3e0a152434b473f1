// A checkpoint in the Hugging Face layout: config.json, and model.safetensors or model.safetensors.index.json with its shards.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "executor/safetensors.h"
#include "executor/weights.h"
#include "model_spec/model.h"

namespace fathom::executor {

class Checkpoint : public WeightSource {
 public:
  // Opens every shard: those of the index if there is one, else model.safetensors. All their tensors are taken, also one that the index does
  // not name (as loaders do that read whole files; inspect() shows it). Throws Error{bad_file} naming file and tensor: an index that is
  // broken or names a shard outside the folder or one that does not hold the tensor, a tensor in two shards; Error{io}: a missing file.
  static Checkpoint open(const std::filesystem::path& folder);
  [[nodiscard]] const model_spec::ModelSpec& model() const { return model_; }

  struct Found {
    const SafetensorsFile* file = nullptr;
    const TensorEntry* entry = nullptr;
  };
  [[nodiscard]] Found find(std::string_view name) const;  // file is null if there is none
  [[nodiscard]] std::vector<std::string> names() const;

  // Rows of a slice stay mapped where they are whole, at any alignment; columns are copied. A vector is [rows, 1]. Of matrices without
  // scales, bf16 and fp32 are both taken whatever the table says (the indexer's k_norm comes in either). A prediction layer's embedding
  // and head that are missing are the model's own. Every number of the slice is looked at, which also reads it into memory: a NaN or an
  // infinity is an error, and so is a scale that is not finite and above 0.
  [[nodiscard]] StoredMatrix load(const model_spec::Tensor&, std::int64_t layer, std::int64_t expert, const Slice&) const override;

 private:
  void add(SafetensorsFile file);

  std::string folder_;
  model_spec::ModelSpec model_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> where_;  // of each tensor, its file
};

// inspect.cpp. The checkpoint against the tensors and scales that its model should have, by name, type and shape; no data is read.
struct Inspection {
  struct Line {
    std::string name, file, type, shape;  // file: its name in the folder
    std::int64_t bytes = 0;
  };
  std::vector<Line> tensors;                            // in the order of names
  std::vector<std::string> missing, extra, mismatched;  // mismatched: "name: what is wrong". What load() takes from the model is not missing
  std::int64_t bytes = 0;
};
Inspection inspect(const Checkpoint&);

// write_checkpoint.cpp. Writes config.json, the shards and the index of a synthetic checkpoint into `folder`, which must be new or empty.
// A shard holds at most shard_bytes of tensors, but at least one with its scales; one tensor at a time is in memory. The source must give
// the types of the table. All goes to "<folder>.tmp" first: nothing half-written stays. Throws Error{usage} for a folder that holds files
// and for a model that config.json cannot express, Error{io}.
void write_checkpoint(const std::filesystem::path& folder, const model_spec::ModelSpec&, const WeightSource&, std::int64_t shard_bytes);

}  // namespace fathom::executor
