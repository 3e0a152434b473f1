// A Hugging Face config.json as a ModelSpec. The JSON becomes a tree with positions, so that the strict reader of TOML files serves here
// too: a key that nobody asks for may change the model and is refused by name.
#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "model_spec/model.h"
#include "model_spec/model_fields.h"
#include "model_spec/toml.h"

namespace fathom::model_spec {

namespace {

constexpr std::size_t max_text_bytes = 16u << 20;
constexpr std::size_t max_nesting = 32;
constexpr std::size_t max_keys = 1000;

// Keys that do not change what the model computes or stores.
constexpr std::string_view harmless[] = {"_name_or_path",     "attention_dropout",    "auto_map",
                                         "aux_loss_alpha",    "bos_token_id",         "chunk_size_feed_forward",
                                         "ep_size",           "eos_token_id",         "head_dim",
                                         "id2label",          "initializer_range",    "label2id",
                                         "output_attentions", "output_hidden_states", "output_router_logits",
                                         "pad_token_id",      "pretraining_tp",       "qk_head_dim",
                                         "return_dict",       "router_aux_loss_coef", "seq_aux",
                                         "tokenizer_class",   "transformers_version", "use_cache"};

// Reads characters and knows how many were read: the place of whatever the parser has just seen.
struct CountingIterator {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;
  const char* at;
  const char** furthest;  // of all copies
  reference operator*() const { return *at; }
  CountingIterator& operator++() {
    *furthest = ++at;
    return *this;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at == b.at; }
};

// Builds the tree from parser events. A null counts as an absent key. Lines and columns are counted on the way, each byte once.
class TreeBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  TreeBuilder(std::string_view text, const std::string& file) : furthest_(text.data()), counted_(text.data()), file_(file) {}

  const char** furthest() { return &furthest_; }
  TomlValue take() { return std::move(root_); }

  bool null() override { return true; }
  bool boolean(bool v) override { return add({.data = v, .at = here(), .end = here()}); }
  bool number_integer(number_integer_t v) override { return add({.data = v, .at = here(), .end = here()}); }
  bool number_unsigned(number_unsigned_t v) override {
    return v <= INT64_MAX ? number_integer(static_cast<std::int64_t>(v)) : number_float(static_cast<double>(v), {});
  }
  bool number_float(number_float_t v, const string_t&) override { return add({.data = v, .at = here(), .end = here()}); }
  bool string(string_t& v) override { return add({.data = v, .at = here(), .end = here()}); }
  bool binary(binary_t&) override { return false; }  // no such thing in JSON text
  bool start_object(std::size_t) override { return open(TomlTable{}); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(TomlArray{}); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    Open& object = open_.back();
    object.key = name;
    object.key_at = here();
    object.key_at.column = std::max(1, object.key_at.column - static_cast<int>(name.size()) - 2);
    if (object.value.find(name) != nullptr) fail(object.key_at, fmt::format("the key {} is given twice", toml_string(name)));
    if (object.value.table()->size() >= max_keys) fail(object.key_at, fmt::format("more than {} keys in one object", max_keys));
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& e) override {
    const std::string_view what = e.what();
    const std::size_t colon = what.find(": ");
    fail(here(), colon == std::string_view::npos ? what : what.substr(colon + 2));
  }

 private:
  // An object or array being filled, and the key of its next member.
  struct Open {
    TomlValue value;
    std::string key;
    Position key_at;
  };

  [[noreturn]] void fail(Position at, std::string_view message) const {
    throw Error(Failure::bad_file, fmt::format("{}:{}:{}: {}", file_, at.line, at.column, message));
  }

  Position here() {
    for (; counted_ != furthest_; ++counted_) {
      if (*counted_ == '\n') place_ = {place_.line + 1, 1};
      else if ((static_cast<unsigned char>(*counted_) & 0xC0) != 0x80) ++place_.column;
    }
    return place_;
  }

  bool open(decltype(TomlValue::data) data) {
    if (open_.size() >= max_nesting) fail(here(), fmt::format("more than {} brackets inside one another", max_nesting));
    open_.push_back({.value = {.data = std::move(data), .at = here(), .end = here()}, .key = {}, .key_at = {}});
    return true;
  }

  bool close() {
    TomlValue done = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(done));
  }

  bool add(TomlValue value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (auto* elements = std::get_if<TomlArray>(&open_.back().value.data)) {
      elements->push_back(std::move(value));
    } else {
      std::get<TomlTable>(open_.back().value.data).push_back({open_.back().key, open_.back().key_at, std::move(value)});
    }
    return true;
  }

  const char* furthest_;
  const char* counted_;
  const std::string& file_;
  Position place_{1, 1};
  TomlValue root_;
  std::vector<Open> open_;
};

TomlValue parse_json(std::string_view text, const std::string& file) {
  if (text.size() > max_text_bytes) throw Error(Failure::bad_file, fmt::format("{}: larger than {} MiB", file, max_text_bytes >> 20));
  TreeBuilder builder(text, file);
  const CountingIterator begin{text.data(), builder.furthest()}, end{text.data() + text.size(), builder.furthest()};
  nlohmann::json::sax_parse(begin, end, &builder);
  TomlValue root = builder.take();
  if (root.table() == nullptr) throw Error(Failure::bad_file, fmt::format("{}:1:1: is not a JSON object", file));
  root.at = {1, 1};
  return root;
}

// Refuses whatever is not DeepSeek-V3 or V3.2, at once: the keys of another architecture would only drown that message.
std::string read_architecture(TomlReader& in, Problems& problems) {
  const std::string model_type = in.string("model_type");
  const auto architectures = in.strings_or("architectures", {});
  const std::string_view expected = hf_architecture(model_type);
  const auto refuse = [&](std::string_view key, std::string_view given) {
    in.problem(key, fmt::format("architecture {} is not understood; Fathom reads deepseek_v3 (DeepseekV3ForCausalLM) and deepseek_v32 (DeepseekV32ForCausalLM)",
                                toml_string(given)));
  };
  for (const auto& name : architectures) {
    if (name != expected) refuse("architectures", name);
  }
  const bool known = std::find(model_types.begin(), model_types.end(), model_type) != model_types.end();
  if (!known && problems.empty()) refuse("model_type", model_type);
  problems.throw_if_any();
  return model_type;
}

void read_fixed_choices(TomlReader& in, const ModelSpec& m) {
  for (const auto& f : hf_flags) {
    if (in.boolean_or(f.key, f.understood) != f.understood) in.problem(f.key, fmt::format("{} is not understood", !f.understood));
  }
  for (const auto& c : hf_choices) {
    const std::string given = in.string_or(c.key, std::string(c.understood));
    if (given != c.understood) in.problem(c.key, fmt::format("{} is not understood, only \"{}\"", toml_string(given), c.understood));
  }
  const auto must_equal = [&](std::string_view key, std::string_view other, std::int64_t value) {
    if (in.integer_or(key, value) != value) in.problem(key, fmt::format("must equal {} = {}", other, value));
  };
  must_equal("num_key_value_heads", "num_attention_heads", m.num_attention_heads);
  must_equal("num_local_experts", "n_routed_experts", m.n_routed_experts);
  must_equal("num_experts", "n_routed_experts", m.n_routed_experts);
  for (const auto key : harmless) static_cast<void>(in.has(key));
}

// The kind of FFN of every layer: a list in newer files; else dense up to first_k_dense_replace, then MoE in every moe_layer_freq-th layer.
std::vector<Ffn> read_ffns(TomlReader& in, std::int64_t count) {
  std::vector<Ffn> out;
  const std::int64_t freq = in.integer_or("moe_layer_freq", 1, 1);
  const std::int64_t dense = in.has("mlp_layer_types") ? in.integer_or("first_k_dense_replace", 0) : in.integer("first_k_dense_replace");
  for (std::int64_t i = 0; i < count; ++i) out.push_back(i >= dense && i % freq == 0 ? Ffn::moe : Ffn::dense);
  if (!in.has("mlp_layer_types")) return out;
  const auto types = in.strings("mlp_layer_types");
  const bool known = std::all_of(types.begin(), types.end(), [](const std::string& t) { return t == "dense" || t == "sparse"; });
  if (types.size() != out.size() || !known) in.problem("mlp_layer_types", "must hold \"dense\" or \"sparse\" for every layer");
  else std::transform(types.begin(), types.end(), out.begin(), [](const std::string& t) { return t == "sparse" ? Ffn::moe : Ffn::dense; });
  return out;
}

void read_layers(TomlReader& in, ModelSpec& m) {
  const Attention attention = m.model_type == "deepseek_v32" ? Attention::mla_sparse : Attention::mla;
  const std::int64_t count = in.integer("num_hidden_layers", 1, max_layers);
  for (const Ffn ffn : read_ffns(in, count)) {
    if (!m.layers.empty() && m.layers.back().ffn == ffn) ++m.layers.back().repeat;
    else m.layers.push_back({.repeat = 1, .attention = attention, .ffn = ffn, .layers = {}});
  }
  if (attention != Attention::mla_sparse) return;
  const auto types = in.strings_or("layer_types", {});
  const bool all_sparse = std::all_of(types.begin(), types.end(), [](const std::string& t) { return t == "deepseek_sparse_attention"; });
  if (!all_sparse) in.problem("layer_types", "only \"deepseek_sparse_attention\" is understood");
}

// The table `key` in its older form (rope_scaling) or its newer one (rope_parameters, which also holds rope_theta).
void read_rope(TomlReader& in, std::string_view key, ModelSpec& m) {
  in.table_if_any(key, [&](TomlReader& rope) {
    m.rope_theta = rope.number_or("rope_theta", m.rope_theta);
    const std::string type = rope.string_or("rope_type", rope.string_or("type", "yarn"));
    if (rope.string_or("type", type) != type) rope.problem("type", "differs from rope_type");
    if (type == "default") return;
    if (type != "yarn") rope.problem(rope.has("rope_type") ? "rope_type" : "type", fmt::format("{} is not understood, only \"yarn\"", toml_string(type)));
    Yarn yarn;
    for (const auto& f : yarn_fields) yarn.*f.member = rope.number(f.key);
    yarn.original_max_position_embeddings = rope.integer(yarn_original_key, 1);
    m.rope_scaling = yarn;
  });
}

void read_quantisation(TomlReader& q) {
  const std::string method = q.string("quant_method");
  if (method != "fp8") {
    for (const auto& key : q.other_keys()) static_cast<void>(q.has(key));  // their meaning depends on the method
    return q.problem("quant_method", fmt::format("quantisation {} is not understood; only fp8 in blocks of 128x128, or none", toml_string(method)));
  }
  q.word("fmt", {"e4m3"});
  q.word_or("activation_scheme", {"dynamic"}, 0);
  q.word_or("scale_fmt", {"ue8m0"}, 0);
  const auto block = q.numbers("weight_block_size");
  if (block != std::vector<double>{128, 128}) q.problem("weight_block_size", "must be [128, 128]");
  if (!q.strings_or("modules_to_not_convert", {}).empty()) q.problem("modules_to_not_convert", "exceptions are not understood");
}

Storage read_storage(TomlReader& in) {
  const bool quantised = in.has("quantization_config");
  const std::string_view key = in.has("dtype") ? "dtype" : "torch_dtype";
  if (!in.has("dtype") && !in.has("torch_dtype") && !quantised) in.problem(key, "is missing");
  const DType plain = in.word_or(key, {"bfloat16", "float32"}, 0) == 0 ? DType::bf16 : DType::fp32;
  const DType matrix = quantised ? DType::fp8_block : plain;
  in.table_if_any("quantization_config", read_quantisation);
  return {.attention = matrix, .indexer = matrix, .dense_ffn = matrix, .shared_experts = matrix, .routed_experts = matrix, .embedding = plain};
}

// A checkpoint's folder names the model best.
std::string name_of_file(const std::string& file, const std::string& model_type) {
  const std::string folder = std::filesystem::path(file).parent_path().filename().string();
  return folder.empty() || folder == "." || folder == ".." ? model_type : folder;
}

}  // namespace

ModelSpec read_hf_config(std::string_view json, const std::string& file) {
  const TomlValue root = parse_json(json, file);
  Problems problems;
  TomlReader in(root, file, "", problems);
  ModelSpec m;
  m.model_type = read_architecture(in, problems);
  m.name = name_of_file(file, m.model_type);
  m.source = file;
  read_sizes(in, m);
  for (const auto& f : size_fields) {
    if (f.needed != Needed::optional && f.needed != Needed::always && !in.has(f.key)) in.problem(f.key, "is missing");
  }
  if (!in.has("routed_scaling_factor")) in.problem("routed_scaling_factor", "is missing");
  read_fixed_choices(in, m);
  read_layers(in, m);
  if (m.model_type == "deepseek_v32") read_indexer(in, m);
  read_rope(in, "rope_scaling", m);
  read_rope(in, "rope_parameters", m);
  m.storage = read_storage(in);
  in.finish();
  report_inconsistencies(in, m, problems, false);
  problems.throw_if_any();
  return m;
}

}  // namespace fathom::model_spec
