// Exchanges between the ranks of a group. Every rank of the group calls the same functions in the same order. Sizes in bytes, unless said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "model_spec/dtype.h"

namespace fathom::executor {

using model_spec::DType;

class Communicator {
 public:
  virtual ~Communicator() = default;
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  // Bytes that this rank has sent to other ranks through this communicator; what it keeps does not count.
  [[nodiscard]] virtual std::uint64_t sent_bytes() const = 0;

  virtual void barrier() = 0;
  // x = sum of every rank's x. type: fp32 or bf16; summed in fp32 in the order of ranks, rounded once.
  virtual void all_reduce(DType type, std::span<std::byte> x) = 0;
  // all = the ranks' shares one after another; shares[r]: bytes of rank r's.
  virtual void all_gather(std::span<const std::byte> mine, std::span<const std::int64_t> shares, std::span<std::byte> all) = 0;
  // mine = this rank's share of the sum of every rank's x, which is cut into shares[r] bytes for rank r. Summed as all_reduce does.
  virtual void reduce_scatter(DType type, std::span<const std::byte> x, std::span<const std::int64_t> shares, std::span<std::byte> mine) = 0;
  // sent holds send_bytes[r] for each rank r one after another; received likewise what each rank sent here.
  virtual void all_to_all(std::span<const std::byte> sent, std::span<const std::int64_t> send_bytes, std::span<std::byte> received,
                          std::span<const std::int64_t> receive_bytes) = 0;
  virtual void send(int to, std::span<const std::byte> x) = 0;
  virtual void receive(int from, std::span<std::byte> x) = 0;
  // The ranks that give the same colour form a group, in the order of `key`, equal keys in the order of ranks. Its counter starts at 0.
  virtual std::unique_ptr<Communicator> split(int colour, int key) = 0;
};

}  // namespace fathom::executor
