// Exchanges between ranks. sent_bytes is what one rank sends at least; how long that takes is for the topology (simulator/wire_time).
#pragma once

#include "model_spec/ops/field.h"

namespace fathom::model_spec {

enum class Transport : std::uint8_t {
  normal,       // one copy per destination rank, between nodes one per node and then over NVLink
  low_latency,  // one copy per (token, expert), straight to its rank
};
inline constexpr std::array<std::string_view, 2> transport_names{"normal", "low_latency"};
constexpr std::string_view name_of(Transport t) { return transport_names[static_cast<std::size_t>(t)]; }

// Sum over ranks, result everywhere: reduce-scatter and all-gather. x type[tokens, width] on every rank.
template <class N>
struct AllReduce {
  N ranks{}, tokens{}, width{};
  DType type = DType::bf16;

  static constexpr std::string_view name = "all_reduce";
  static constexpr auto fields() {
    return std::tuple{Field{"ranks", "ranks", &AllReduce::ranks}, Field{"tokens", "tokens", &AllReduce::tokens}, Field{"width", "elements", &AllReduce::width},
                      Field{"type", "type", &AllReduce::type}};
  }
};

template <class N>
Cost<N> cost(const AllReduce<N>& op) {
  Cost<N> c;
  c.sent_bytes = 2 * storage_bytes(op.type, op.tokens, op.width) * (op.ranks - 1) / op.ranks;
  return c;
}

// Every rank gets all shares. tokens: rows of the whole result, type[tokens, width].
template <class N>
struct AllGather {
  N ranks{}, tokens{}, width{};
  DType type = DType::bf16;

  static constexpr std::string_view name = "all_gather";
  static constexpr auto fields() {
    return std::tuple{Field{"ranks", "ranks", &AllGather::ranks}, Field{"tokens", "tokens", &AllGather::tokens}, Field{"width", "elements", &AllGather::width},
                      Field{"type", "type", &AllGather::type}};
  }
};

template <class N>
Cost<N> cost(const AllGather<N>& op) {
  Cost<N> c;
  c.sent_bytes = storage_bytes(op.type, op.tokens, op.width) * (op.ranks - 1) / op.ranks;
  return c;
}

// Sum over ranks, each keeps its share. tokens: rows of the whole input, type[tokens, width] on every rank.
template <class N>
struct ReduceScatter {
  N ranks{}, tokens{}, width{};
  DType type = DType::bf16;

  static constexpr std::string_view name = "reduce_scatter";
  static constexpr auto fields() {
    return std::tuple{Field{"ranks", "ranks", &ReduceScatter::ranks}, Field{"tokens", "tokens", &ReduceScatter::tokens},
                      Field{"width", "elements", &ReduceScatter::width}, Field{"type", "type", &ReduceScatter::type}};
  }
};

template <class N>
Cost<N> cost(const ReduceScatter<N>& op) {
  Cost<N> c;
  c.sent_bytes = storage_bytes(op.type, op.tokens, op.width) * (op.ranks - 1) / op.ranks;
  return c;
}

// Bytes that travel with each copy of a token besides its activations: source rank, index and two spares (DeepEP's low-latency header);
// with the normal transport also the token's choice, an int32 id and an fp32 weight for each of its experts.
inline constexpr int dispatch_header_bytes = 16;
template <class N>
N dispatch_header(Transport transport, const N& topk) {
  return transport == Transport::normal ? dispatch_header_bytes + 8 * topk : N(dispatch_header_bytes);
}

// Tokens to the ranks of their experts. `copies`: expected copies of a token, the one to this rank itself included (topk for low_latency,
// distinct ranks for normal), spread evenly over the ranks. x type[tokens, hidden].
template <class N>
struct Dispatch {
  N ranks{}, tokens{}, hidden{}, topk{};
  Expected<N> copies{};
  DType type = DType::fp8_row;
  Transport transport = Transport::normal;

  static constexpr std::string_view name = "dispatch";
  static constexpr auto fields() {
    return std::tuple{Field{"ranks", "ranks", &Dispatch::ranks},
                      Field{"tokens", "tokens", &Dispatch::tokens},
                      Field{"hidden", "elements", &Dispatch::hidden},
                      Field{"copies", "copies", &Dispatch::copies},
                      Field{"topk", "experts", &Dispatch::topk},
                      Field{"type", "type", &Dispatch::type},
                      Field{"transport", "transport", &Dispatch::transport}};
  }
};

template <class N>
Cost<N> cost(const Dispatch<N>& op) {
  Cost<N> c;
  const N header = dispatch_header(op.transport, op.topk);
  c.sent_bytes = op.copies * (storage_bytes(op.type, op.tokens, op.hidden) + header * op.tokens) * (op.ranks - 1) / op.ranks;
  return c;
}

// The results back, summed where the token lives. Same fields; y type[tokens, hidden].
template <class N>
struct Combine {
  N ranks{}, tokens{}, hidden{};
  Expected<N> copies{};
  DType type = DType::bf16;
  Transport transport = Transport::normal;

  static constexpr std::string_view name = "combine";
  static constexpr auto fields() {
    return std::tuple{Field{"ranks", "ranks", &Combine::ranks},      Field{"tokens", "tokens", &Combine::tokens},
                      Field{"hidden", "elements", &Combine::hidden}, Field{"copies", "copies", &Combine::copies},
                      Field{"type", "type", &Combine::type},         Field{"transport", "transport", &Combine::transport}};
  }
};

template <class N>
Cost<N> cost(const Combine<N>& op) {
  Cost<N> c;
  c.sent_bytes = op.copies * storage_bytes(op.type, op.tokens, op.hidden) * (op.ranks - 1) / op.ranks;
  return c;
}

// To the next pipeline stage. x type[tokens, width].
template <class N>
struct SendRecv {
  N tokens{}, width{};
  DType type = DType::bf16;

  static constexpr std::string_view name = "send_recv";
  static constexpr auto fields() {
    return std::tuple{Field{"tokens", "tokens", &SendRecv::tokens}, Field{"width", "elements", &SendRecv::width}, Field{"type", "type", &SendRecv::type}};
  }
};

template <class N>
Cost<N> cost(const SendRecv<N>& op) {
  Cost<N> c;
  c.sent_bytes = storage_bytes(op.type, op.tokens, op.width);
  return c;
}

}  // namespace fathom::model_spec
