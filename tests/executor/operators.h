// Every operator of a run against double arithmetic on the operands that it read, dequantised.
#pragma once

#include <bit>
#include <numeric>

#include "tests/executor/ranks.h"

namespace fathom::executor {

using I = std::int64_t;

// ---- formats, written apart from those under test

// The nearest number with `bits` bits of mantissa, ties to even; below 2^smallest multiples of the same step.
inline double rounded(double x, int bits, int smallest) {
  if (x == 0) return 0;
  const double step = std::ldexp(1.0, std::max(std::ilogb(x), smallest) - bits);
  return std::nearbyint(x / step) * step;
}
inline double bf16(double x) { return rounded(x, 7, -126); }
inline double e4m3(double x) { return rounded(std::clamp(x, -448.0, 448.0), 3, -6); }
// The power of two at or above max(amax, 1e-4) / 448: that product is formed in float32 (model-facts, act_quant).
inline double scale_for(double amax) { return std::exp2(std::ceil(std::log2(static_cast<double>(std::max(static_cast<float>(amax), 1e-4f) * (1.0f / 448))))); }

// ---- matrices of doubles

struct Grid {
  I rows = 0, columns = 0;
  std::vector<double> x;
  Grid() = default;
  Grid(I r, I c) : rows(r), columns(c), x(static_cast<std::size_t>(r * c)) {}
  explicit Grid(const HostTensor& t) : rows(t.rows), columns(t.columns), x(t.numbers.begin(), t.numbers.end()) {
    if (x.empty()) x.assign(t.integers.begin(), t.integers.end());
  }
  explicit Grid(const ConstMatrix& m) : Grid(m.rows(), m.columns()) {
    for (I r = 0; r < rows; ++r)
      for (I c = 0; c < columns; ++c) at(r, c) = m.get(r, c) * (has_scales(m.type()) ? static_cast<double>(m.scale(r, c)) : 1.0);
  }
  double& at(I r, I c) { return x[static_cast<std::size_t>(r * columns + c)]; }
  [[nodiscard]] double at(I r, I c) const { return x[static_cast<std::size_t>(r * columns + c)]; }
  [[nodiscard]] const double* row(I r) const { return x.data() + r * columns; }
  [[nodiscard]] std::span<const double> numbers_of(I r) const { return {row(r), static_cast<std::size_t>(columns)}; }
  // The same numbers as so many rows; some columns of them.
  [[nodiscard]] Grid as_rows(I n) const {
    Grid g = *this;
    if (n > 0) g.columns = std::ssize(x) / n, g.rows = n;
    return g;
  }
  [[nodiscard]] Grid slice(I first, I count) const {
    Grid g(rows, count);
    for (I r = 0; r < rows; ++r) std::copy_n(row(r) + first, count, g.x.data() + r * count);
    return g;
  }
  [[nodiscard]] double largest() const {
    double most = 0;
    for (const double v : x) most = std::max(most, std::abs(v));
    return most;
  }
};

inline double dot(const double* a, const double* b, I n) {
  double sum = 0;
  for (I i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

// ---- comparison

// fp32 sums of a few hundred terms, relative to the largest of the results (issue: about 1e-6).
inline constexpr double tolerance = 1e-6;

// Where `got` may lie if a number within `slack` of `want` was rounded to the type of the output: rounding is monotonic.
inline void expect_plain(DType type, const Grid& got, const Grid& want, double slack) {
  ASSERT_EQ(got.x.size(), want.x.size());
  for (std::size_t i = 0; i < want.x.size(); ++i) {
    const double low = want.x[i] - slack, high = want.x[i] + slack;
    ASSERT_GE(got.x[i], type == DType::bf16 ? bf16(low) : low) << "element " << i;
    ASSERT_LE(got.x[i], type == DType::bf16 ? bf16(high) : high) << "element " << i;
  }
}

// Likewise by 128 along rows: the bf16 numbers, then codes by the scale that the largest of them asks for. Without slack there is one answer.
inline void expect_quantised(const Grid& got, const Grid& want, double slack) {
  ASSERT_EQ(got.x.size(), want.x.size());
  for (I r = 0; r < want.rows; ++r)
    for (I first = 0; first < want.columns; first += scale_block) {
      const I last = std::min<I>(first + scale_block, want.columns);
      double least = 0, most = 0;
      for (I c = first; c < last; ++c) {
        const double low = std::abs(bf16(want.at(r, c) - slack)), high = std::abs(bf16(want.at(r, c) + slack));
        least = std::max(least, std::min(low, high)), most = std::max({most, low, high});
      }
      const double small = scale_for(least), large = scale_for(most);
      for (I c = first; c < last; ++c) {
        const double low = bf16(want.at(r, c) - slack), high = bf16(want.at(r, c) + slack), x = got.x[static_cast<std::size_t>(r * want.columns + c)];
        ASSERT_GE(x, std::min(e4m3(low / small) * small, e4m3(low / large) * large)) << "row " << r << " column " << c;
        ASSERT_LE(x, std::max(e4m3(high / small) * small, e4m3(high / large) * large)) << "row " << r << " column " << c;
      }
    }
}

inline void expect_stored(DType type, const Grid& got, const Grid& want, double relative) {
  const double slack = relative * want.largest();
  type == DType::fp8_row ? expect_quantised(got, want, slack) : expect_plain(type, got, want, slack);
}

// ---- operators

inline Grid product(const Grid& x, const Grid& w) {
  Grid y(x.rows, w.rows);
  for (I r = 0; r < x.rows; ++r)
    for (I n = 0; n < w.rows; ++n) y.at(r, n) = dot(x.row(r), w.row(n), w.columns);
  return y;
}

// One query over keys and values at `positions`.
inline void attend(double scale, const double* q, I width, const std::vector<const double*>& keys, const std::vector<const double*>& values, I columns,
                   double* o) {
  std::vector<double> scores;
  for (const auto* key : keys) scores.push_back(scale * dot(q, key, width));
  const double most = scores.empty() ? 0 : *std::ranges::max_element(scores);
  double sum = 0;
  for (auto& s : scores) sum += s = std::exp(s - most);
  for (std::size_t j = 0; j < scores.size(); ++j)
    for (I c = 0; c < columns; ++c) o[c] += scores[j] / sum * values[j][c];
}

// Looks at every step of runs of one request at a time, whose steps have one group each.
class Operators {
 public:
  Operators(const Plan& p, const RankWeights& weights) : plan_(p), weights_(weights) {}

  void look(const StepInput& input, const Block& block, const BoundStep& step, Backend& backend) {
    if (&block != block_) enter(block);
    input_ = &input, step_ = &step, backend_ = &backend;
    inputs_.clear(), outputs_.clear(), used_.clear();
    for (const auto& operand : step.step->operands) {
      if (operand.role == Role::input) inputs_.push_back(operand);
      if (operand.role == Role::output) outputs_.push_back(operand);
      if (operand.role == Role::weight) used_.push_back(static_cast<Weight>(operand.id));
    }
    SCOPED_TRACE(step.step->label);
    std::visit([&](const auto& op) { check(op); }, step.op);
    ++seen[std::string(op_name(step.op))];
    for (const auto& operand : outputs_) before_.insert_or_assign(name(operand), Grid(backend.read(name(operand))));
  }
  std::map<std::string, int> seen;                                        // by operator
  std::map<I, std::vector<std::vector<double>>> latent_keys, index_keys;  // by layer and position, as the caches shall give them back
  std::map<I, std::vector<std::vector<double>>> kv, index_k;              // before they were rotated and quantised

 private:
  void enter(const Block& block) {
    block_ = &block;
    std::erase_if(before_, [&](const auto& entry) {
      return std::ranges::none_of(block.activations, [&](const Activation& a) { return a.persists && a.name == entry.first; });
    });
  }
  const char* name(const Operand& o) const { return block_->activations[o.id].name; }
  DType type(const Operand& o) const { return block_->activations[o.id].type; }
  I layer() const { return block_->first_layer; }
  // An operand before the step; rows > 0: as so many rows (one for each head).
  Grid in(std::size_t i, I rows = 0) {
    const auto& operand = inputs_[i];
    const auto found = before_.find(name(operand));
    auto g = found == before_.end() ? Grid(backend_->read(name(operand))) : found->second;
    if (step_->step->rows == Rows::sampled && block_->activations[operand.id].rows == Rows::tokens) g = sampled(g);
    return columns(operand, g.as_rows(rows));
  }
  Grid out(std::size_t i, I rows = 0) { return columns(outputs_[i], Grid(backend_->read(name(outputs_[i]))).as_rows(rows)); }
  static Grid columns(const Operand& o, const Grid& g) { return o.columns > 0 && o.columns < g.columns ? g.slice(o.first, o.columns) : g; }
  Grid sampled(const Grid& g) const {
    Grid chosen(std::ssize(input_->sampled), g.columns);
    for (I r = 0; r < chosen.rows; ++r) std::copy_n(g.row(input_->sampled[static_cast<std::size_t>(r)]), g.columns, &chosen.at(r, 0));
    return chosen;
  }
  Grid weight(std::size_t i) const { return Grid(weights_.get(used_[i], layer())); }

  double softmax_factor() const {  // (nope + rope)^-1/2 (0.1 mscale_all_dim ln(factor) + 1)^2, model-facts 3.4
    const auto& m = plan_.model;
    const double scale = m.rope_scaling ? 0.1 * m.rope_scaling->mscale_all_dim * std::log(m.rope_scaling->factor) + 1 : 1;
    return scale * scale / std::sqrt(static_cast<double>(qk_head_dim(m)));
  }

  template <class Op>
  void check(const Op&) {}  // others only copy, rotate or choose

  void check(const Gemm<I>&) {
    const auto x = in(0);
    I column = 0;
    for (std::size_t i = 0; i < used_.size(); ++i) {
      const auto want = product(x, weight(i));
      const auto got = out(outputs_.size() > 1 ? i : 0).slice(outputs_.size() > 1 ? 0 : column, want.columns);
      expect_stored(type(outputs_[outputs_.size() > 1 ? i : 0]), got, want, tolerance);
      column += want.columns;
    }
  }

  // Rows by expert, as the choices of the tokens count them.
  void check(const GroupedGemm<I>& op) {
    std::vector<I> rows_of(static_cast<std::size_t>(op.experts));
    const auto& chosen = before_.at("experts");
    for (I t = 0; t < chosen.rows; ++t)
      for (I i = 0; i < plan_.model.num_experts_per_tok; ++i) ++rows_of[static_cast<std::size_t>(chosen.at(t, i))];
    const auto x = in(0), got = out(0);
    Grid want(x.rows, op.out);
    I row = 0;
    for (std::size_t e = 0; e < rows_of.size(); ++e) {
      Grid part(rows_of[e], x.columns);
      std::copy_n(x.row(row), part.x.size(), part.x.data());
      I column = 0;
      for (const auto id : used_) {
        const auto y = product(part, Grid(weights_.experts(id, layer())[e]));
        for (I r = 0; r < y.rows; ++r) std::copy_n(y.row(r), y.columns, &want.at(row + r, column));
        column += y.columns;
      }
      row += part.rows;
    }
    expect_stored(type(outputs_[0]), got, want, tolerance);
  }

  // With kv_b in bf16, as production multiplies it.
  void check(const BatchedGemm<I>& op) {
    const auto& m = plan_.model;
    const bool keys = inputs_.size() > 1;
    const auto x = in(0, op.tokens * op.heads);
    auto w = weight(0);  // [heads * (nope + v), latent]
    for (double& v : w.x) v = bf16(v);
    Grid want(x.rows, op.out);
    for (I r = 0; r < x.rows; ++r) {
      const I first = r % op.heads * (m.qk_nope_head_dim + m.v_head_dim) + (keys ? 0 : m.qk_nope_head_dim);
      for (I o = 0; o < op.out; ++o)
        for (I i = 0; i < op.in; ++i) want.at(r, o) += x.at(r, i) * (keys ? w.at(first + i, o) : w.at(first + o, i));
    }
    expect_stored(type(outputs_[0]), out(0, want.rows), want, tolerance);
    if (keys) { EXPECT_EQ(out(1, want.rows).x, in(1, want.rows).x); }
  }

  void check(const IndexLogits<I>& op) {
    const auto q = in(0, op.new_tokens * op.heads), w = in(1), got = Grid(backend_->read("index_logits"));
    Grid want(op.new_tokens, op.cached_tokens + op.new_tokens), seen_scores = want;
    const double factor = 1 / std::sqrt(static_cast<double>(op.heads * op.dims));
    for (I t = 0; t < op.new_tokens; ++t)
      for (I j = 0; j <= op.cached_tokens + t; ++j) {
        for (I h = 0; h < op.heads; ++h)
          want.at(t, j) += factor * w.at(t, h) * std::max(0.0, dot(q.row(t * op.heads + h), index_keys[layer()][static_cast<std::size_t>(j)].data(), op.dims));
        seen_scores.at(t, j) = got.at(t, j);
      }
    expect_stored(DType::fp32, seen_scores, want, tolerance);
  }

  void check(const DenseMha<I>& op) {
    const auto& m = plan_.model;
    const I context = op.cached_tokens + op.new_tokens, width = op.nope + op.rope;
    const auto q = in(0, op.new_tokens * op.heads), kv_heads = in(1, context * op.heads), shared = in(2).slice(m.kv_lora_rank, op.rope);
    Grid keys(context * op.heads, width), want(q.rows, op.v);
    for (I r = 0; r < keys.rows; ++r) {
      std::copy_n(kv_heads.row(r), op.nope, &keys.at(r, 0));
      std::copy_n(shared.row(r / op.heads), op.rope, &keys.at(r, op.nope));
    }
    for (I r = 0; r < q.rows; ++r) {
      std::vector<const double*> k, v;
      for (const I j : positions(op.masked, 3, r / op.heads, op.cached_tokens)) {
        k.push_back(keys.row(j * op.heads + r % op.heads));
        v.push_back(kv_heads.row(j * op.heads + r % op.heads) + op.nope);
      }
      attend(softmax_factor(), q.row(r), width, k, v, op.v, &want.at(r, 0));
    }
    expect_stored(type(outputs_[0]), out(0, q.rows), want, tolerance);
  }
  void check(const DenseMqa<I>& op) { check_absorbed(op, false); }
  void check(const SparseMla<I>& op) { check_absorbed(op, true); }
  template <class Op>
  void check_absorbed(const Op& op, bool sparse) {
    const I width = op.latent + op.rope;
    const auto q = in(0, op.new_tokens * op.heads);
    const auto copy = inputs_.size() > 2 ? in(2) : Grid();
    Grid want(q.rows, op.latent);
    for (I r = 0; r < q.rows; ++r) {
      std::vector<const double*> keys;
      for (const I j : positions(sparse, 1, r / op.heads, op.cached_tokens))
        keys.push_back(copy.rows > 0 ? copy.row(j) : latent_keys[layer()][static_cast<std::size_t>(j)].data());
      attend(softmax_factor(), q.row(r), width, keys, keys, op.latent, &want.at(r, 0));
    }
    expect_stored(type(outputs_[0]), out(0, q.rows), want, tolerance);
  }
  // What query t sees: input i says it, or everything up to itself.
  std::vector<I> positions(bool chosen, std::size_t i, I t, I cached) {
    std::vector<I> result;
    if (!chosen) {
      result.resize(static_cast<std::size_t>(cached + t + 1));
      std::iota(result.begin(), result.end(), 0);
      return result;
    }
    for (const double j : before_.at(name(inputs_[i])).numbers_of(t))
      if (j >= 0) result.push_back(static_cast<I>(j));
    return result;
  }

  void check(const Quantise<I>&) { expect_stored(type(outputs_[0]), out(0), in(0), 0); }

  void check(const RmsNorm<I>& op) {
    const bool stream = inputs_.size() > 1;
    auto x = in(0);
    const auto sum = op.residual ? in(1) : Grid(x.rows, x.columns);
    for (std::size_t k = 0; k < x.x.size(); ++k) x.x[k] += sum.x[k];
    const auto gain = weight(0);
    auto want = x;
    for (I r = 0; r < x.rows; ++r) {
      const double factor = 1 / std::sqrt(dot(x.row(r), x.row(r), x.columns) / static_cast<double>(x.columns) + 1e-6);  // every epsilon of this model
      for (I c = 0; c < x.columns; ++c) want.at(r, c) *= factor * gain.at(0, c);
    }
    const std::size_t y = stream ? 1 : 0;
    expect_stored(type(outputs_[y]), out(y), want, tolerance);
    if (stream && step_->step->rows == Rows::tokens) expect_stored(DType::bf16, out(0), x, 0);
    if (!op.keep_bf16) return;
    expect_stored(DType::bf16, out(y + 1), want, tolerance);
    expect_stored(type(outputs_[y]), out(y), out(y + 1), 0);  // one answer, given what was kept
  }

  void check(const SwiGlu<I>& op) {
    const auto x = in(0);
    Grid want(x.rows, op.width);
    for (I r = 0; r < x.rows; ++r)
      for (I c = 0; c < op.width; ++c) want.at(r, c) = x.at(r, c) / (1 + std::exp(-x.at(r, c))) * x.at(r, op.width + c);
    expect_stored(type(outputs_[0]), out(0), want, tolerance);
  }

  // Sylvester's matrix: element (i, j) is minus one to the number of common bits.
  void check(const Hadamard<I>& op) {
    Grid matrix(op.width, op.width);
    for (I i = 0; i < op.width; ++i)
      for (I j = 0; j < op.width; ++j)
        matrix.at(i, j) = (std::popcount(static_cast<std::uint64_t>(i & j)) % 2 ? -1 : 1) / std::sqrt(static_cast<double>(op.width));
    const auto x = in(0, op.tokens * op.heads), want = product(x, matrix);
    for (I r = 0; op.heads == 1 && r < x.rows; ++r) index_k[layer()].emplace_back(x.row(r), x.row(r) + x.columns);
    expect_stored(type(outputs_[0]), out(0, x.rows), want, tolerance);
  }

  void check(const LatentCacheWrite<I>& op) {
    const auto x = in(0);
    for (I t = 0; t < x.rows; ++t) {
      std::vector<double> key(x.row(t), x.row(t) + x.columns);
      kv[layer()].push_back(key);
      for (I first = 0; first < op.latent; first += scale_block) {
        const auto group = std::span(key).subspan(static_cast<std::size_t>(first), scale_block);
        double amax = 0;
        for (const double v : group) amax = std::max(amax, std::abs(v));
        for (double& v : group) v = e4m3(v / scale_for(amax)) * scale_for(amax);
      }
      latent_keys[layer()].push_back(key);
    }
  }
  void check(const IndexCacheWrite<I>&) {
    const auto x = in(0);
    for (I t = 0; t < x.rows; ++t) index_keys[layer()].emplace_back(x.row(t), x.row(t) + x.columns);
  }
  // What the cache gives back; with an input, its rows follow.
  void check(const LatentCacheRead<I>&) {
    const auto got = out(0);
    const auto fresh = inputs_.empty() ? Grid(0, got.columns) : in(0);
    for (I r = 0; r < got.rows - fresh.rows; ++r)
      EXPECT_THAT(std::span(got.row(r), static_cast<std::size_t>(got.columns)), testing::ElementsAreArray(latent_keys[layer()][static_cast<std::size_t>(r)]));
    for (I r = 0; r < fresh.rows; ++r) EXPECT_TRUE(std::equal(fresh.row(r), fresh.row(r) + got.columns, got.row(got.rows - fresh.rows + r)));
  }

  const Plan& plan_;
  const RankWeights& weights_;
  const Block* block_ = nullptr;
  const StepInput* input_ = nullptr;
  const BoundStep* step_ = nullptr;
  Backend* backend_ = nullptr;
  std::vector<Operand> inputs_, outputs_;
  std::vector<Weight> used_;
  std::map<std::string, Grid> before_;  // activations as the last step that wrote them left them
};

}  // namespace fathom::executor
