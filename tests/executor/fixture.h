// The reference outputs in tests/fixtures, and runs of the same models.
#pragma once

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <cstring>
#include <fstream>

#include "executor/checkpoint.h"
#include "executor/run.h"
#include "executor/synthetic.h"

namespace fathom::executor {

using namespace model_spec;

struct Values {
  std::vector<std::int64_t> shape;
  std::vector<float> numbers;
};

// By name, whatever the type.
class Tensors {
 public:
  explicit Tensors(const std::filesystem::path& file) {
    const auto f = SafetensorsFile::open(file);
    for (const auto& [name, entry] : f.header().tensors) add(name, entry.type, entry.shape, f.bytes(entry));
  }
  explicit Tensors(const std::vector<NamedTensor>& all) {
    for (const auto& t : all) add(t.name, t.type, t.shape, t.data);
  }
  [[nodiscard]] bool has(const std::string& name) const { return values_.contains(name); }
  [[nodiscard]] const Values& at(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) throw std::runtime_error("no tensor " + name);
    return found->second;
  }
  [[nodiscard]] const std::map<std::string, Values>& all() const { return values_; }

 private:
  void add(const std::string& name, FileType type, const std::vector<std::int64_t>& shape, std::span<const std::byte> bytes) {
    auto& v = values_[name];
    v.shape = shape;
    v.numbers.resize(bytes.size() / static_cast<std::size_t>(bytes_of(type)));
    for (std::size_t i = 0; i < v.numbers.size(); ++i) {
      if (type == FileType::f32) std::memcpy(&v.numbers[i], &bytes[4 * i], 4);
      if (type == FileType::u8) v.numbers[i] = static_cast<float>(std::to_integer<int>(bytes[i]));
      if (type == FileType::i32) {
        std::int32_t n = 0;
        std::memcpy(&n, &bytes[4 * i], 4);
        v.numbers[i] = static_cast<float>(n);
      }
    }
  }
  std::map<std::string, Values> values_;
};

// max |a - b| / max |b|
inline double relative_error(std::span<const float> a, std::span<const float> b) {
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  double most = 0, largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) || std::isnan(b[i])) return std::numeric_limits<double>::infinity();
    most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
    largest = std::max(largest, std::abs(double{b[i]}));
  }
  return most / largest;
}

struct Fixture {
  std::filesystem::path folder;
  Tensors expected;
  nlohmann::json meta;
  ModelSpec model;
  std::shared_ptr<const WeightSource> weights;
  std::vector<std::int32_t> prompt, decode_ids;

  explicit Fixture(const std::string& name)
      : folder("tests/fixtures/" + name), expected(folder / "expected.safetensors"), meta(nlohmann::json::parse(std::ifstream(folder / "meta.json"))) {
    model = find_model(folder.string());
    if (meta["stored_checkpoint"].get<bool>()) weights = std::make_shared<Checkpoint>(Checkpoint::open(folder));
    else weights = std::make_shared<SyntheticWeights>(meta["seed"].get<std::uint64_t>(), model.storage.embedding);
    for (const float id : expected.at("input_ids").numbers) prompt.push_back(static_cast<std::int32_t>(id));
    for (const float id : expected.at("decode_ids").numbers) decode_ids.push_back(static_cast<std::int32_t>(id));
  }

  // Teacher-forced through decode_ids.
  [[nodiscard]] RunOptions options() const {
    RunOptions o{.model = model, .layout = {}, .policy = {}, .weights = weights, .requests = {}, .sampling = {}, .pages = {}, .force = {}, .progress = {}};
    o.requests = {{.prompt = prompt, .max_new_tokens = static_cast<std::int64_t>(decode_ids.size()) + 1, .forced = decode_ids, .end = {}}};
    if (!model.indexer) o.policy.cache = CacheFormat::bf16;
    o.dump = true;
    return o;
  }
};

}  // namespace fathom::executor
