#include <fmt/core.h>

#include <algorithm>
#include <iterator>

#include "model_spec/model.h"
#include "model_spec/model_fields.h"
#include "model_spec/toml.h"

namespace fathom::model_spec {

namespace {

constexpr std::int64_t schema = 1;

template <class Names>
std::vector<std::string> strings_of(const Names& names) {
  return {names.begin(), names.end()};
}

std::vector<std::string> dtype_words() {
  std::vector<std::string> words;
  for (const auto& entry : dtype_names) words.emplace_back(entry.name);
  return words;
}

// `depth` bounds the recursion; check() has the smaller limit that users meet.
std::vector<LayerPattern> read_layers(TomlReader& in, int depth = 0) {
  std::vector<LayerPattern> out;
  in.tables("layers", [&](TomlReader& layer, std::size_t) {
    LayerPattern pattern{.repeat = layer.integer_or("repeat", 1, 1, max_layers), .attention = {}, .ffn = {}, .layers = {}};
    if (layer.has("layers")) {
      if (depth < 32) pattern.layers = read_layers(layer, depth + 1);
      if (pattern.layers.empty()) layer.problem("layers", "a nested pattern must hold at least one [[layers.layers]]");
      if (layer.has("attention") || layer.has("ffn")) layer.problem("layers", "attention and ffn belong in the nested layers");
    } else {
      pattern.attention = static_cast<Attention>(layer.word("attention", strings_of(attention_names)));
      pattern.ffn = static_cast<Ffn>(layer.word("ffn", strings_of(ffn_names)));
    }
    out.push_back(std::move(pattern));
  });
  return out;
}

void read_yarn(TomlReader& in, ModelSpec& m) {
  in.table_if_any("rope_scaling", [&](TomlReader& table) {
    Yarn yarn;
    table.word_or("type", {"yarn"}, 0);
    for (const auto& f : yarn_fields) yarn.*f.member = table.number_or(f.key, yarn.*f.member);
    yarn.factor = table.number("factor", 1);
    yarn.original_max_position_embeddings = table.integer(yarn_original_key, 1);
    m.rope_scaling = yarn;
  });
}

void read_storage(TomlReader& in, ModelSpec& m) {
  in.table_if_any("storage", [&](TomlReader& table) {
    for (const auto& f : storage_fields) {
      m.storage.*f.member = static_cast<DType>(table.word_or(f.key, dtype_words(), static_cast<std::size_t>(m.storage.*f.member)));
    }
  });
}

// A layer that could not be read hides what kinds of layers there are.
bool depends_on_layers(std::string_view key) { return key == "model_type" || key == "index_topk" || key == "intermediate_size" || key.starts_with("layers"); }

bool is_reported(const Problems& problems, const std::string& key) {
  return std::any_of(problems.lines().begin(), problems.lines().end(),
                     [&](const std::string& line) { return line.find(": " + key + ": ") != std::string::npos; });
}

std::string commented(std::string assignment, std::string_view comment) {
  return comment.empty() ? assignment + "\n" : fmt::format("{:<34}# {}\n", assignment, comment);
}

std::string strings_literal(const std::vector<std::string>& values) {
  std::string out;
  for (const auto& v : values) out += (out.empty() ? "" : ", ") + toml_string(v);
  return "[" + out + "]";
}

void write_layers(std::string& out, const std::vector<LayerPattern>& layers, const std::string& header) {
  for (const auto& p : layers) {
    out += fmt::format("\n[[{}]]\nrepeat = {}\n", header, p.repeat);
    if (p.layers.empty()) {
      out +=
          fmt::format("attention = \"{}\"\nffn = \"{}\"\n", attention_names[static_cast<std::size_t>(p.attention)], ffn_names[static_cast<std::size_t>(p.ffn)]);
    }
    write_layers(out, p.layers, header + ".layers");
  }
}

std::string yarn_text(const Yarn& yarn) {
  std::string out = "\n[rope_scaling]  # YaRN, at every length\ntype = \"yarn\"\n";
  out += fmt::format("{} = {}\n", yarn_original_key, yarn.original_max_position_embeddings);
  for (const auto& f : yarn_fields) out += fmt::format("{} = {}\n", f.key, toml_number(yarn.*f.member));
  return out;
}

std::string storage_text(const Storage& storage) {
  std::string out = "\n[storage]  # how the weights of each class are kept; scales are accounted for\n";
  for (const auto& f : storage_fields) out += commented(fmt::format("{} = \"{}\"", f.key, name_of(storage.*f.member)), f.comment);
  return out;
}

}  // namespace

void read_sizes(TomlReader& in, ModelSpec& m) {
  for (const auto& f : size_fields) { m.*f.member = f.needed == Needed::always ? in.integer(f.key, 1, f.most) : in.integer_or(f.key, m.*f.member, 0, f.most); }
  for (const auto& f : real_fields) m.*f.member = in.number_or(f.key, m.*f.member);
}

void read_indexer(TomlReader& in, ModelSpec& m) {
  const auto present = [&](const IndexerField& f) { return in.has(f.key); };
  if (std::count_if(indexer_fields.begin(), indexer_fields.end(), present) == 0) return;
  m.indexer.emplace();
  for (const auto& f : indexer_fields) *m.indexer.*f.member = in.integer(f.key, 1, f.most);
}

void report_inconsistencies(TomlReader& in, const ModelSpec& m, const Problems& problems, bool layers_misread) {
  for (const auto& found : check(m)) {
    const bool follows = is_reported(problems, found.key) || (layers_misread && depends_on_layers(found.key));
    if (!follows) in.problem(found.key, found.message);
  }
}

ModelSpec read_model_toml(std::string_view text, const std::string& file) {
  const TomlValue root = parse_toml(text, file);
  Problems problems;
  TomlReader in(root, file, "", problems);
  ModelSpec m;
  if (in.integer("schema") != schema && in.has("schema")) in.problem("schema", fmt::format("this version reads schema {}", schema));
  m.name = in.string("name");
  m.aliases = in.strings_or("aliases", {});
  m.model_type = model_types[in.word("model_type", strings_of(model_types))];
  m.source = in.string_or("source", "");
  read_sizes(in, m);
  read_indexer(in, m);
  read_yarn(in, m);
  const std::size_t problems_before_layers = problems.lines().size();
  m.layers = read_layers(in);
  const bool layers_misread = problems.lines().size() > problems_before_layers;
  read_storage(in, m);
  in.finish();
  report_inconsistencies(in, m, problems, layers_misread);
  problems.throw_if_any();
  return m;
}

std::string write_model_toml(const ModelSpec& m) {
  std::string out = commented(fmt::format("schema = {}", schema), "version of this format");
  out += fmt::format("name = {}\naliases = {}\n", toml_string(m.name), strings_literal(m.aliases));
  out += commented(fmt::format("model_type = {}", toml_string(m.model_type)), "deepseek_v3, or deepseek_v32 if a layer is sparse");
  out += fmt::format("source = {}\n\n", toml_string(m.source));
  for (const auto& f : size_fields) out += commented(fmt::format("{} = {}", f.key, m.*f.member), f.comment);
  for (const auto& f : real_fields) out += commented(fmt::format("{} = {}", f.key, toml_number(m.*f.member)), f.comment);
  for (const auto& f : indexer_fields) {
    if (m.indexer) out += commented(fmt::format("{} = {}", f.key, *m.indexer.*f.member), f.comment);
  }
  if (m.rope_scaling) out += yarn_text(*m.rope_scaling);
  write_layers(out, m.layers, "layers");
  return out + storage_text(m.storage);
}

}  // namespace fathom::model_spec
