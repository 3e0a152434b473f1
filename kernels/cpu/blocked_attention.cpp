// Attention by blocks of keys. After each block a query holds, of the keys seen so far, the largest score m, sum_j exp(s_j - m) and
// sum_j exp(s_j - m) v_j; a larger m scales the sums down. Blocks start at fixed positions, so other queries do not change a result.
#include <limits>

#include "kernels/cpu/blocked.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"

namespace fathom::kernels::cpu::blocked {

using I = std::int64_t;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr I key_block = 128;

// Queries of one task: as many as keep all threads busy, but enough to be worth the keys that each task loads, at most `most`.
I rows_per_task(I rows, I most) { return std::clamp<I>(blocks(rows, thread_count()), std::min<I>(16, most), most); }

// Rows first, first + step, ... of q[_, width], to become the same rows of o[_, values].
class Queries {
 public:
  Queries(const ConstMatrix& q, I first, I step, I rows, I width, I values, float scale)
      : first_(first), step_(step), rows_(rows), width_(width), values_(values), scale_(scale) {
    assert(scale > 0);
    for (I r = 0; r < rows; ++r) expand_row(q, first + r * step, 0, width, q_.get() + r * width);
    std::fill_n(o_.get(), rows * values, 0.0f);
  }

  // Takes in keys[n, width] and values[n, values], n <= key_block. seen(r, scores) says how many of them query r sees, from the first one
  // on, after it set scores of hidden ones among these to -infinity.
  template <class Seen>
  void add(I n, const float* keys, I key_stride, const float* values, I value_stride, const Seen& seen) {
    product_nt(rows_, n, width_, q_.get(), width_, keys, key_stride, scores_.get(), key_block, false);
    for (I r = 0; r < rows_; ++r) {
      float* scores = scores_.get() + r * key_block;
      const I count = std::clamp<I>(seen(r, scores), 0, n);
      std::fill(scores + count, scores + n, 0.0f);
      weigh(static_cast<std::size_t>(r), count, scores);
    }
    product_nn(rows_, values_, n, scores_.get(), key_block, values, value_stride, o_.get(), values_, true);
  }

  void store(Matrix& o) {
    for (I r = 0; r < rows_; ++r) {
      const float sum = sums_[static_cast<std::size_t>(r)];
      multiply(values_, sum == 0 ? 0.0f : 1 / sum, o_.get() + r * values_);
      store_row(o, first_ + r * step_, 0, values_, o_.get() + r * values_);
    }
  }

 private:
  // Scores of query r become weights, and its sums so far relative to the new largest score.
  void weigh(std::size_t r, I count, float* scores) {
    const float before = most_[r], now = std::max(before, scale_ * largest(count, scores, -infinity));
    if (now == -infinity) return std::fill_n(scores, count, 0.0f), void();
    const float factor = std::exp(before - now);
    sums_[r] = sums_[r] * factor + exponentials(count, scale_, now, scores);
    if (factor != 1) multiply(values_, factor, o_.get() + static_cast<I>(r) * values_);
    most_[r] = now;
  }

  I first_, step_, rows_, width_, values_;
  float scale_;
  std::unique_ptr<float[]> q_ = scratch(rows_, width_), o_ = scratch(rows_, values_), scores_ = scratch(rows_, key_block);
  std::vector<float> most_ = std::vector<float>(static_cast<std::size_t>(rows_), -infinity), sums_ = std::vector<float>(static_cast<std::size_t>(rows_));
};

// Hides those of the positions first .. first + count that are not among chosen[t, next...]; `next` moves past them.
void hide_others(const ConstMatrix& chosen, I t, I& next, I first, I count, float* scores) {
  I j = 0;
  for (; next < chosen.columns(); ++next) {
    const I position = chosen.integer(t, next);
    if (position < 0 || position >= first + count) break;
    std::fill(scores + j, scores + std::max(j, position - first), -infinity);
    j = position - first + 1;
  }
  std::fill(scores + j, scores + count, -infinity);
}

// n keys from row `first` of a head's kv[keys * heads, nope + v] and k_pe[keys, rope]: keys[n, nope + rope], values[n, v].
void load_head(const model_spec::DenseMha<I>& op, const ConstMatrix& kv, const ConstMatrix& k_pe, I first, I n, I h, float* keys, float* values) {
  for (I j = 0; j < n; ++j) {
    float* key = keys + j * (op.nope + op.rope);
    expand_row(kv, (first + j) * op.heads + h, 0, op.nope, key);
    expand_row(k_pe, first + j, 0, op.rope, key + op.nope);
    expand_row(kv, (first + j) * op.heads + h, op.nope, op.v, values + j * op.v);
  }
}

// Queries begin .. begin + rows of head h of a sequence.
void attend_head(const model_spec::DenseMha<I>& op, float scale, const ConstMatrix& q, const ConstMatrix& kv, const ConstMatrix& k_pe,
                 const ConstMatrix* chosen, Matrix& o, I sequence, I h, I begin, I rows) {
  const I first_token = sequence * op.new_tokens + begin, width = op.nope + op.rope, visible = op.cached_tokens + begin + rows;
  Queries queries(q, first_token * op.heads + h, op.heads, rows, width, op.v, scale);
  const auto keys = scratch(key_block, width), values = scratch(key_block, op.v);
  std::vector<I> next(static_cast<std::size_t>(rows));
  for (I first = 0; first < visible; first += key_block) {
    const I n = std::min(key_block, visible - first);
    load_head(op, kv, k_pe, sequence * (op.cached_tokens + op.new_tokens) + first, n, h, keys.get(), values.get());
    queries.add(n, keys.get(), width, values.get(), op.v, [&](I r, float* scores) {
      const I count = std::clamp<I>(op.cached_tokens + begin + r + 1 - first, 0, n);
      if (op.masked) hide_others(*chosen, first_token + r, next[static_cast<std::size_t>(r)], first, count, scores);
      return count;
    });
  }
  queries.store(o);
}

// count keys as fp32[count, width]; row(i) is where key i stands.
template <class Row>
std::unique_ptr<float[]> load_keys(const LoadRow& keys, I count, I width, const Row& row) {
  constexpr I chunk = 16;
  auto loaded = scratch(count, width);
  parallel_for(blocks(count, chunk), [&](I b) {
    for (I i = b * chunk; i < std::min(count, (b + 1) * chunk); ++i) keys(row(i), loaded.get() + i * width);
  });
  return loaded;
}

std::vector<I> positions_of(const ConstMatrix& indices, I t) {
  std::vector<I> positions;
  for (I i = 0; i < indices.columns(); ++i)
    if (const I position = indices.integer(t, i); position >= 0) positions.push_back(position);
  return positions;
}

// `rows` heads from row `first` over `count` keys, all of which they see; block(first, n) is where n of them stand as fp32[n, width].
template <class Block>
void attend_all(const model_spec::SparseMla<I>& op, float scale, const ConstMatrix& q, Matrix& o, I first, I rows, I count, const Block& block) {
  const I width = op.latent + op.rope;
  Queries queries(q, first, 1, rows, width, op.latent, scale);
  for (I key = 0; key < count; key += key_block) {
    const I n = std::min(key_block, count - key);
    const float* keys = block(key, n);
    queries.add(n, keys, width, keys, width, [n](I, float*) { return n; });
  }
  queries.store(o);
}

// Many queries of one sequence share its keys: the context is expanded once, and every query copies its keys out of it.
void attend_shared(const model_spec::SparseMla<I>& op, float scale, const ConstMatrix& q, const LoadRow& keys, const ConstMatrix& indices, Matrix& o,
                   I sequence) {
  const I width = op.latent + op.rope, context = op.cached_tokens + op.new_tokens;
  const auto all = load_keys(keys, context, width, [&](I j) { return sequence * context + j; });
  const I rows = rows_per_task(op.new_tokens * op.heads, op.heads), parts = blocks(op.heads, rows);
  parallel_for(op.new_tokens * parts, [&](I task) {
    const I t = sequence * op.new_tokens + task / parts, head = task % parts * rows;
    const std::vector<I> positions = positions_of(indices, t);
    const auto panel = scratch(key_block, width);
    attend_all(op, scale, q, o, t * op.heads + head, std::min(rows, op.heads - head), static_cast<I>(positions.size()), [&](I first, I n) {
      for (I j = 0; j < n; ++j) std::copy_n(all.get() + positions[static_cast<std::size_t>(first + j)] * width, width, panel.get() + j * width);
      return panel.get();
    });
  });
}

// One query that loads its own keys.
void attend_alone(const model_spec::SparseMla<I>& op, float scale, const ConstMatrix& q, const LoadRow& keys, const ConstMatrix& indices, Matrix& o, I t) {
  const I width = op.latent + op.rope, context = op.cached_tokens + op.new_tokens;
  const std::vector<I> positions = positions_of(indices, t);
  const I count = static_cast<I>(positions.size());
  const auto chosen = load_keys(keys, count, width, [&](I j) { return t / op.new_tokens * context + positions[static_cast<std::size_t>(j)]; });
  const I rows = rows_per_task(op.heads, op.heads);
  parallel_for(blocks(op.heads, rows), [&](I part) {
    const I head = part * rows;
    attend_all(op, scale, q, o, t * op.heads + head, std::min(rows, op.heads - head), count, [&](I first, I) { return chosen.get() + first * width; });
  });
}

}  // namespace

void dense_mha(const model_spec::DenseMha<I>& op, float scale, const ConstMatrix& q, const ConstMatrix& kv, const ConstMatrix& k_pe, const ConstMatrix* chosen,
               Matrix& o) {
  assert(!op.masked || chosen);
  const I rows = std::clamp<I>(op.new_tokens, 1, rows_per_task(op.sequences * op.heads * op.new_tokens, 256)), parts = blocks(op.new_tokens, rows);
  parallel_for(op.sequences * op.heads * parts, [&](I task) {
    const I begin = task % parts * rows, h = task / parts % op.heads, sequence = task / parts / op.heads;
    attend_head(op, scale, q, kv, k_pe, chosen, o, sequence, h, begin, std::min(rows, op.new_tokens - begin));
  });
}

void dense_mqa(const model_spec::DenseMqa<I>& op, float scale, const ConstMatrix& q, const LoadRow& keys, Matrix& o) {
  const I width = op.latent + op.rope, context = op.cached_tokens + op.new_tokens, queries = op.new_tokens * op.heads, rows = rows_per_task(queries, 128);
  for (I sequence = 0; sequence < op.sequences; ++sequence) {
    const auto all = load_keys(keys, context, width, [&](I j) { return sequence * context + j; });
    parallel_for(blocks(queries, rows), [&](I task) {
      const I begin = task * rows, count = std::min(rows, queries - begin), visible = op.cached_tokens + (begin + count - 1) / op.heads + 1;
      Queries block(q, sequence * queries + begin, 1, count, width, op.latent, scale);
      for (I first = 0; first < visible; first += key_block) {
        const float* part = all.get() + first * width;
        block.add(std::min(key_block, visible - first), part, width, part, width,
                  [&](I r, float*) { return op.cached_tokens + (begin + r) / op.heads + 1 - first; });
      }
      block.store(o);
    });
  }
}

void sparse_mla(const model_spec::SparseMla<I>& op, float scale, const ConstMatrix& q, const LoadRow& keys, const ConstMatrix& indices, Matrix& o) {
  const bool shared = op.new_tokens * op.topk >= op.cached_tokens + op.new_tokens;
  for (I sequence = 0; sequence < op.sequences; ++sequence) {
    if (shared) attend_shared(op, scale, q, keys, indices, o, sequence);
    else
      for (I i = 0; i < op.new_tokens; ++i) attend_alone(op, scale, q, keys, indices, o, sequence * op.new_tokens + i);
  }
}

}  // namespace fathom::kernels::cpu::blocked
