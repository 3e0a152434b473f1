#include "executor/cache.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "model_spec/error.h"

namespace fathom::executor {

using kernels::cpu::load_row;
using kernels::cpu::Matrix;
using kernels::cpu::MatrixOf;
using model_spec::page_tokens;

namespace {

std::int64_t number_bytes(DType type, std::int64_t count) { return static_cast<std::int64_t>(model_spec::element_bytes(type)) * count; }
std::int64_t scale_bytes(DType type, std::int64_t rows, std::int64_t columns) {
  return static_cast<std::int64_t>(model_spec::scale_bytes(type, static_cast<double>(rows), static_cast<double>(columns)));
}

}  // namespace

PagePool::PagePool(std::int64_t pages) : free_(static_cast<std::size_t>(pages)), owners_(free_.size()) {
  std::iota(free_.begin(), free_.end(), 0);  // sorted, thus a heap
}

std::int32_t PagePool::take() {
  if (free_.empty())
    throw model_spec::Error(model_spec::Failure::usage, fmt::format("cache: all {} pages of {} tokens are in use", owners_.size(), page_tokens));
  std::ranges::pop_heap(free_, std::greater{});
  const std::int32_t page = free_.back();
  free_.pop_back();
  owners_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PagePool::share(std::int32_t page) {
  std::int32_t& owners = owners_[static_cast<std::size_t>(page)];
  assert(owners > 0);
  ++owners;
}

void PagePool::release(std::int32_t page) {
  std::int32_t& owners = owners_[static_cast<std::size_t>(page)];
  assert(owners > 0);
  if (--owners > 0) return;
  free_.push_back(page);
  std::ranges::push_heap(free_, std::greater{});
}

BlockTable::BlockTable(BlockTable&&) noexcept = default;

BlockTable& BlockTable::operator=(BlockTable&& other) noexcept {
  BlockTable moved(std::move(other));  // takes along what stood here, and gives it back
  std::swap(pool_, moved.pool_);
  pages_.swap(moved.pages_);
  return *this;
}

BlockTable::~BlockTable() {
  for (const std::int32_t page : pages_) pool_->release(page);
}

void BlockTable::reserve(std::int64_t tokens) {
  while (std::ssize(pages_) * page_tokens < tokens) {
    pages_.reserve(pages_.size() + 1);  // before take(), so that no page is lost for want of memory
    pages_.push_back(pool_->take());
  }
}

std::int64_t BlockTable::share_prefix(const BlockTable& other, std::int64_t tokens) {
  const std::int64_t whole = tokens / page_tokens;
  assert(pages_.empty() && pool_ == other.pool_ && whole <= std::ssize(other.pages_));
  pages_.assign(other.pages_.begin(), other.pages_.begin() + whole);
  for (const std::int32_t page : pages_) pool_->share(page);
  return whole * page_tokens;
}

LatentCache::LatentCache(Numerics numerics, std::int64_t latent, std::int64_t rope, std::int64_t pages, CacheFormat planned)
    : latent_{.type = held(numerics, kernels::cpu::latent_type(planned)), .columns = latent, .first = 0, .first_scale = 0},
      rope_{.type = held(numerics, DType::bf16), .columns = rope, .first = 0, .first_scale = 0} {
  latent_.first_scale = number_bytes(latent_.type, latent);
  rope_.first = latent_.first_scale + scale_bytes(latent_.type, 1, latent);
  record_bytes_ = rope_.first + number_bytes(rope_.type, rope);
  bytes_.resize(static_cast<std::size_t>(pages * page_tokens * record_bytes_));
}

// The part of record `slot` as type[1, columns].
template <class Byte>
MatrixOf<Byte> LatentCache::row(const Field& field, std::int64_t record_bytes, std::span<Byte> records, std::int64_t slot) {
  assert(slot >= 0 && (slot + 1) * record_bytes <= std::ssize(records));
  Byte* const record = records.data() + slot * record_bytes;
  return {field.type, 1, field.columns, record + field.first, record + field.first_scale};
}

float LatentCache::Part::get(std::int64_t slot, std::int64_t c) const { return row(field_, record_bytes_, bytes_, slot).get(0, c); }
void LatentCache::Part::set(std::int64_t slot, std::int64_t c, float x) { row(field_, record_bytes_, bytes_, slot).set(0, c, x); }

float LatentCache::Part::scale(std::int64_t slot, std::int64_t c) const {
  return model_spec::has_scales(field_.type) ? row(field_, record_bytes_, bytes_, slot).scale(0, c) : 1.0f;
}
void LatentCache::Part::set_scale(std::int64_t slot, std::int64_t c, float s) {
  if (model_spec::has_scales(field_.type)) row(field_, record_bytes_, bytes_, slot).set_scale(0, c, s);
  else assert(s == 1.0f);
}

void LatentCache::load(std::int64_t slot, float* y) const {
  for (const Field& field : {latent_, rope_})
    y = std::ranges::copy(load_row<float>(field.type, row(field, record_bytes_, bytes(), slot), 0, field.columns), y).out;
}

IndexCache::IndexCache(Numerics numerics, std::int64_t dims, std::int64_t pages)
    : type_(held(numerics, DType::fp8_row)),
      dims_(dims),
      page_bytes_(number_bytes(type_, page_tokens * dims) + scale_bytes(type_, page_tokens, dims)),
      bytes_(static_cast<std::size_t>(pages * page_bytes_)) {}

template <class Byte>
MatrixOf<Byte> IndexCache::page(std::span<Byte> pages, std::int64_t slot) const {
  const std::int64_t number = slot / page_tokens;
  assert(slot >= 0 && (number + 1) * page_bytes_ <= std::ssize(pages));
  Byte* const keys = pages.data() + number * page_bytes_;
  return {type_, page_tokens, dims_, keys, keys + number_bytes(type_, page_tokens * dims_)};
}

float IndexCache::get(std::int64_t slot, std::int64_t c) const { return page(bytes(), slot).get(slot % page_tokens, c); }
void IndexCache::set(std::int64_t slot, std::int64_t c, float x) { page(std::span(bytes_), slot).set(slot % page_tokens, c, x); }

float IndexCache::scale(std::int64_t slot, std::int64_t c) const {
  return model_spec::has_scales(type_) ? page(bytes(), slot).scale(slot % page_tokens, c) : 1.0f;
}
void IndexCache::set_scale(std::int64_t slot, std::int64_t c, float s) {
  if (model_spec::has_scales(type_)) page(std::span(bytes_), slot).set_scale(slot % page_tokens, c, s);
  else assert(s == 1.0f);
}

void IndexCache::load(std::int64_t slot, float* y) const { std::ranges::copy(load_row<float>(type_, page(bytes(), slot), slot % page_tokens, dims_), y); }

}  // namespace fathom::executor
