// The file format: tokenizer.json of Hugging Face tokenizers, as far as DeepSeek-V3's family uses it.
#include <fmt/core.h>

#include "executor/strict_json.h"
#include "executor/tokenizer.h"
#include "executor/utf8.h"

namespace fathom::executor {

namespace {

using Json = nlohmann::json;
using Reader = Fields<Json>;

constexpr JsonBounds bounds{.bytes = 16u << 20, .nesting = 16, .keys = 1u << 20};  // V3.2's file: 8 MB, 128000 keys
constexpr std::int64_t id_limit = 1 << 22;                                         // bounds memory; V3.2's vocabulary has 129280 rows

std::string quoted(const std::string& s) { return Json(s).dump(); }

// The printable character that stands for a byte in a byte-level vocabulary (GPT-2's table): printable Latin-1 for itself, the others in
// order from U+0100 on. All lie below U+0800: one or two bytes of UTF-8.
std::array<std::string, 256> byte_alphabet() {
  std::array<std::string, 256> out;
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
    const unsigned c = printable ? byte : next++;
    if (c < 0x80) out[byte] = {static_cast<char>(c)};
    else out[byte] = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 0x3F))};
  }
  return out;
}

// What a token stands for: bytes, if all its characters are of the alphabet; else its own text.
std::string bytes_of_token(const std::string& token) {
  static const auto alphabet = [characters = byte_alphabet()] {
    std::unordered_map<std::string, char> out;
    for (std::size_t byte = 0; byte < 256; ++byte) out[characters[byte]] = static_cast<char>(byte);
    return out;
  }();
  std::string out;
  for (std::size_t at = 0; at < token.size();) {
    const std::size_t bytes = utf8_step(std::string_view(token).substr(at)).bytes;
    const auto byte = alphabet.find(token.substr(at, bytes));
    if (byte == alphabet.end()) return token;
    out += byte->second;
    at += bytes;
  }
  return out;
}

std::int32_t read_id(const Json& value, const std::string& file, const std::string& key) {
  const bool sound = value.is_number_unsigned() && value.get<std::uint64_t>() < id_limit;
  if (!sound) refuse(file, key, fmt::format("{} is not an id (a whole number from 0, below {})", value.dump(), id_limit));
  return value.get<std::int32_t>();
}

// Gives an id its token.
void claim(TokenizerTables& t, std::int32_t id, const std::string& token, const std::string& file, const std::string& key) {
  const auto at = static_cast<std::size_t>(id);
  if (at >= t.bytes.size()) {
    t.bytes.resize(at + 1);
    t.special.resize(at + 1);
  }
  if (!t.bytes[at].empty()) refuse(file, key, fmt::format("id {} belongs to another token", id));
  t.bytes[at] = bytes_of_token(token);
  t.ids.emplace(token, id);
}

void read_vocabulary(Reader& model, TokenizerTables& t) {
  const std::string path = model.path("vocab");
  const Json& vocab = model.get("vocab");
  if (!vocab.is_object()) model.refuse("vocab", "must be an object");
  for (const auto& [token, value] : vocab.items()) {
    const std::string key = fmt::format("{}.{}", path, quoted(token));
    if (token.empty()) refuse(model.file(), key, "is empty");
    const std::int32_t id = read_id(value, model.file(), key);
    claim(t, id, token, model.file(), key);
  }
  const auto characters = byte_alphabet();
  for (std::size_t byte = 0; byte < 256; ++byte) {
    const auto found = t.ids.find(characters[byte]);
    if (found == t.ids.end()) model.refuse("vocab", fmt::format("has no token {} for byte {}", quoted(characters[byte]), byte));
    t.of_byte[byte] = found->second;
  }
}

// "a b" or ["a", "b"].
std::pair<std::string, std::string> read_pair(const Json& merge, const std::string& file, const std::string& key) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) return {merge[0], merge[1]};
  const std::string text = merge.is_string() ? merge.get<std::string>() : "";
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) refuse(file, key, "must be two tokens: \"a b\" or [\"a\", \"b\"]");
  return {text.substr(0, space), text.substr(space + 1)};
}

void read_merges(Reader& model, TokenizerTables& t) {
  static_cast<void>(model.get("merges"));
  model.each("merges", [&](const Json& merge, const std::string& key) {
    const auto [left, right] = read_pair(merge, model.file(), key);
    const auto id = [&](const std::string& token) {
      const auto found = t.ids.find(token);
      if (found == t.ids.end()) refuse(model.file(), key, fmt::format("{} is not in the vocabulary", quoted(token)));
      return found->second;
    };
    const Merge merged{.rank = static_cast<std::uint32_t>(t.merges.size()), .id = id(left + right)};
    if (!t.merges.try_emplace(pair_key(id(left), id(right)), merged).second) refuse(model.file(), key, "the pair is given twice");
  });
}

void read_model(Reader model, TokenizerTables& t) {
  if (const std::string type = model.string("type"); type != "BPE") model.refuse("type", fmt::format("{} is not understood, only \"BPE\"", quoted(type)));
  for (const auto key : {"dropout", "unk_token"}) model.only(key, nullptr);
  for (const auto key : {"continuing_subword_prefix", "end_of_word_suffix"}) model.only(key, "");
  for (const auto key : {"byte_fallback", "ignore_merges"}) model.only(key, false);
  model.ignore({"fuse_unk"});  // nothing is unknown: every byte has a token
  read_vocabulary(model, t);
  read_merges(model, t);
  model.finish();
}

// The vocabulary may hold the token too, with the same id.
void read_added_token(Reader token, TokenizerTables& t) {
  const std::string content = token.string("content");
  if (content.empty()) token.refuse("content", "is empty");
  const std::int32_t id = read_id(token.get("id"), token.file(), token.path("id"));
  for (const auto key : {"single_word", "lstrip", "rstrip"}) token.only(key, false);
  const bool special = token.boolean_or("special", false);
  const bool normalized = token.boolean_or("normalized", !special);
  token.finish();
  const auto known = t.ids.find(content);
  if (known == t.ids.end()) claim(t, id, content, token.file(), token.path("id"));
  else if (known->second != id) token.refuse("id", fmt::format("{} has id {} already", quoted(content), known->second));
  t.special[static_cast<std::size_t>(id)] = special;
  if (!t.added[normalized ? 1 : 0].insert(content, id)) token.refuse("content", "is given twice");
}

void refuse_type(Reader& part, const std::string& type, std::string_view understood) {
  part.refuse("type", fmt::format("{} is not understood, only {}", quoted(type), understood));
}

// Normalised text is the text itself.
void read_normalizer(Reader& in) {
  const Json* value = in.find("normalizer");
  if (value == nullptr) return;
  Reader part(*value, in.file(), "normalizer");
  if (const std::string type = part.string("type"); type != "Sequence") refuse_type(part, type, "null or an empty \"Sequence\"");
  if (!part.array("normalizers").empty()) part.refuse("normalizers", "must be empty");
  part.finish();
}

void read_split(Reader part, TokenizerTables& t) {
  if (const std::string type = part.string("type"); type != "Split") refuse_type(part, type, "\"Split\"s and then one \"ByteLevel\"");
  part.only("behavior", "Isolated");
  part.only("invert", false);
  Reader pattern(part.get("pattern"), part.file(), part.path("pattern"));
  t.splits.emplace_back(pattern.string("Regex"), fmt::format("{}: {}", part.file(), pattern.path("Regex")));
  pattern.finish();
  part.finish();
}

// The last step: bytes to characters of the alphabet, with no cutting of its own.
void read_byte_level(Reader part) {
  if (const std::string type = part.string("type"); type != "ByteLevel") refuse_type(part, type, "\"ByteLevel\" at the end");
  for (const auto key : {"add_prefix_space", "use_regex"}) {
    if (part.boolean_or(key, true)) part.refuse(key, "only false is understood");  // absent means true
  }
  part.ignore({"trim_offsets"});
  part.finish();
}

void read_pre_tokenizer(Reader part, TokenizerTables& t) {
  if (const std::string type = part.string("type"); type != "Sequence") refuse_type(part, type, "\"Sequence\"");
  const Json& steps = part.array("pretokenizers");
  if (steps.empty()) part.refuse("pretokenizers", "must end with \"ByteLevel\"");
  part.each("pretokenizers", [&](const Json& step, const std::string& path) {
    if (&step == &steps.back()) read_byte_level({step, part.file(), path});
    else read_split({step, part.file(), path}, t);
  });
  part.finish();
}

void read_decoder(Reader part) {
  if (const std::string type = part.string("type"); type != "ByteLevel") refuse_type(part, type, "\"ByteLevel\"");
  part.ignore({"add_prefix_space", "trim_offsets", "use_regex"});  // of the encoding side
  part.finish();
}

}  // namespace

Tokenizer parse_tokenizer(std::string_view json, const std::string& file) {
  const Json root = parse_json<Json>(json, file, bounds);
  Reader in(root, file, "");
  TokenizerTables t;
  in.only("version", "1.0");
  for (const auto key : {"truncation", "padding"}) in.only(key, nullptr);
  read_normalizer(in);
  read_pre_tokenizer({in.get("pre_tokenizer"), file, "pre_tokenizer"}, t);
  in.ignore({"post_processor"});  // adds tokens around a text, or moves offsets; encode() does neither
  read_decoder({in.get("decoder"), file, "decoder"});
  read_model({in.get("model"), file, "model"}, t);
  in.each("added_tokens", [&](const Json& token, const std::string& path) { read_added_token({token, file, path}, t); });
  in.finish();
  return Tokenizer(std::move(t));
}

}  // namespace fathom::executor
