// The paged caches: which pages a sequence has, and what stands in them. A page holds page_tokens tokens of every layer; a slot is
// page * page_tokens + offset.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "executor/numerics.h"
#include "kernels/cpu/cache.h"

namespace fathom::executor {

using model_spec::CacheFormat;

// Which pages are free. A page may belong to several sequences.
class PagePool {
 public:
  explicit PagePool(std::int64_t pages);
  [[nodiscard]] std::int64_t free_pages() const { return static_cast<std::int64_t>(free_.size()); }
  [[nodiscard]] std::int32_t take();  // The lowest free one. Throws Error{usage} if there is none.
  void share(std::int32_t page);      // one owner more
  void release(std::int32_t page);    // one owner less; without any the page is free

 private:
  std::vector<std::int32_t> free_;    // a heap, the lowest first
  std::vector<std::int32_t> owners_;  // how many a page has
};

// The pages of one sequence, in order.
class BlockTable {
 public:
  explicit BlockTable(PagePool& pool) : pool_(&pool) {}
  BlockTable(BlockTable&&) noexcept;
  BlockTable& operator=(BlockTable&&) noexcept;
  ~BlockTable();  // gives the pages back

  // Room for `tokens` tokens in all.
  void reserve(std::int64_t tokens);
  // The first `tokens` tokens rounded down to whole pages, shared with `other`, which must have them. Returns how many tokens that are.
  // Precondition: this table is empty.
  std::int64_t share_prefix(const BlockTable& other, std::int64_t tokens);
  [[nodiscard]] std::int64_t slot(std::int64_t position) const {
    assert(position >= 0 && position < std::ssize(pages_) * model_spec::page_tokens);
    return std::int64_t{pages_[static_cast<std::size_t>(position / model_spec::page_tokens)]} * model_spec::page_tokens + position % model_spec::page_tokens;
  }
  [[nodiscard]] std::span<const std::int32_t> pages() const { return pages_; }

 private:
  PagePool* pool_;
  std::vector<std::int32_t> pages_;
};

// One layer's latent cache: a record a slot, (c_kv, k_pe). Format fp8 held in fp8: e4m3[latent], fp32[ceil(latent / 128)] scales, bf16[rope]
// (656 bytes for 512 + 64, FlashMLA's layout); otherwise latent + rope numbers of bf16 or fp32. All zero at first. Several threads may write
// different slots at the same time.
class LatentCache {
  struct Field {  // where one part stands in a record
    DType type;
    std::int64_t columns, first, first_scale;
  };

 public:
  LatentCache(Numerics, std::int64_t latent, std::int64_t rope, std::int64_t pages, CacheFormat planned = CacheFormat::fp8);

  // One part of the records, as the kernels in kernels/cpu take it: row = slot. Without scales, scale() is 1 and may only be set to that.
  class Part {
   public:
    [[nodiscard]] float get(std::int64_t slot, std::int64_t c) const;
    void set(std::int64_t slot, std::int64_t c, float x);
    [[nodiscard]] float scale(std::int64_t slot, std::int64_t c) const;
    void set_scale(std::int64_t slot, std::int64_t c, float s);

   private:
    friend class LatentCache;
    Part(const Field& field, std::int64_t record_bytes, std::span<std::byte> bytes) : field_(field), record_bytes_(record_bytes), bytes_(bytes) {}

    Field field_;
    std::int64_t record_bytes_;
    std::span<std::byte> bytes_;  // all records
  };
  [[nodiscard]] Part latent() { return {latent_, record_bytes_, bytes_}; }
  [[nodiscard]] Part rope() { return {rope_, record_bytes_, bytes_}; }
  // y[latent + rope] = the record, dequantised.
  void load(std::int64_t slot, float* y) const;
  [[nodiscard]] std::int64_t record_bytes() const { return record_bytes_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  template <class Byte>
  static kernels::cpu::MatrixOf<Byte> row(const Field& field, std::int64_t record_bytes, std::span<Byte> records, std::int64_t slot);

  Field latent_, rope_;
  std::int64_t record_bytes_;
  std::vector<std::byte> bytes_;
};

// One layer's index cache. fp8: a page is e4m3[page_tokens, dims], then fp32[page_tokens, ceil(dims / 128)] scales (8448 bytes for 128,
// DeepGEMM's layout); otherwise [page_tokens, dims] of bf16 or fp32. All zero at first. Several threads may write different slots.
class IndexCache {
 public:
  IndexCache(Numerics, std::int64_t dims, std::int64_t pages);
  // As the kernels in kernels/cpu take it: row = slot. Without scales, scale() is 1 and may only be set to that.
  [[nodiscard]] float get(std::int64_t slot, std::int64_t c) const;
  void set(std::int64_t slot, std::int64_t c, float x);
  [[nodiscard]] float scale(std::int64_t slot, std::int64_t c) const;
  void set_scale(std::int64_t slot, std::int64_t c, float s);
  // y[dims] = the key, dequantised.
  void load(std::int64_t slot, float* y) const;
  [[nodiscard]] std::int64_t page_bytes() const { return page_bytes_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  // The page of a slot as type_[page_tokens, dims].
  template <class Byte>
  [[nodiscard]] kernels::cpu::MatrixOf<Byte> page(std::span<Byte> pages, std::int64_t slot) const;

  DType type_;
  std::int64_t dims_, page_bytes_;
  std::vector<std::byte> bytes_;
};

}  // namespace fathom::executor
