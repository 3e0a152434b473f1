#include "executor/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "model_spec/error.h"
#include "tests/executor/temporary_folder.h"

namespace fathom::executor {
namespace {

using model_spec::Error;
using model_spec::Failure;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string with_length(const std::string& header) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header;
}
SafetensorsHeader parse(const std::string& file) { return parse_safetensors(std::as_bytes(std::span(file)), file.size(), "x"); }

// What is said of a file with this header and so many bytes of data.
std::string error_of_file(const std::string& file, Failure expected = Failure::bad_file) {
  try {
    parse(file);
  } catch (const Error& e) {
    EXPECT_EQ(e.failure(), expected);
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "";
}
std::string error_of(const std::string& header, std::size_t data_bytes) { return error_of_file(with_length(header) + std::string(data_bytes, 'd')); }
std::string entry(const std::string& type, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, AHeaderIsRead) {
  const std::string header = R"({"__metadata__":{"format":"pt"},"b":)" + entry("F32", "[2,3]", "[2,26]") + R"(,"a":)" + entry("BF16", "[1]", "[0,2]") +
                             R"(,"none":)" + entry("I64", "[7,0]", "[26,26]") + R"(,"one":)" + entry("U8", "[]", "[26,27]") + "}   ";
  const auto read = parse(with_length(header) + std::string(27, 'd'));
  EXPECT_EQ(read.data_begin, 8 + header.size());
  EXPECT_EQ(read.metadata.at("format"), "pt");
  ASSERT_EQ(read.tensors.size(), 4u);
  const auto& b = read.tensors.at("b");
  EXPECT_EQ(b.type, FileType::f32);
  EXPECT_THAT(b.shape, ElementsAre(2, 3));
  EXPECT_EQ(b.begin, 2u);
  EXPECT_EQ(b.end, 26u);
  EXPECT_EQ(read.tensors.at("none").elements(), 0);
  EXPECT_EQ(read.tensors.at("one").elements(), 1);
}

TEST(Safetensors, EveryTypeHasItsSize) {
  const std::pair<const char*, int> types[] = {{"F32", 4}, {"BF16", 2}, {"F16", 2}, {"F8_E4M3", 1}, {"I64", 8}, {"I32", 4}, {"U8", 1}, {"BOOL", 1}};
  for (const auto& [name, bytes] : types) {
    const std::string size = std::to_string(3 * bytes);
    const auto read = parse(with_length(R"({"t":)" + entry(name, "[3]", "[0," + size + "]") + "}") + std::string(static_cast<std::size_t>(3 * bytes), 'd'));
    EXPECT_EQ(name_of(read.tensors.at("t").type), name);
    EXPECT_EQ(bytes_of(read.tensors.at("t").type), bytes);
  }
}

TEST(Safetensors, TheLengthOfTheHeaderIsChecked) {
  EXPECT_EQ(error_of_file(""), "x: header: the file has only 0 bytes");
  EXPECT_EQ(error_of_file("1234567"), "x: header: the file has only 7 bytes");
  EXPECT_THAT(error_of_file(std::string(8, '\0')), HasSubstr("does not begin with a brace"));
  EXPECT_EQ(error_of_file(with_length("{}").replace(0, 1, "\3")), "x: header: should have 3 bytes, but the file has only 10 in all");
  EXPECT_THAT(error_of_file(std::string(8, '\xff') + "{}"), HasSubstr("would have 18446744073709551615 bytes, more than the 100000000 of the format"));
  EXPECT_EQ(parse(with_length("{}")).tensors.size(), 0u);
}

TEST(Safetensors, BrokenJsonIsRefused) {
  EXPECT_THAT(error_of("{\"a\" 1}", 0), HasSubstr("x: header: parse error at line 1, column 6"));
  EXPECT_THAT(error_of(" {}", 0), HasSubstr("does not begin with a brace"));
  EXPECT_THAT(error_of("{}{}", 0), HasSubstr("x: header: parse error"));
  EXPECT_THAT(error_of(std::string("{}\0{", 4), 0), HasSubstr("zero byte"));
  EXPECT_THAT(error_of("{\"\xff\":1}", 0), HasSubstr("x: header: parse error"));
  EXPECT_THAT(error_of("{\"a\":" + std::string(100'000, '['), 0), HasSubstr("brackets inside one another"));
  EXPECT_THAT(error_of("{\"a\\nb\":1}", 0), HasSubstr("x: header: a name holds a control character"));
}

TEST(Safetensors, KeysThatStandTwiceAreRefused) {
  const std::string a = entry("U8", "[1]", "[0,1]");
  EXPECT_THAT(error_of(R"({"a":)" + a + R"(,"a":)" + a + "}", 1), HasSubstr("x: header: the key \"a\" is given twice"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1), HasSubstr("the key \"dtype\" is given twice"));
}

TEST(Safetensors, WhatATensorSaysIsChecked) {
  const auto of = [](const std::string& value) { return error_of(R"({"t":)" + value + "}", 4); };
  EXPECT_EQ(of(entry("F32", "[1]", "[0,4]")), "");
  EXPECT_EQ(of("3"), "x: t: must be an object with dtype, shape and data_offsets");
  EXPECT_EQ(of(R"({"dtype":"F32","shape":[1]})"), "x: t: data_offsets is missing");
  EXPECT_EQ(of(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]})"), "x: t: only dtype, shape and data_offsets are understood");
  EXPECT_EQ(of(entry("F64", "[1]", "[0,8]")), "x: t: dtype \"F64\" is not understood");
  EXPECT_EQ(of(R"({"dtype":7,"shape":[1],"data_offsets":[0,4]})"), "x: t: dtype must be a string");
  for (const auto shape : {"[-1]", "[1.0]", "[\"1\"]", "[[1]]", "[18446744073709551615]", "[1e400]"}) EXPECT_NE(of(entry("F32", shape, "[0,4]")), "") << shape;
  EXPECT_EQ(of(entry("F32", "[-1]", "[0,4]")), "x: t: shape must hold whole numbers of 0 or more");
  EXPECT_EQ(of(entry("F32", "4", "[0,4]")), "x: t: shape must be a list");
  EXPECT_EQ(of(entry("F32", "[4294967296,4294967296,0]", "[0,4]")), "x: t: its shape has more elements than can be counted");
  EXPECT_EQ(of(entry("F32", "[2305843009213693953]", "[0,4]")), "x: t: its shape has more elements than can be counted");  // 2^61 + 1: its bytes overflow
  EXPECT_EQ(of(entry("F32", "[1]", "[0]")), "x: t: data_offsets must be a list of two");
  EXPECT_EQ(of(entry("F32", "[1]", "[-1,3]")), "x: t: data_offsets must hold whole numbers of 0 or more");
  EXPECT_EQ(of(entry("F32", "[1]", "[4,0]")), "x: t: data_offsets are reversed: 4 to 0");
  EXPECT_EQ(of(entry("F32", "[2]", "[0,8]")), "x: t: ends at byte 8 of the data, but the file holds only 4: is it cut off?");
  EXPECT_EQ(of(entry("F32", "[2]", "[0,4]")), "x: t: its shape takes 8 bytes, its data_offsets span 4");
}

TEST(Safetensors, EveryByteOfTheDataBelongsToOneTensor) {
  const auto two = [](const std::string& a, const std::string& b, std::size_t bytes) { return error_of(R"({"a":)" + a + R"(,"b":)" + b + "}", bytes); };
  EXPECT_EQ(two(entry("U8", "[2]", "[2,4]"), entry("U8", "[2]", "[0,2]"), 4), "");
  EXPECT_EQ(two(entry("U8", "[2]", "[0,2]"), entry("U8", "[2]", "[1,3]"), 3),
            "x: b: begins at byte 1 of the data, inside the tensor before it, which ends at 2");
  EXPECT_EQ(two(entry("U8", "[2]", "[0,2]"), entry("U8", "[2]", "[3,5]"), 5), "x: b: begins at byte 3 of the data, but the tensor before it ends at 2");
  EXPECT_EQ(two(entry("U8", "[2]", "[1,3]"), entry("U8", "[2]", "[3,5]"), 5), "x: a: begins at byte 1 of the data, but the tensor before it ends at 0");
  EXPECT_EQ(two(entry("U8", "[2]", "[0,2]"), entry("U8", "[2]", "[2,4]"), 5), "x: header: the tensors end at byte 4 of the data, but the file holds 5");
  EXPECT_EQ(error_of("{}", 1), "x: header: the tensors end at byte 0 of the data, but the file holds 1");
}

TEST(Safetensors, MetadataHoldsStrings) {
  EXPECT_EQ(error_of(R"({"__metadata__":[]})", 0), "x: __metadata__: must be an object");
  EXPECT_EQ(error_of(R"({"__metadata__":{"n":1}})", 0), "x: __metadata__: must hold strings only");
}

TEST(Safetensors, LongNamesAreCutInMessages) { EXPECT_LT(error_of("{\"" + std::string(10'000, 'n') + "\":1}", 0).size(), 300u); }

TEST(Safetensors, WhatIsWrittenReadsBack) {
  const TemporaryFolder folder;
  const std::vector<std::byte> three{std::byte{1}, std::byte{2}, std::byte{3}}, four{std::byte{4}, std::byte{5}, std::byte{6}, std::byte{7}};
  const std::vector<NamedTensor> tensors{{.name = "odd", .type = FileType::f8_e4m3, .shape = {1, 3}, .data = three},
                                         {.name = "wide", .type = FileType::f32, .shape = {}, .data = four},
                                         {.name = "empty", .type = FileType::i64, .shape = {0, 5}, .data = {}}};
  write_safetensors(folder / "t.safetensors", tensors);
  const auto file = SafetensorsFile::open(folder / "t.safetensors");
  EXPECT_EQ(file.header().tensors.size(), 3u);
  EXPECT_EQ(file.header().metadata.at("format"), "pt");
  for (const auto& t : tensors) {
    const TensorEntry* read = file.find(t.name);
    ASSERT_NE(read, nullptr);
    EXPECT_EQ(read->type, t.type);
    EXPECT_EQ(read->shape, t.shape);
    EXPECT_TRUE(std::ranges::equal(file.bytes(*read), t.data)) << t.name;
    EXPECT_EQ((file.header().data_begin + read->begin) % static_cast<std::uint64_t>(bytes_of(t.type)), 0u) << t.name;  // aligned
  }
  EXPECT_EQ(file.find("other"), nullptr);
  EXPECT_FALSE(exists(folder / "t.safetensors.tmp"));
}

TEST(Safetensors, AWriterThatDoesNotFinishLeavesTheFileAsItWas) {
  const TemporaryFolder folder;
  write_bytes(folder / "t", "before");
  { SafetensorsWriter writer(folder / "t", {.tensors = {{"a", {.type = FileType::u8, .shape = {1}}}}, .metadata = {}}); }
  EXPECT_EQ(read_bytes(folder / "t"), "before");
  EXPECT_FALSE(exists(folder / "t.tmp"));
}

Failure failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& e) { return e.failure(); }
  ADD_FAILURE() << "nothing thrown";
  return Failure::usage;
}

TEST(Safetensors, FilesThatCannotBeReadOrWritten) {
  const TemporaryFolder folder;
  EXPECT_EQ(failure_of([&] { SafetensorsFile::open(folder / "missing"); }), Failure::io);
  EXPECT_EQ(failure_of([&] { SafetensorsFile::open(folder.path()); }), Failure::io);
  write_bytes(folder / "empty", "");
  EXPECT_EQ(failure_of([&] { SafetensorsFile::open(folder / "empty"); }), Failure::bad_file);
  EXPECT_EQ(failure_of([&] { write_safetensors(folder / "no/folder", {}); }), Failure::io);
}

TEST(Safetensors, FilesOfMoreThanFourGigabytes) {
  const TemporaryFolder folder;
  const std::string header =
      with_length(R"({"big":)" + entry("F32", "[1073741825]", "[0,4294967300]") + R"(,"last":)" + entry("U8", "[3]", "[4294967300,4294967303]") + "}");
  write_bytes(folder / "t", header);
  std::filesystem::resize_file(folder / "t", header.size() + 4294967300);  // a hole
  std::ofstream(folder / "t", std::ios::binary | std::ios::app) << "end";
  const auto file = SafetensorsFile::open(folder / "t");
  EXPECT_EQ(file.bytes(*file.find("big")).size(), 4294967300u);
  EXPECT_EQ(std::memcmp(file.bytes(*file.find("last")).data(), "end", 3), 0);
}

TEST(Safetensors, TheMappingOutlivesTheFileObject) {
  const TemporaryFolder folder;
  write_safetensors(folder / "t", std::vector<NamedTensor>{{.name = "a", .type = FileType::u8, .shape = {1}, .data = {std::byte{42}}}});
  std::shared_ptr<const void> owner;
  const std::byte* data = nullptr;
  {
    const auto file = SafetensorsFile::open(folder / "t");
    owner = file.mapping();
    data = file.bytes(*file.find("a")).data();
  }
  EXPECT_EQ(*data, std::byte{42});
}

}  // namespace
}  // namespace fathom::executor
