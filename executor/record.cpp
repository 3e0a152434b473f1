#include "executor/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "model_spec/error.h"

namespace fathom::executor {

using namespace model_spec;

namespace {

// What is read after which step, and under which name.
struct Watched {
  std::string_view label, activation, name;
};
constexpr Watched watched[] = {{"index_logits", "index_logits", "index_scores"},
                               {"top_k", "topk", "topk"},
                               {"gate", "experts", "expert"},
                               {"lm_head", "logits", "logits"},
                               {"logits_all_gather", "logits", "logits"},
                               {"mtp_lm_head", "logits", "logits"},
                               {"mtp_logits_all_gather", "logits", "logits"},
                               {"o_proj", "delta", "attn_out"},
                               {"attn_all_reduce", "delta", "attn_out"}};

std::string_view mtp_suffix(bool normed_hidden) { return normed_hidden ? "_from_normed_hidden" : "_from_unnormed_hidden"; }

// Whether a row has as many numbers as there are keys up to its own.
bool is_causal(std::string_view name) { return name.find("index_scores") != std::string_view::npos; }

HostTensor columns(const HostTensor& t, std::int64_t first, std::int64_t count) {
  HostTensor part{.rows = t.rows, .columns = count, .numbers = {}, .integers = {}};
  for (std::int64_t r = 0; r < t.rows; ++r)
    part.integers.insert(part.integers.end(), t.integers.begin() + r * t.columns + first, t.integers.begin() + r * t.columns + first + count);
  return part;
}

HostTensor as_numbers(HostTensor t) {
  t.numbers.resize(t.integers.size());
  std::memcpy(t.numbers.data(), t.integers.data(), t.integers.size() * sizeof(float));
  t.integers.clear();
  return t;
}

}  // namespace

Recorder::Recorder(const Plan& p, std::int64_t prompt_tokens, std::int64_t rows)
    : plan_(p), prompt_(prompt_tokens), rows_(rows > 0 ? std::min(rows, prompt_tokens) : prompt_tokens) {}

void Recorder::add(const std::string& name, std::span<const RowOrigin> origins, const HostTensor& t) {
  const std::lock_guard lock(mutex_);
  auto& table = tables_[name];
  const bool causal = is_causal(name);
  for (std::int64_t r = 0; r < t.rows; ++r) {
    const auto& origin = origins[static_cast<std::size_t>(t.first_token + r)];
    if (origin.request != 0 || origin.position < prompt_ - rows_) continue;
    const auto columns = causal ? origin.position + 1 : t.columns;
    table.columns = std::max(table.columns, columns);
    const auto row = [&](const auto& values, auto& into) {
      if (!values.empty()) into[origin.position].assign(values.begin() + r * t.columns, values.begin() + r * t.columns + columns);
    };
    row(t.numbers, table.numbers);
    row(t.integers, table.integers);
  }
}

void Recorder::observe(const Place& place, const StepInput& input, std::span<const RowOrigin> origins, const Block& block, const BoundStep& step,
                       Backend& backend) {
  if (place.tp != 0 || place.dp != 0) return;  // the first request is dp rank 0's, and tp ranks know the same
  const std::string_view label = step.step->label;
  const bool mtp = block.first_layer >= num_hidden_layers(plan_.model);
  const auto prefix = mtp ? std::string("mtp.0.") : block.first_layer >= 0 ? fmt::format("layer.{}.", block.first_layer) : std::string();
  const auto suffix = mtp ? mtp_suffix(plan_.policy.mtp_normed_hidden) : std::string_view();
  const auto name = [&](std::string_view what) { return fmt::format("{}{}{}", prefix, what, suffix); };
  if (&block.steps.back() == step.step && block.first_layer >= 0 && !mtp) {
    auto hidden = backend.read("delta");
    const auto sum = backend.read("sum");
    for (std::size_t i = 0; i < hidden.numbers.size(); ++i) hidden.numbers[i] += sum.numbers[i];
    add(name("hidden"), origins, hidden);
  }
  const auto found = std::ranges::find(watched, label, &Watched::label);
  if (found == std::end(watched)) return;
  const auto t = backend.read(found->activation);
  if (found->name == "logits") {
    if (plan_.layout.tp > 1 && !label.ends_with("all_gather")) return;  // a share of the vocabulary
    std::vector<RowOrigin> rows;
    for (const auto r : mtp ? input.drafted : input.sampled) rows.push_back(origins[static_cast<std::size_t>(r)]);
    if (!rows.empty()) add(name("logits"), rows, t);
  } else if (found->name == "expert") {
    const auto k = plan_.model.num_experts_per_tok;
    add(name("expert_ids"), origins, columns(t, 0, k));
    add(name("expert_weights"), origins, as_numbers(columns(t, k, k)));
  } else {
    add(name(found->name), origins, t);
  }
}

namespace {

// Rows of positions [first, last), each of `columns`, short ones filled up with zeros.
template <class T>
std::vector<std::byte> joined(const std::map<std::int64_t, std::vector<T>>& rows, std::int64_t first, std::int64_t last, std::int64_t columns,
                              std::int64_t& count) {
  std::vector<T> all;
  count = 0;
  for (auto it = rows.lower_bound(first); it != rows.end() && it->first < last; ++it, ++count) {
    all.insert(all.end(), it->second.begin(), it->second.end());
    all.resize(static_cast<std::size_t>((count + 1) * columns));
  }
  const auto bytes = std::as_bytes(std::span(all));
  return {bytes.begin(), bytes.end()};
}

NamedTensor ids_tensor(std::string name, std::span<const std::int32_t> ids) {
  const auto bytes = std::as_bytes(ids);
  return {std::move(name), FileType::i32, {static_cast<std::int64_t>(ids.size())}, {bytes.begin(), bytes.end()}};
}

}  // namespace

std::vector<NamedTensor> Recorder::tensors(const Request& request, const Generated& generated) const {
  std::vector<NamedTensor> result{ids_tensor("input_ids", request.prompt)};
  if (!generated.ids.empty()) result.push_back(ids_tensor("decode_ids", std::span(generated.ids).first(generated.ids.size() - 1)));  // those that were fed
  const auto emit = [&](const std::string& name, const Table& t, std::int64_t first, std::int64_t last) {
    std::int64_t rows = 0;
    const bool numbers = !t.numbers.empty();
    auto data = numbers ? joined(t.numbers, first, last, t.columns, rows) : joined(t.integers, first, last, t.columns, rows);
    if (rows > 0) result.push_back({name, numbers ? FileType::f32 : FileType::i32, {rows, t.columns}, std::move(data)});
  };
  const auto end = prompt_ + static_cast<std::int64_t>(generated.ids.size());
  for (const auto& [name, table] : tables_) {
    const bool mtp = name.starts_with("mtp.");
    auto prompt_table = table;
    if (is_causal(name)) prompt_table.columns = prompt_;
    emit(rows_ < prompt_ ? fmt::format("{}.last{}", name, rows_) : name, prompt_table, prompt_ - rows_, mtp ? prompt_ - 1 : prompt_);
    if (!mtp) emit(name == "logits" ? "decode_logits" : "decode." + name, table, prompt_, end);
  }
  return result;
}

namespace {

// Tensors of one file, as rows.
class RowReader {
 public:
  RowReader(const SafetensorsFile& file, std::int64_t most_rows) : file_(file), most_rows_(most_rows) {}

  // The tensor as rows of `columns` (0: any number), or null. Throws Error{bad_file} if it is there and something else.
  [[nodiscard]] const TensorEntry* find(const std::string& name, FileType type, std::int64_t columns) const {
    const auto* entry = file_.find(name);
    if (!entry) return nullptr;
    const bool fits = entry->type == type && entry->shape.size() == 2 && (columns == 0 || entry->shape[1] == columns) && entry->shape[0] <= most_rows_;
    if (!fits)
      throw Error(Failure::bad_file, fmt::format("{}: {}: is not {}[up to {}, {}], as the model and its prompt ask for", file_.path(), name, name_of(type),
                                                 most_rows_, columns > 0 ? fmt::format("{}", columns) : "any"));
    return entry;
  }
  // Its rows as those of positions `first` and on.
  template <class T>
  void take(const std::string& name, FileType type, std::int64_t columns, std::int64_t first, std::map<std::int64_t, std::vector<T>>& into) const {
    const auto* entry = find(name, type, columns);
    if (!entry) return;
    const auto width = static_cast<std::size_t>(columns);
    for (std::int64_t r = 0; r < entry->shape[0]; ++r) {
      auto& row = into[first + r];
      row.resize(width);
      std::memcpy(row.data(), file_.bytes(*entry).data() + static_cast<std::size_t>(r) * width * sizeof(T), width * sizeof(T));
    }
  }

 private:
  const SafetensorsFile& file_;
  std::int64_t most_rows_;
};

}  // namespace

void Forcing::read_layer(const SafetensorsFile& file, const ModelSpec& m, const LayerNames& names) {
  auto& rows = layers_[names.layer];
  const RowReader reader(file, names.most_rows);
  const auto name = [&](std::string_view what) { return fmt::format("{}{}{}", names.prefix, what, names.suffix); };
  if (m.indexer) {
    reader.take(name("topk"), FileType::i32, m.indexer->index_topk, names.first_position, rows.topk);
    if (names.first_position == 0) take_bits(file, reader.find(name("topk_bits"), FileType::u8, 0), rows.topk);
  }
  reader.take(name("expert_ids"), FileType::i32, m.num_experts_per_tok, names.first_position, rows.expert_ids);
  reader.take(name("expert_weights"), FileType::f32, m.num_experts_per_tok, names.first_position, rows.expert_weights);
  check(rows, file.path(), names.prefix, m);
}

Forcing Forcing::read(const std::filesystem::path& path, const ModelSpec& m, std::int64_t prompt, bool mtp_normed_hidden) {
  const auto file = SafetensorsFile::open(path);
  Forcing result;
  constexpr std::int64_t any = std::int64_t{1} << 31;
  for (std::int64_t layer = 0; layer < num_hidden_layers(m); ++layer) {
    result.read_layer(file, m, {.layer = layer, .prefix = fmt::format("layer.{}.", layer), .suffix = "", .first_position = 0, .most_rows = prompt});
    result.read_layer(file, m, {.layer = layer, .prefix = fmt::format("decode.layer.{}.", layer), .suffix = "", .first_position = prompt, .most_rows = any});
  }
  if (m.num_nextn_predict_layers > 0)
    result.read_layer(file, m,
                      {.layer = num_hidden_layers(m), .prefix = "mtp.0.", .suffix = mtp_suffix(mtp_normed_hidden), .first_position = 0, .most_rows = prompt});
  if (const auto* ids = file.find("decode_ids")) {
    if (ids->type != FileType::i32 || ids->shape.size() != 1)
      throw Error(Failure::bad_file, fmt::format("{}: decode_ids: is not {}[any]", path.string(), name_of(FileType::i32)));
    const auto bytes = file.bytes(*ids);
    result.decode_ids_.resize(bytes.size() / sizeof(std::int32_t));
    std::memcpy(result.decode_ids_.data(), bytes.data(), bytes.size());
  }
  return result;
}

void Forcing::take_bits(const SafetensorsFile& file, const TensorEntry* entry, std::map<std::int64_t, std::vector<std::int32_t>>& into) {
  if (!entry) return;
  const auto bytes = file.bytes(*entry);
  for (std::int64_t r = 0; r < entry->shape[0]; ++r) {
    auto& row = into[r];
    row.clear();
    for (std::int64_t b = 0; b < entry->shape[1]; ++b)
      for (int j = 0; j < 8; ++j)
        if (std::to_integer<int>(bytes[static_cast<std::size_t>(r * entry->shape[1] + b)]) >> j & 1) row.push_back(static_cast<std::int32_t>(8 * b + j));
  }
}

void Forcing::check(const Rows& rows, const std::string& file, const std::string& name, const ModelSpec& m) {
  const auto refuse = [&](std::string_view tensor, std::int64_t row, const std::string& why) {
    throw Error(Failure::bad_file, fmt::format("{}: {}{}: row of position {} {}", file, name, tensor, row, why));
  };
  for (const auto& [position, ids] : rows.expert_ids) {
    for (const auto id : ids)
      if (id < 0 || id >= m.n_routed_experts) refuse("expert_ids", position, fmt::format("has expert {}, which is not among {}", id, m.n_routed_experts));
    if (!rows.expert_weights.contains(position)) refuse("expert_ids", position, "has no expert_weights");
  }
  for (const auto& [position, keys] : rows.topk) {
    auto seen = keys;
    std::erase_if(seen, [at = position](std::int32_t key) { return key < 0 || key > at; });
    std::ranges::sort(seen);
    if (std::ranges::adjacent_find(seen) != seen.end()) refuse("topk", position, "has a key twice");
    if (seen.empty()) refuse("topk", position, "has no key up to its own position");
    if (std::ssize(keys) > m.indexer->index_topk) refuse("topk", position, fmt::format("has more than {} keys", m.indexer->index_topk));
  }
}

void Forcing::choose(std::span<const RowOrigin> origins, Choices& choices) const {
  const auto pick = [&](const auto& rows, auto& into) {
    for (const auto& origin : origins) {
      const auto found = origin.request == 0 ? rows.find(origin.position) : rows.end();
      into.push_back(found == rows.end() ? typename std::remove_cvref_t<decltype(rows)>::mapped_type{} : found->second);
    }
  };
  for (const auto& [layer, rows] : layers_) {
    pick(rows.topk, choices.topk[layer]);
    pick(rows.expert_ids, choices.expert_ids[layer]);
    pick(rows.expert_weights, choices.expert_weights[layer]);
  }
}

}  // namespace fathom::executor
