// What a run computed, as named tensors that other implementations can be compared with; and choices from such a file, to be forced on a run.
// Names (N: layer; a name that ends in .lastK holds the last K rows only):
//   input_ids, logits [rows, vocab], layer.N.hidden (after the layer), layer.N.attn_out (after o_proj), layer.N.index_scores [queries, keys]
//   with zeros in the future, layer.N.topk, layer.N.expert_ids, layer.N.expert_weights: of the prompt's tokens;
//   decode_ids, decode_logits, decode.layer.N.topk, .expert_ids, .expert_weights: a row for each token fed after the prompt;
//   mtp.0.logits_from_normed_hidden (or _from_unnormed_hidden), mtp.0.topk_..., mtp.0.expert_ids_..., mtp.0.expert_weights_...: of the
//   prediction layer, a row for each token of the prompt but the last.
#pragma once

#include <filesystem>
#include <mutex>

#include "executor/generate.h"
#include "executor/safetensors.h"

namespace fathom::executor {

// Records the first request of a run; one object for all its ranks.
class Recorder {
 public:
  // rows: of the prompt, the last so many; 0: all.
  Recorder(const model_spec::Plan&, std::int64_t prompt_tokens, std::int64_t rows);
  void observe(const model_spec::Place&, const StepInput&, std::span<const RowOrigin>, const model_spec::Block&, const model_spec::BoundStep&, Backend&);
  // Everything that was recorded, and the ids.
  [[nodiscard]] std::vector<NamedTensor> tensors(const Request&, const Generated&) const;

 private:
  struct Table {
    std::int64_t columns = 0;
    std::map<std::int64_t, std::vector<float>> numbers;  // by position
    std::map<std::int64_t, std::vector<std::int32_t>> integers;
  };
  void add(const std::string& name, std::span<const RowOrigin>, const HostTensor&);
  const model_spec::Plan& plan_;
  std::int64_t prompt_, rows_;
  std::mutex mutex_;  // ranks are threads
  std::map<std::string, Table> tables_;
};

// Forced choices, and ids to feed, from a file with the names above; layer.N.topk_bits (bit j of byte b: key 8 b + j) stands for topk.
class Forcing {
 public:
  // Throws Error{bad_file} for a tensor whose type or shape does not fit the model and the prompt.
  static Forcing read(const std::filesystem::path&, const model_spec::ModelSpec&, std::int64_t prompt_tokens, bool mtp_normed_hidden);
  [[nodiscard]] const std::vector<std::int32_t>& decode_ids() const { return decode_ids_; }
  // Of the first request's tokens; rows of others choose for themselves.
  void choose(std::span<const RowOrigin>, Choices&) const;

 private:
  struct Rows {
    std::map<std::int64_t, std::vector<std::int32_t>> topk, expert_ids;  // by position
    std::map<std::int64_t, std::vector<float>> expert_weights;
  };
  // How the tensors of a layer are called, and what their rows are.
  struct LayerNames {
    std::int64_t layer;
    std::string prefix;
    std::string_view suffix;
    std::int64_t first_position, most_rows;
  };
  void read_layer(const SafetensorsFile&, const model_spec::ModelSpec&, const LayerNames&);
  static void take_bits(const SafetensorsFile&, const TensorEntry*, std::map<std::int64_t, std::vector<std::int32_t>>& into);
  static void check(const Rows&, const std::string& file, const std::string& name, const model_spec::ModelSpec&);
  std::map<std::int64_t, Rows> layers_;
  std::vector<std::int32_t> decode_ids_;
};

}  // namespace fathom::executor
