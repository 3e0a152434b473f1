#include "executor/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model_spec/error.h"

namespace fathom::executor {
namespace {

using namespace std::string_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

// A small tokenizer of DeepSeek-V3's kind: its three special tokens and its regular expressions, all bytes, and these few merges.
constexpr std::string_view frame = R"json({
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [
    {"id": 0, "content": "<｜begin▁of▁sentence｜>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "<｜end▁of▁sentence｜>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "<｜▁pad▁｜>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 297, "content": "<think>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false},
    {"id": 298, "content": "</think>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false},
    {"id": 299, "content": "<think>ing", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false},
    {"id": 300, "content": "<｜User｜>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 301, "content": "<｜Assistant｜>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 302, "content": "｜DSML｜", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}
  ],
  "normalizer": {"type": "Sequence", "normalizers": []},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
    {"type": "Split", "pattern": {"Regex": "[一-龥぀-ゟ゠-ヿ]+"}, "behavior": "Isolated", "invert": false},
    {"type": "Split", "pattern": {"Regex":
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"},
      "behavior": "Isolated", "invert": false},
    {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
  ]},
  "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null,
            "fuse_unk": false, "byte_fallback": false, "vocab": {"<｜begin▁of▁sentence｜>": 0, "<｜end▁of▁sentence｜>": 1, "<｜▁pad▁｜>": 2},
            "merges": []}
})json";

// The characters that stand for the 256 bytes, in the order of their ids from 3 on.
constexpr std::string_view alphabet = R"(!"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_`abcdefghijklmnopqrstuvwxyz{|}~)"
                                      "¡¢£¤¥¦§¨©ª«¬®¯°±²³´µ¶·¸¹º»¼½¾¿ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ"
                                      "ĀāĂăĄąĆćĈĉĊċČčĎďĐđĒēĔĕĖėĘęĚěĜĝĞğĠġĢģĤĥĦħĨĩĪīĬĭĮįİıĲĳĴĵĶķĸĹĺĻļĽľĿŀŁłŃ";

const std::vector<std::string> merges = {"t h",     "th e", "Ġ the", "l l",  "h e", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d",  "Ġwor ld", "d o",
                                         "do n",    "' t",  "1 2",   "12 3", "4 5", "Ġ Ġ",   "ĠĠ ĠĠ",  "Ċ Ċ", "č Ċ", "ä ¸",   "ä¸ Ń", "æ ĸ",     "æĸ ĩ",
                                         "ä¸Ń æĸĩ", "Ã ©",  ". .",   ".. .", "! !", "a a",   "aa aa",  "a b", "Ġ Ċ", "ĠĠ Ċ",  "i n",  "in g"};

Json tiny() {
  Json root = Json::parse(frame);
  Json& model = root["model"];
  Json& vocab = model["vocab"];
  for (std::size_t at = 0; at < alphabet.size();) {
    const std::size_t bytes = static_cast<unsigned char>(alphabet[at]) < 0x80 ? 1 : 2;
    vocab[std::string(alphabet.substr(at, bytes))] = vocab.size();
    at += bytes;
  }
  for (const auto& merge : merges) {
    const std::size_t space = merge.find(' ');
    vocab[merge.substr(0, space) + merge.substr(space + 1)] = vocab.size();
    model["merges"].push_back(merge);
  }
  return root;
}

const Tokenizer& tokenizer() {
  static const Tokenizer t = parse_tokenizer(tiny().dump(), "tokenizer.json");
  return t;
}

// The ids of tokens, written as in the vocabulary, with spaces between.
std::vector<std::int32_t> ids(const std::string& tokens, const Tokenizer& t = tokenizer()) {
  std::vector<std::int32_t> out;
  std::istringstream in(tokens);
  for (std::string token; in >> token;) out.push_back(t.id_of(token).value());
  return out;
}

// What the reader says of tiny() with the value at a JSON pointer replaced.
std::string error_with(const std::string& pointer, const Json& value) {
  Json root = tiny();
  root[Json::json_pointer(pointer)] = value;
  try {
    parse_tokenizer(root.dump(), "tokenizer.json");
    return "";
  } catch (const model_spec::Error& e) {
    EXPECT_EQ(e.failure(), model_spec::Failure::bad_file);
    EXPECT_THAT(e.what(), StartsWith("tokenizer.json: "));
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what() + std::string("tokenizer.json: ").size();
  }
}

struct Case {
  std::string text, tokens;
};

// Made with Hugging Face tokenizers 0.23.3 from the same tokenizer.json.
const std::vector<Case> cases = {
    {"", ""},
    {"hello world", "hello Ġworld"},
    {"Hello World", "H e ll o Ġ W or ld"},
    {"the the  the", "the Ġthe Ġ Ġthe"},
    {"  the", "Ġ Ġthe"},
    {"the  ", "the ĠĠ"},
    {" \n", "ĠĊ"},
    {" \n\n  the", "Ġ ĊĊ Ġ Ġthe"},
    {"the\n\nthe\r\n the", "the ĊĊ the čĊ Ġthe"},
    {"\r\n\r\n", "čĊ čĊ"},
    {"\t\tthe", "ĉ ĉ the"},
    {" ", "Ġ"},
    {"    ", "ĠĠĠĠ"},
    {"     x", "ĠĠĠĠ Ġ x"},
    {"don't", "don 't"},
    {"DON'T", "D O N ' T"},
    {"it's 'the'", "i t ' s Ġ ' the '"},
    {"'the", "' the"},
    {"12345", "123 45"},
    {"1234567890", "123 45 6 7 8 9 0"},
    {"a12", "a 12"},
    {"12 345", "12 Ġ 3 45"},
    {"٣٤٥٦", "Ù £ Ù ¤ Ù ¥ Ù ¦"},
    {"½Ⅻ", "Â ½ â ħ «"},
    {"12.345,6", "12 . 3 45 , 6"},
    {"中文", "ä¸Ńæĸĩ"},
    {"中文the", "ä¸Ńæĸĩ the"},
    {"the中文 中文", "the ä¸Ńæĸĩ Ġ ä¸Ńæĸĩ"},
    {"ひらがなカタカナ", "ã ģ ² ã Ĥ ī ã ģ Į ã ģ ª ã Ĥ « ã Ĥ ¿ ã Ĥ « ã ĥ Ĭ"},
    {"漢字と12仮名", "æ ¼ ¢ å Ń Ĺ ã ģ ¨ 12 ä » ® å Ĳ į"},
    {"한국어", "í ķ ľ ê µ Ń ì ĸ ´"},
    {"。，、", "ã Ģ Ĥ ï ¼ Į ã Ģ ģ"},
    {"...", "..."},
    {"wait...\nthe", "w a i t ... Ċ the"},
    {"!!!\n\n\n!", "!! ! ĊĊ Ċ !"},
    {"(the)", "( the )"},
    {"$x_1", "$ x _ 1"},
    {"#include <the>", "# in c l u d e Ġ < the >"},
    {"--the", "- - the"},
    {"a/the/b", "a / the / b"},
    {"e\314\201", "e Ì ģ"},
    {"é", "Ã©"},
    {"éÉ", "Ã© Ã ī"},
    {"aaaaaaa", "aaaa aa a"},
    {"aaaaaab", "aaaa aa b"},
    {"ababab", "ab ab ab"},
    {"thethethe", "the the the"},
    {"hellohello", "hello hello"},
    {"👍🏽", "ð Ł ĳ į ð Ł ı ½"},
    {"👨\342\200\215👩\342\200\215👧", "ð Ł ĳ ¨ â Ģ į ð Ł ĳ © â Ģ į ð Ł ĳ §"},
    {"🇩🇪", "ð Ł ĩ © ð Ł ĩ ª"},
    {"“the”", "â Ģ ľ the â Ģ Ŀ"},
    {"x²", "x Â ²"},
    {"naïve café", "n a Ã ¯ v e Ġ c a f Ã©"},
    {"\302\240the", "Â ł the"},
    {"\343\200\200中文", "ã Ģ Ģ ä¸Ńæĸĩ"},
    {"the\342\200\213the", "the â Ģ ĭ the"},
    {"\357\273\277the", "ï » ¿ the"},
    {"\000\001the"s, "Ā ā the"},
    {"\177", "ġ"},
    {"ſtraße", "Å ¿ t r a Ã Ł e"},
    {"हिन्दी", "à ¤ ¹ à ¤ ¿ à ¤ ¨ à ¥ į à ¤ ¦ à ¥ Ģ"},
    {"<think>the</think>", "<think> the </think>"},
    {"<think>ing", "<think>ing"},
    {"<think>in", "<think> in"},
    {"<think", "< th in k"},
    {"<<think>>", "< <think> >"},
    {"the<｜User｜>the<｜Assistant｜><think>", "the <｜User｜> the <｜Assistant｜> <think>"},
    {"<｜User｜><｜User｜>", "<｜User｜> <｜User｜>"},
    {"<｜DSML｜the> </｜DSML｜the>", "< ｜DSML｜ the > Ġ < / ｜DSML｜ the >"},
    {"<｜begin▁of▁sentence｜>hello<｜end▁of▁sentence｜>", "<｜begin▁of▁sentence｜> hello <｜end▁of▁sentence｜>"},
    {"12<think>345", "12 <think> 3 45"},
    {"  <think>  the", "ĠĠ <think> Ġ Ġthe"},
    {"a<｜▁pad▁｜>b", "a <｜▁pad▁｜> b"},
    {"~the|the`", "~ the | the `"},
    {"[the]{the}", "[ the ] { the }"},
    {"C++ & C#", "C + + Ġ & Ġ C #"},
    {"http://the.the/the?the=12", "h t t p : / / the . the / the ? the = 12"},
    {"the@the.the", "the @ the . the"},
};

TEST(Tokenizer, EncodesAsTheReferenceAndDecodesBack) {
  for (const auto& c : cases) {
    EXPECT_EQ(tokenizer().encode(c.text), ids(c.tokens)) << c.text;
    EXPECT_EQ(tokenizer().decode(ids(c.tokens)), c.text);
  }
}

TEST(Tokenizer, KnowsItsTokens) {
  EXPECT_EQ(tokenizer().id_of("<｜User｜>"), 300);
  EXPECT_EQ(tokenizer().id_of("!"), 3);
  EXPECT_EQ(tokenizer().id_of(" the"), std::nullopt);  // the vocabulary writes it Ġthe
  EXPECT_EQ(tokenizer().bytes_of(*tokenizer().id_of("Ġthe")), " the");
  EXPECT_EQ(tokenizer().bytes_of(*tokenizer().id_of("ä¸")), "\xE4\xB8");
  EXPECT_EQ(tokenizer().id_count(), 303u);
  EXPECT_TRUE(tokenizer().is_special(0));
  EXPECT_FALSE(tokenizer().is_special(297));
  EXPECT_FALSE(tokenizer().is_special(-1));
  EXPECT_FALSE(tokenizer().is_special(303));
}

TEST(Tokenizer, EveryByteHasItsToken) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    int owners = 0;
    for (std::int32_t id = 3; id < 259; ++id) owners += tokenizer().bytes_of(id) == one;
    EXPECT_EQ(owners, 1) << byte;
  }
}

TEST(Tokenizer, DropsSpecialTokensOnly) {
  const auto all = ids("<｜begin▁of▁sentence｜> <｜User｜> hello <｜Assistant｜> <think> the </think> <｜end▁of▁sentence｜>");
  EXPECT_EQ(tokenizer().decode(all, SpecialTokens::drop), "hello<think>the</think>");
}

TEST(Tokenizer, DecodesAnyIds) {
  EXPECT_EQ(tokenizer().decode(std::vector<std::int32_t>{-1, 303, 1 << 30}), "");
  EXPECT_EQ(tokenizer().decode(ids("a ä b")), "a\uFFFDb");
  EXPECT_EQ(tokenizer().decode(ids("ä¸")), "\uFFFD");                 // half a character at the end
  EXPECT_EQ(tokenizer().decode(ids("í ł Ģ")), "\uFFFD\uFFFD\uFFFD");  // ED A0 80, a surrogate
  EXPECT_EQ(tokenizer().decode(ids("ä¸ <think> Ń")), "\uFFFD<think>\uFFFD");
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8) {
  const std::vector<std::pair<std::string, std::string>> bad = {{"caf\xE9", "byte 3 (0xE9)"},   {"\xC0\x80", "byte 0"},   {"ab\xED\xA0\x80", "byte 2"},
                                                                {"\xF4\x90\x80\x80", "byte 0"}, {"中\xE4\xB8", "byte 3"}, {"\x80", "byte 0"}};
  for (const auto& [text, where] : bad) {
    try {
      static_cast<void>(tokenizer().encode(text));
      ADD_FAILURE() << text;
    } catch (const model_spec::Error& e) {
      EXPECT_EQ(e.failure(), model_spec::Failure::usage);
      EXPECT_THAT(e.what(), HasSubstr(where));
    }
  }
}

TEST(Tokenizer, LongWordsTakeLittleTime) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer().encode(std::string(100'000, 'a')).size(), 25'000u);
  EXPECT_EQ(tokenizer().encode(std::string(100'000, ' ') + "x").size(), 25'003u);  // 99999 spaces: 24999 of four, one of two, one; then one and x
  EXPECT_EQ(tokenizer().encode(std::string(100'000, '<')).size(), 100'000u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));  // seconds under a sanitizer; minutes if it were quadratic
}

TEST(Tokenizer, StreamsWholeCharactersOnly) {
  StreamDecoder stream(tokenizer());
  std::vector<std::string> parts;
  for (const auto id : ids("ä¸ Ń a ð Ł ĳ į ä a æĸ")) parts.push_back(stream.push(id));
  parts.push_back(stream.finish());
  EXPECT_THAT(parts, ElementsAre("", "中", "a", "", "", "", "👍", "", "\uFFFDa", "", "\uFFFD"));
  EXPECT_EQ(stream.finish(), "");
}

TEST(Tokenizer, MergesByRankFromTheLeft) {
  Json root = tiny();
  // "b c" before "a b": rank decides, not place
  root["model"]["vocab"].update({{"bc", 1000}, {"abc", 1001}});
  root["model"]["merges"].insert(root["model"]["merges"].begin(), "b c");
  root["model"]["merges"].push_back("a bc");
  const Tokenizer t = parse_tokenizer(root.dump(), "tokenizer.json");
  EXPECT_EQ(t.encode("abab"), ids("ab ab", t));
  EXPECT_EQ(t.encode("abcab"), ids("abc ab", t));
  EXPECT_EQ(t.encode("aaa"), ids("aa a", t));
}

TEST(Tokenizer, ReadsMergesAsPairs) {
  Json root = tiny();
  for (auto& merge : root["model"]["merges"]) {
    const auto text = merge.get<std::string>();
    merge = Json::array({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  EXPECT_EQ(parse_tokenizer(root.dump(), "tokenizer.json").encode("the hello"), tokenizer().encode("the hello"));
}

TEST(Tokenizer, RawTokensGoBeforeNormalizedOnes) {
  Json root = tiny();
  root["added_tokens"].push_back({{"id", 303}, {"content", "<th"}, {"normalized", false}});
  const Tokenizer t = parse_tokenizer(root.dump(), "tokenizer.json");
  EXPECT_EQ(t.encode("<think>"), ids("<th in k >", t));
}

TEST(Tokenizer, RefusesWhatWouldChangeTheResult) {
  EXPECT_EQ(error_with("/normalizer", {{"type", "NFC"}}), "normalizer.type: \"NFC\" is not understood, only null or an empty \"Sequence\"");
  EXPECT_EQ(error_with("/normalizer/normalizers", Json::array({{{"type", "NFC"}}})), "normalizer.normalizers: must be empty");
  EXPECT_EQ(error_with("/pre_tokenizer", nullptr), "pre_tokenizer: is missing");
  EXPECT_EQ(error_with("/pre_tokenizer/type", "Whitespace"), "pre_tokenizer.type: \"Whitespace\" is not understood, only \"Sequence\"");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers/0/type", "Digits"),
            "pre_tokenizer.pretokenizers[0].type: \"Digits\" is not understood, only \"Split\"s and then one \"ByteLevel\"");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers/1/behavior", "Removed"), "pre_tokenizer.pretokenizers[1].behavior: only \"Isolated\" is understood");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers/1/invert", true), "pre_tokenizer.pretokenizers[1].invert: only false is understood");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers/1/pattern", {{"String", "x"}}), "pre_tokenizer.pretokenizers[1].pattern.Regex: is missing");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers/3/use_regex", true), "pre_tokenizer.pretokenizers[3].use_regex: only false is understood");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers/3/type", "Split"),
            "pre_tokenizer.pretokenizers[3].type: \"Split\" is not understood, only \"ByteLevel\" at the end");
  EXPECT_EQ(error_with("/decoder/type", "Metaspace"), "decoder.type: \"Metaspace\" is not understood, only \"ByteLevel\"");
  EXPECT_EQ(error_with("/model/type", "Unigram"), "model.type: \"Unigram\" is not understood, only \"BPE\"");
  EXPECT_EQ(error_with("/model/dropout", 0.1), "model.dropout: only null is understood");
  EXPECT_EQ(error_with("/model/unk_token", "<unk>"), "model.unk_token: only null is understood");
  EXPECT_EQ(error_with("/model/byte_fallback", true), "model.byte_fallback: only false is understood");
  EXPECT_EQ(error_with("/model/end_of_word_suffix", "</w>"), "model.end_of_word_suffix: only \"\" is understood");
  EXPECT_EQ(error_with("/model/surprise", 1), "model.surprise: is not understood");
  EXPECT_EQ(error_with("/truncation", {{"max_length", 5}}), "truncation: only null is understood");
  EXPECT_EQ(error_with("/surprise", 1), "surprise: is not understood");
  EXPECT_EQ(error_with("/added_tokens/3/lstrip", true), "added_tokens[3].lstrip: only false is understood");
}

TEST(Tokenizer, RefusesWhatIsUnsound) {
  EXPECT_EQ(error_with("/model/merges/3", "l  l"), "model.merges[3]: must be two tokens: \"a b\" or [\"a\", \"b\"]");
  EXPECT_EQ(error_with("/model/merges/3", Json::array({"l"})), "model.merges[3]: must be two tokens: \"a b\" or [\"a\", \"b\"]");
  EXPECT_EQ(error_with("/model/merges/3", "l zz"), "model.merges[3]: \"lzz\" is not in the vocabulary");
  EXPECT_EQ(error_with("/model/merges/3", "the l"), "model.merges[3]: \"thel\" is not in the vocabulary");
  EXPECT_EQ(error_with("/model/merges/3", "t h"), "model.merges[3]: the pair is given twice");
  EXPECT_EQ(error_with("/model/vocab/the", -1), "model.vocab.\"the\": -1 is not an id (a whole number from 0, below 4194304)");
  EXPECT_EQ(error_with("/model/vocab/the", 4194304), "model.vocab.\"the\": 4194304 is not an id (a whole number from 0, below 4194304)");
  EXPECT_EQ(error_with("/model/vocab/the", 1.5), "model.vocab.\"the\": 1.5 is not an id (a whole number from 0, below 4194304)");
  EXPECT_THAT(error_with("/model/vocab/the", 3), HasSubstr("id 3 belongs to another token"));
  EXPECT_EQ(error_with("/model/vocab", {{"a", 0}}), "model.vocab: has no token \"Ā\" for byte 0");
  EXPECT_EQ(error_with("/model/vocab/", 999), "model.vocab.\"\": is empty");
  EXPECT_EQ(error_with("/added_tokens/3/id", 5), "added_tokens[3].id: id 5 belongs to another token");
  EXPECT_EQ(error_with("/added_tokens/0/id", 7), "added_tokens[0].id: \"<｜begin▁of▁sentence｜>\" has id 0 already");
  EXPECT_EQ(error_with("/added_tokens/3/content", ""), "added_tokens[3].content: is empty");
  EXPECT_EQ(error_with("/added_tokens/3/content", 5), "added_tokens[3].content: must be a string");
  EXPECT_EQ(error_with("/added_tokens/3/special", 5), "added_tokens[3].special: must be true or false");
  EXPECT_EQ(error_with("/added_tokens/3", 5), "added_tokens[3]: must be an object");
  EXPECT_EQ(error_with("/added_tokens", 5), "added_tokens: must be an array");
  EXPECT_EQ(error_with("/pre_tokenizer/pretokenizers", Json::array()), "pre_tokenizer.pretokenizers: must end with \"ByteLevel\"");
  const std::string regex = "/pre_tokenizer/pretokenizers/0/pattern/Regex", where = "pre_tokenizer.pretokenizers[0].pattern.Regex: ";
  EXPECT_THAT(error_with(regex, "a(b"), StartsWith(where + "at byte 3: "));
  EXPECT_EQ(error_with(regex, "a*"), where + "may match the empty string, which is not understood");
  EXPECT_THAT(error_with(regex, "\\C"), StartsWith(where + "at byte 2: "));
}

TEST(Tokenizer, RefusesWhatIsNotJson) {
  const auto error = [](const std::string& text) -> std::string {
    try {
      parse_tokenizer(text, "t.json");
      return "";
    } catch (const model_spec::Error& e) { return e.what(); }
  };
  EXPECT_THAT(error(""), StartsWith("t.json: parse error at line 1, column 1: "));
  EXPECT_THAT(error("{\n\"a\": tru}"), StartsWith("t.json: parse error at line 2, column 9: "));
  EXPECT_EQ(error("[]"), "t.json: must be an object");
  EXPECT_EQ(error(R"({"a": 1, "a": 2})"), "t.json: the key \"a\" is given twice in one object");
  EXPECT_EQ(error(std::string(40, '[')), "t.json: more than 16 brackets inside one another");
  EXPECT_EQ(error(std::string((16u << 20) + 1, ' ')), "t.json: larger than 16 MiB");
}

TEST(Tokenizer, AHostileRegexEndsSoon) {
  Json root = tiny();
  root["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a+a+)+[^a]";
  const Tokenizer t = parse_tokenizer(root.dump(), "tokenizer.json");
  try {
    static_cast<void>(t.encode(std::string(60, 'a')));
    ADD_FAILURE();
  } catch (const model_spec::Error& e) { EXPECT_THAT(e.what(), HasSubstr("pretokenizers[0].pattern.Regex: at byte 0 of a text: match limit exceeded")); }
}

}  // namespace
}  // namespace fathom::executor
