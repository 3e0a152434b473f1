#include "executor/threads.h"

#include <gmock/gmock.h>

#include <atomic>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

#include "kernels/cpu/codec.h"
#include "model_spec/error.h"
#include "model_spec/ops/collectives.h"

namespace fathom::executor {
namespace {

using kernels::cpu::decode_bf16;
using kernels::cpu::encode_bf16;
using model_spec::Error;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::span<std::byte> bytes(std::vector<T>& x) {
  return std::as_writable_bytes(std::span(x));
}
std::vector<std::int64_t> shares_of(std::initializer_list<std::int64_t> elements, std::int64_t width) {
  std::vector<std::int64_t> shares(elements);
  for (auto& share : shares) share *= width;
  return shares;
}
std::uint64_t sum(const std::vector<std::uint64_t>& x) { return std::reduce(x.begin(), x.end()); }

// What run(communicator) returned on each rank.
template <class Run>
auto on_ranks(int ranks, Run run) {
  std::vector<decltype(run(std::declval<Communicator&>()))> results(static_cast<std::size_t>(ranks));
  run_ranks(ranks, [&](Communicator& world) { results[static_cast<std::size_t>(world.rank())] = run(world); });
  return results;
}

// The message of the Error{device} that run_ranks throws.
std::string refusal(int ranks, const std::function<void(Communicator&)>& run) {
  try {
    run_ranks(ranks, run);
  } catch (const Error& error) {
    EXPECT_EQ(error.failure(), model_spec::Failure::device);
    return error.what();
  }
  return "no error";
}

TEST(Threads, EveryRankRunsOnceOnItsOwnThread) {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  const auto ranks = on_ranks(4, [&](Communicator& world) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
    return world.rank() * 10 + world.size();
  });
  EXPECT_THAT(ranks, ElementsAre(4, 14, 24, 34));
  EXPECT_EQ(threads.size(), 4u);
  EXPECT_EQ(threads.count(std::this_thread::get_id()), 1u);
}

TEST(Threads, BarrierWaitsForAll) {
  std::atomic<int> arrived = 0;
  const auto seen = on_ranks(3, [&](Communicator& world) {
    ++arrived;
    world.barrier();
    return arrived.load();
  });
  EXPECT_THAT(seen, Each(3));
}

TEST(Threads, AllReduceSumsInTheOrderOfRanks) {
  // 1e8 + 1 is 1e8 in fp32: in this order 1 remains, in another 0 or 2.
  const std::vector<float> addends{1e8f, 1, -1e8f, 1};
  const auto sums = on_ranks(4, [&](Communicator& world) {
    std::vector<float> x(5, addends[static_cast<std::size_t>(world.rank())]);
    world.all_reduce(DType::fp32, bytes(x));
    return x;
  });
  EXPECT_THAT(sums, Each(ElementsAre(1, 1, 1, 1, 1)));
}

TEST(Threads, Bf16IsRoundedOnce) {
  // bf16 has steps of 2 above 256: rounded after each addition the sum would stay 256.
  const std::vector<float> addends{256, 1, 1};
  const auto sums = on_ranks(3, [&](Communicator& world) {
    std::vector<std::uint16_t> x(4, encode_bf16(addends[static_cast<std::size_t>(world.rank())]));
    world.all_reduce(DType::bf16, bytes(x));
    return x;
  });
  EXPECT_THAT(sums, Each(Each(encode_bf16(258))));
}

TEST(Threads, AllReduceSendsAsItsCostSays) {
  const auto sent = [](int ranks, std::size_t elements) {
    return on_ranks(ranks, [&](Communicator& world) {
      std::vector<float> x(elements);
      world.all_reduce(DType::fp32, bytes(x));
      return world.sent_bytes();
    });
  };
  const model_spec::AllReduce<double> op{.ranks = 4, .tokens = 2, .width = 6, .type = DType::fp32};
  for (const auto each : sent(4, 12)) EXPECT_EQ(static_cast<double>(each), cost(op).sent_bytes);
  EXPECT_EQ(sum(sent(3, 5)), 2u * 20 * (3 - 1));  // 5 elements do not divide by 3
  EXPECT_EQ(sum(sent(4, 3)), 2u * 12 * (4 - 1));  // one rank has no share
  EXPECT_EQ(sum(sent(3, 0)), 0u);
  EXPECT_EQ(sum(sent(1, 5)), 0u);
}

TEST(Threads, AllGatherJoinsUnequalShares) {
  const auto shares = shares_of({2, 0, 1}, 4);
  std::vector<std::uint64_t> sent(3);
  const auto all = on_ranks(3, [&](Communicator& world) {
    const auto r = static_cast<std::size_t>(world.rank());
    const std::vector<float> mine(static_cast<std::size_t>(shares[r] / 4), static_cast<float>(10 + r));
    std::vector<float> joined(3);
    world.all_gather(std::as_bytes(std::span(mine)), shares, bytes(joined));
    sent[r] = world.sent_bytes();
    return joined;
  });
  EXPECT_THAT(all, Each(ElementsAre(10, 10, 12)));
  EXPECT_THAT(sent, ElementsAre(16, 0, 8));
}

TEST(Threads, AllGatherMayStandInPlace) {
  const auto shares = shares_of({1, 2}, 4);
  const auto all = on_ranks(2, [&](Communicator& world) {
    std::vector<int> x(3, world.rank() + 1);
    const auto mine = world.rank() == 0 ? bytes(x).first(4) : bytes(x).last(8);
    world.all_gather(mine, shares, bytes(x));
    return x;
  });
  EXPECT_THAT(all, Each(ElementsAre(1, 2, 2)));
}

TEST(Threads, ReduceScatterKeepsOnesShare) {
  const auto shares = shares_of({1, 0, 2}, 2);
  std::vector<std::uint64_t> sent(3);
  const auto mine = on_ranks(3, [&](Communicator& world) {
    const auto r = static_cast<std::size_t>(world.rank());
    std::vector<std::uint16_t> x{encode_bf16(1), encode_bf16(2), encode_bf16(static_cast<float>(r))}, y(static_cast<std::size_t>(shares[r] / 2));
    world.reduce_scatter(DType::bf16, bytes(x), shares, bytes(y));
    sent[r] = world.sent_bytes();
    std::vector<float> decoded;
    for (const auto code : y) decoded.push_back(decode_bf16(code));
    return decoded;
  });
  EXPECT_THAT(mine, ElementsAre(ElementsAre(3), ElementsAre(), ElementsAre(6, 3)));
  EXPECT_THAT(sent, ElementsAre(4, 6, 2));
}

TEST(Threads, AllToAllBringsEveryPartToItsRank) {
  // Rank r sends r + s bytes to rank s, but nothing to itself unless it is rank 1.
  const auto part = [](int from, int to) { return from == to && from != 1 ? 0 : from + to; };
  std::vector<std::uint64_t> sent(3);
  const auto received = on_ranks(3, [&](Communicator& world) {
    std::vector<std::int64_t> out, in;
    std::vector<std::uint8_t> x, y;
    for (int s = 0; s < 3; ++s) {
      out.push_back(part(world.rank(), s));
      in.push_back(part(s, world.rank()));
      x.insert(x.end(), static_cast<std::size_t>(out.back()), static_cast<std::uint8_t>(10 * world.rank() + s));
    }
    y.resize(static_cast<std::size_t>(std::reduce(in.begin(), in.end())));
    world.all_to_all(bytes(x), out, bytes(y), in);
    sent[static_cast<std::size_t>(world.rank())] = world.sent_bytes();
    return y;
  });
  EXPECT_THAT(received, ElementsAre(ElementsAre(10, 20, 20), ElementsAre(1, 11, 11, 21, 21, 21), ElementsAre(2, 2, 12, 12, 12)));
  EXPECT_THAT(sent, ElementsAre(3, 4, 5));
}

TEST(Threads, BothMaySendBeforeTheyReceive) {
  std::vector<std::uint64_t> sent(2);
  const auto received = on_ranks(2, [&](Communicator& world) {
    const int other = 1 - world.rank();
    std::vector<int> first{world.rank(), 7}, second{8}, self{9}, x(2), y(1), z(1);
    world.send(other, bytes(first));
    world.send(other, bytes(second));
    world.send(world.rank(), bytes(self));
    std::fill(first.begin(), first.end(), -1);  // sent is sent
    world.receive(world.rank(), bytes(z));
    world.receive(other, bytes(x));
    world.receive(other, bytes(y));
    sent[static_cast<std::size_t>(other)] = world.sent_bytes();
    return std::vector{x[0], x[1], y[0], z[0]};
  });
  EXPECT_THAT(received, ElementsAre(ElementsAre(1, 7, 8, 9), ElementsAre(0, 7, 8, 9)));
  EXPECT_THAT(sent, Each(12));
}

TEST(Threads, SplitOrdersByKeyThenRank) {
  // Colour: the parity. The even ranks 0, 2, 4 have keys 1, 0, 0; of the odd ones the keys are equal.
  const std::vector<int> keys{1, 5, 0, 5, 0};
  const auto groups = on_ranks(5, [&](Communicator& world) {
    const auto group = world.split(world.rank() % 2, keys[static_cast<std::size_t>(world.rank())]);
    std::vector<int> mine{world.rank()}, all(static_cast<std::size_t>(group->size()));
    group->all_gather(bytes(mine), std::vector<std::int64_t>(all.size(), 4), bytes(all));
    EXPECT_EQ(all[static_cast<std::size_t>(group->rank())], world.rank());
    EXPECT_EQ(group->sent_bytes(), 4 * (all.size() - 1));
    EXPECT_EQ(world.sent_bytes(), 0u);
    return all;
  });
  EXPECT_THAT(groups, ElementsAre(ElementsAre(2, 4, 0), ElementsAre(1, 3), ElementsAre(2, 4, 0), ElementsAre(1, 3), ElementsAre(2, 4, 0)));
}

TEST(Threads, GroupsWorkSideBySideAndSplitAgain) {
  const auto sums = on_ranks(4, [](Communicator& world) {
    const auto row = world.split(world.rank() / 2, 0), column = world.split(world.rank() % 2, 0), alone = row->split(row->rank(), 0);
    EXPECT_EQ(alone->size(), 1);
    std::vector<float> x{static_cast<float>(1 << world.rank())}, y = x, z = x;
    row->all_reduce(DType::fp32, bytes(x));
    column->all_reduce(DType::fp32, bytes(y));
    alone->all_reduce(DType::fp32, bytes(z));
    return std::vector{x[0], y[0], z[0]};
  });
  EXPECT_THAT(sums, ElementsAre(ElementsAre(3, 5, 1), ElementsAre(3, 10, 2), ElementsAre(12, 5, 4), ElementsAre(12, 10, 8)));
}

TEST(Threads, AGroupLivesAsLongAsOneOfItsCommunicators) {
  const auto received = on_ranks(2, [](Communicator& world) {
    auto group = world.split(0, 0);
    std::vector<int> x{world.rank() == 0 ? 5 : 0};
    if (world.rank() == 0) {
      group->send(1, bytes(x));
      group.reset();
    }
    world.barrier();
    if (group) group->receive(0, bytes(x));
    return x[0];
  });
  EXPECT_THAT(received, Each(5));
}

TEST(Threads, OneFailureWakesAllWhereverTheyWait) {
  EXPECT_THROW(run_ranks(1, [](Communicator&) { throw std::runtime_error("alone"); }), std::runtime_error);
  std::atomic<int> woken = 0;
  const auto wait = [&](Communicator& world) {
    const auto group = world.split(world.rank() / 2, 0);  // {0, 1} {2, 3} {4, 5}
    std::vector<std::byte> x(4);
    world.barrier();
    try {
      if (world.rank() == 0) group->barrier();  // of which rank 1 stays away
      if (world.rank() == 1) throw std::runtime_error("rank 1 is broken");
      if (world.rank() == 2) group->receive(1, x);
      if (world.rank() == 3) (void)world.split(0, 0);
      if (world.rank() == 4) world.receive(1, x);
      if (world.rank() == 5) group->all_reduce(DType::fp32, x);
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("another rank has failed"));
      EXPECT_THROW(world.barrier(), Error);
      EXPECT_THROW(world.send(0, x), Error);
      ++woken;
      throw;
    }
  };
  EXPECT_THAT([&] { run_ranks(6, wait); }, testing::ThrowsMessage<std::runtime_error>("rank 1 is broken"));
  EXPECT_EQ(woken, 5);
}

// A rank that fails right after an exchange must not pull the others' buffers away from under those still in it (for the sanitizers).
TEST(Threads, FailuresAtAnyTimeLeaveNobodyReadingWhatIsGone) {
  for (int round = 0; round < 200; ++round) {
    const auto fail = [&](Communicator& world) {
      const auto group = world.split(world.rank() == 3, 0);
      for (int i = 0; i < 10; ++i) {
        if (world.rank() == 3 && i == round % 10) throw std::runtime_error("broken");
        std::vector<float> x(64, 1.0f);
        group->all_reduce(DType::fp32, bytes(x));
        ASSERT_THAT(x, Each(static_cast<float>(group->size())));
      }
      world.barrier();
    };
    ASSERT_THROW(run_ranks(4, fail), std::runtime_error);
  }
}

TEST(Threads, RanksThatDisagreeAreRefused) {
  EXPECT_THAT(refusal(2,
                      [](Communicator& world) {
                        std::vector<float> x(static_cast<std::size_t>(4 + world.rank()));
                        world.all_reduce(DType::fp32, bytes(x));
                      }),
              AllOf(HasSubstr("all_reduce: "), HasSubstr("shares")));
  EXPECT_THAT(refusal(2,
                      [](Communicator& world) {
                        std::vector<float> x(4);
                        if (world.rank() == 0) world.all_reduce(DType::fp32, bytes(x));
                        else world.barrier();
                      }),
              HasSubstr("another rank calls "));
  EXPECT_THAT(refusal(2,
                      [](Communicator& world) {
                        std::vector<float> x(4);
                        world.all_reduce(world.rank() == 0 ? DType::fp32 : DType::bf16, bytes(x));
                      }),
              AllOf(HasSubstr("fp32"), HasSubstr("bf16")));
  EXPECT_THAT(refusal(2,
                      [](Communicator& world) {
                        const std::vector<std::int64_t> out{4, 4}, in{4, world.rank() == 0 ? 8 : 4};
                        std::vector<std::byte> x(8), y(static_cast<std::size_t>(in[0] + in[1]));
                        world.all_to_all(x, out, y, in);
                      }),
              "all_to_all: rank 1 sends 4 bytes, rank 0 expects 8");
  EXPECT_THAT(refusal(2,
                      [](Communicator& world) {
                        std::vector<std::byte> x(static_cast<std::size_t>(4 + world.rank()));
                        if (world.rank() == 0) world.send(1, x);
                        else world.receive(0, x);
                      }),
              "receive: rank 0 sends 4 bytes, rank 1 expects 5");
}

TEST(Threads, NobodyWaitsForARankThatHasLeft) {
  EXPECT_THAT(refusal(3,
                      [](Communicator& world) {
                        if (world.rank() != 1) world.barrier();
                      }),
              "barrier: another rank has left the group");
  EXPECT_THAT(refusal(2,
                      [](Communicator& world) {
                        auto group = world.split(0, 0);
                        std::vector<std::byte> x(1);
                        if (world.rank() == 1) group.reset();
                        else group->receive(1, x);
                        world.barrier();
                      }),
              "receive: another rank has left the group");
}

TEST(Threads, SharesThatDoNotFitTheBuffersAreRefused) {
  std::vector<float> x(4);
  const auto gather = [&](std::vector<std::int64_t> shares) { return refusal(1, [&](Communicator& world) { world.all_gather(bytes(x), shares, bytes(x)); }); };
  EXPECT_EQ(gather({16}), "no error");
  for (const auto& wrong : {std::vector<std::int64_t>{12}, {20}, {}, {16, 0}, {-16}})
    EXPECT_THAT(gather(wrong), HasSubstr("all_gather: the shares do not cut"));
  EXPECT_THAT(refusal(2,
                      [&](Communicator& world) {
                        world.reduce_scatter(DType::fp32, bytes(x), std::vector<std::int64_t>{6, 10}, bytes(x).first(world.rank() == 0 ? 6 : 10));
                      }),
              "reduce_scatter: the shares cut an element");
}

TEST(Threads, ManyExchangesInARowKeepApart) {
  run_ranks(4, [](Communicator& world) {
    const auto pair = world.split(world.rank() / 2, -world.rank());
    for (int i = 0; i < 300; ++i) {
      std::vector<float> x(7, static_cast<float>(i)), y(3, 1.0f);
      world.all_reduce(DType::fp32, bytes(x));
      ASSERT_THAT(x, Each(static_cast<float>(4 * i)));
      pair->all_reduce(DType::fp32, bytes(y));
      ASSERT_THAT(y, Each(2.0f));
      std::vector<int> mine{i}, other(1);
      world.send((world.rank() + 1) % 4, bytes(mine));
      world.receive((world.rank() + 3) % 4, bytes(other));
      ASSERT_EQ(other[0], i);
    }
  });
}

}  // namespace
}  // namespace fathom::executor
