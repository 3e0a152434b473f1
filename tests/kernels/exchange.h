// Exchanges between ranks in the smallest form that really moves something: a row of a tensor is one number here, and counts `row_bytes`
// each time it goes from one rank to another.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::kernels {

struct Ranks {
  std::vector<std::vector<double>> rows;  // [rank][row]
  double row_bytes = 0;
  double sent = 0;  // by all ranks together

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(rows.size()); }
  [[nodiscard]] double sent_by_each() const { return sent / static_cast<double>(count()); }
  // Row `row` of rank `from` as rank `to` receives it.
  double send(std::int64_t from, std::int64_t to, std::int64_t row) {
    if (from != to) sent += row_bytes;
    return rows[from][row];
  }
};

// Rank r's row t holds 100 r + t.
inline Ranks numbered_ranks(std::int64_t ranks, std::int64_t tokens, double row_bytes) {
  Ranks all{.rows = {}, .row_bytes = row_bytes};
  for (std::int64_t r = 0; r < ranks; ++r) {
    all.rows.emplace_back();
    for (std::int64_t t = 0; t < tokens; ++t) all.rows.back().push_back(static_cast<double>(100 * r + t));
  }
  return all;
}

// visit(row) for the rows of chunk k of as many chunks as there are ranks.
template <class Visit>
void each_row_of_chunk(const Ranks& all, std::int64_t k, Visit visit) {
  const auto tokens = static_cast<std::int64_t>(all.rows[0].size()), n = all.count(), chunk = (k % n + n) % n;
  for (std::int64_t t = chunk * tokens / n; t < (chunk + 1) * tokens / n; ++t) visit(t);
}

// Chunks travel round the ring and gather each rank's addend: at the end rank r holds the sum of chunk r + 1.
inline void ring_reduce_scatter(Ranks& all) {
  const std::int64_t n = all.count();
  for (std::int64_t step = 0; step + 1 < n; ++step) {
    const auto before = all.rows;
    for (std::int64_t r = 0; r < n; ++r)
      each_row_of_chunk(all, r - step, [&](std::int64_t t) {
        all.send(r, (r + 1) % n, t);
        all.rows[(r + 1) % n][t] += before[r][t];
      });
  }
}

// Rank r starts with chunk r + `first`; at the end every rank holds every chunk.
inline void ring_all_gather(Ranks& all, std::int64_t first = 0) {
  const std::int64_t n = all.count();
  for (std::int64_t step = 0; step + 1 < n; ++step)
    for (std::int64_t r = 0; r < n; ++r)
      each_row_of_chunk(all, r + first - step, [&](std::int64_t t) { all.rows[(r + 1) % n][t] = all.send(r, (r + 1) % n, t); });
}

// Every token of every rank goes to `copies` ranks, in turn over all of them; returns what each rank received.
inline std::vector<std::vector<double>> all_to_all(Ranks& all, std::int64_t copies) {
  const std::int64_t n = all.count();
  std::vector<std::vector<double>> received(static_cast<std::size_t>(n));
  for (std::int64_t r = 0; r < n; ++r)
    for (std::int64_t copy = 0; copy < copies * static_cast<std::int64_t>(all.rows[r].size()); ++copy) {
      const std::int64_t to = (r + copy) % n;
      received[to].push_back(all.send(r, to, copy / copies));
    }
  return received;
}

}  // namespace fathom::kernels
