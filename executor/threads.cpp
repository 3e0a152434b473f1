#include "executor/threads.h"

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "kernels/cpu/matrix.h"
#include "model_spec/error.h"

namespace fathom::executor {
namespace {

using Bytes = std::span<std::byte>;
using ConstBytes = std::span<const std::byte>;
using Shares = std::span<const std::int64_t>;

[[noreturn]] void refuse(std::string_view exchange, std::string_view what) {
  throw model_spec::Error(model_spec::Failure::device, fmt::format("{}: {}", exchange, what));
}
constexpr std::string_view not_cut = "the shares do not cut the buffers";

// What all groups of one run share. Ranks wait for `changed` alone, so that a failure wakes them wherever they wait.
struct World {
  std::mutex mutex;
  std::condition_variable changed;
  std::exception_ptr failure;  // the first; no exchange begins after it

  void fail(std::exception_ptr problem) {
    const std::lock_guard lock(mutex);
    if (!failure) failure = std::move(problem);
    changed.notify_all();
  }
};

// What a rank brings to an exchange. Others may look at it while the exchange lasts.
struct Call {
  std::string_view name;
  DType type = DType::fp32;
  ConstBytes x;
  Shares shares;  // of every rank, in bytes
};

class Group {
 public:
  Group(std::shared_ptr<World> world, int ranks) : world_(std::move(world)), calls_(static_cast<std::size_t>(ranks)) {}
  [[nodiscard]] int size() const { return static_cast<int>(calls_.size()); }
  [[nodiscard]] const std::shared_ptr<World>& world() const { return world_; }

  // Begins an exchange: returns what every rank brings, once all are there.
  std::span<const Call> meet(int rank, const Call& call) {
    std::unique_lock lock(world_->mutex);
    if (gone()) refuse_alone(call.name);
    calls_[static_cast<std::size_t>(rank)] = call;
    if (!wait_for_all(lock, true)) refuse_alone(call.name);
    return calls_;
  }
  // Ends it. All who met come here, even if there was a failure meanwhile: nobody may leave while another reads what he brought.
  void part() noexcept {
    std::unique_lock lock(world_->mutex);
    wait_for_all(lock, false);
  }

  // The rank begins no exchange any more. What it has sent may still be received.
  void leave(int rank) {
    const std::lock_guard lock(world_->mutex);
    left_.insert(rank);
    world_->changed.notify_all();
  }

  void send(int from, int to, ConstBytes x) {
    const std::lock_guard lock(world_->mutex);
    if (world_->failure) refuse_alone("send");
    mail_[{from, to}].emplace_back(x.begin(), x.end());
    world_->changed.notify_all();
  }
  std::vector<std::byte> receive(int from, int to) {
    std::unique_lock lock(world_->mutex);
    auto& messages = mail_[{from, to}];
    world_->changed.wait(lock, [&] { return world_->failure || left_.contains(from) || !messages.empty(); });
    if (messages.empty()) refuse_alone("receive");
    std::vector<std::byte> first = std::move(messages.front());
    messages.pop_front();
    return first;
  }

 private:
  [[nodiscard]] bool gone() const { return world_->failure || !left_.empty(); }
  [[noreturn]] void refuse_alone(std::string_view exchange) const {
    refuse(exchange, world_->failure ? "another rank has failed" : "another rank has left the group");
  }

  // False: not all have come, and somebody is gone.
  bool wait_for_all(std::unique_lock<std::mutex>& lock, bool unless_gone) {
    const std::uint64_t mine = generation_;
    if (++arrived_ == size()) {
      arrived_ = 0;
      ++generation_;
      world_->changed.notify_all();
    } else {
      world_->changed.wait(lock, [&] { return generation_ != mine || (unless_gone && gone()); });
    }
    return generation_ != mine;
  }

  std::shared_ptr<World> world_;
  std::vector<Call> calls_;  // [rank]
  int arrived_ = 0;
  std::set<int> left_;
  std::uint64_t generation_ = 0;                                            // how often all have arrived
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> mail_;  // (from, to)
};

// shares[0] + ... + shares[r - 1].
std::size_t start_of(Shares shares, int r) { return static_cast<std::size_t>(std::reduce(shares.begin(), shares.begin() + r)); }
template <class Byte>
std::span<Byte> share_of(std::span<Byte> x, Shares shares, int r) {
  return x.subspan(start_of(shares, r), static_cast<std::size_t>(shares[static_cast<std::size_t>(r)]));
}
bool cut(Shares shares, std::size_t bytes, int ranks) {
  return std::ssize(shares) == ranks && std::ranges::min(shares) >= 0 && start_of(shares, ranks) == bytes;
}

// sum = what every rank's x holds from byte `first` on, added up.
void add_up(DType type, std::span<const Call> calls, std::size_t first, Bytes sum) {
  const auto elements = static_cast<std::int64_t>(static_cast<double>(sum.size()) / model_spec::element_bytes(type));
  std::vector<kernels::cpu::ConstMatrix> x;  // of each rank [1, elements]
  for (const Call& call : calls) x.emplace_back(type, 1, elements, call.x.data() + first);
  kernels::cpu::Matrix y(type, 1, elements, sum.data());
  for (std::int64_t i = 0; i < elements; ++i) {
    float total = x[0].get(0, i);
    for (std::size_t r = 1; r < x.size(); ++r) total += x[r].get(0, i);
    y.set(0, i, total);
  }
}

class ThreadCommunicator final : public Communicator {
 public:
  ThreadCommunicator(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}
  ThreadCommunicator(const ThreadCommunicator&) = delete;
  ThreadCommunicator& operator=(const ThreadCommunicator&) = delete;
  // While an exception passes, the others are to hear of that one, by World::fail.
  ~ThreadCommunicator() override {
    if (std::uncaught_exceptions() == 0) group_->leave(rank_);
  }
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return group_->size(); }
  [[nodiscard]] std::uint64_t sent_bytes() const override { return sent_; }

  void barrier() override {
    exchange({.name = "barrier", .x = {}, .shares = {}}, [](auto) {});
  }

  void all_reduce(DType type, Bytes x) override {
    const auto width = static_cast<std::int64_t>(model_spec::element_bytes(type)), elements = std::ssize(x) / width;
    std::vector<std::int64_t> shares;
    for (std::int64_t r = 0; r < size(); ++r) shares.push_back(((r + 1) * elements / size() - r * elements / size()) * width);
    // In place: a rank writes its own share, of which nobody else reads his addend.
    const Bytes mine = share_of(x, Shares(shares), rank_);
    reduce("all_reduce", type, x, shares, mine);
    gather("all_reduce", mine, shares, x);
  }
  void all_gather(ConstBytes mine, Shares shares, Bytes all) override { gather("all_gather", mine, shares, all); }
  void reduce_scatter(DType type, ConstBytes x, Shares shares, Bytes mine) override { reduce("reduce_scatter", type, x, shares, mine); }

  void all_to_all(ConstBytes sent, Shares send_bytes, Bytes received, Shares receive_bytes) override {
    if (!cut(send_bytes, sent.size(), size()) || !cut(receive_bytes, received.size(), size())) refuse("all_to_all", not_cut);
    exchange({.name = "all_to_all", .x = sent, .shares = send_bytes}, [&](std::span<const Call> calls) {
      for (int r = 0; r < size(); ++r) {
        const Call& from = calls[static_cast<std::size_t>(r)];
        const ConstBytes part = share_of(from.x, from.shares, rank_);
        const Bytes to = share_of(received, receive_bytes, r);
        require_size("all_to_all", r, part.size(), to.size());
        std::ranges::copy(part, to.begin());
      }
    });
    sent_ += sent.size() - share_of(sent, send_bytes, rank_).size();
  }

  void send(int to, ConstBytes x) override {
    assert(to >= 0 && to < size());
    group_->send(rank_, to, x);
    if (to != rank_) sent_ += x.size();
  }
  void receive(int from, Bytes x) override {
    assert(from >= 0 && from < size());
    const std::vector<std::byte> message = group_->receive(from, rank_);
    require_size("receive", from, message.size(), x.size());
    std::ranges::copy(message, x.begin());
  }

  std::unique_ptr<Communicator> split(int colour, int key) override;

 private:
  // work(calls) while every rank is in the exchange. If a rank brings something else, it throws on each that does not agree with it.
  template <class Work>
  void exchange(const Call& mine, Work work) {
    struct Visit {
      Group& group;
      ~Visit() { group.part(); }
    };
    const std::span<const Call> calls = group_->meet(rank_, mine);
    const Visit visit{*group_};
    for (const Call& other : calls) {
      if (other.name != mine.name) refuse(mine.name, fmt::format("another rank calls {}", other.name));
      if (other.type != mine.type) refuse(mine.name, fmt::format("rank {} has {}, another {}", rank_, name_of(mine.type), name_of(other.type)));
    }
    work(calls);
  }
  void require_same_shares(const Call& mine, std::span<const Call> calls) const {
    for (const Call& other : calls)
      if (!std::ranges::equal(other.shares, mine.shares)) refuse(mine.name, fmt::format("rank {} and another disagree about the shares", rank_));
  }
  void require_size(std::string_view name, int from, std::size_t sent, std::size_t expected) const {
    if (sent != expected) refuse(name, fmt::format("rank {} sends {} bytes, rank {} expects {}", from, sent, rank_, expected));
  }

  void gather(std::string_view name, ConstBytes mine, Shares shares, Bytes all) {
    if (!cut(shares, all.size(), size()) || mine.size() != share_of(all, shares, rank_).size()) refuse(name, not_cut);
    const Call call{.name = name, .x = mine, .shares = shares};
    exchange(call, [&](std::span<const Call> calls) {
      require_same_shares(call, calls);
      for (int r = 0; r < size(); ++r) {
        const ConstBytes from = calls[static_cast<std::size_t>(r)].x;
        const Bytes to = share_of(all, shares, r);
        if (from.data() != to.data()) std::ranges::copy(from, to.begin());  // mine may be in its place already, where others read it
      }
    });
    sent_ += mine.size() * static_cast<std::size_t>(size() - 1);
  }
  void reduce(std::string_view name, DType type, ConstBytes x, Shares shares, Bytes mine) {
    assert(type == DType::fp32 || type == DType::bf16);
    if (!cut(shares, x.size(), size()) || mine.size() != share_of(x, shares, rank_).size()) refuse(name, not_cut);
    const auto width = static_cast<std::int64_t>(model_spec::element_bytes(type));
    if (std::ranges::any_of(shares, [&](std::int64_t share) { return share % width != 0; })) refuse(name, "the shares cut an element");
    const Call call{.name = name, .type = type, .x = x, .shares = shares};
    exchange(call, [&](std::span<const Call> calls) {
      require_same_shares(call, calls);
      add_up(type, calls, start_of(shares, rank_), mine);
    });
    sent_ += x.size() - mine.size();
  }

  std::shared_ptr<Group> group_;
  int rank_;
  std::uint64_t sent_ = 0;
};

// The first member makes the group, the others take it from him.
std::unique_ptr<Communicator> ThreadCommunicator::split(int colour, int key) {
  struct Wish {
    int colour, key;
  };
  const Wish mine{colour, key};
  std::vector<std::pair<int, int>> members;  // (key, rank here)
  exchange({.name = "split", .x = std::as_bytes(std::span(&mine, 1)), .shares = {}}, [&](std::span<const Call> calls) {
    for (int r = 0; r < size(); ++r) {
      const auto& wish = *reinterpret_cast<const Wish*>(calls[static_cast<std::size_t>(r)].x.data());
      if (wish.colour == colour) members.emplace_back(wish.key, r);
    }
  });
  std::ranges::sort(members);

  const int first = members.front().second;
  std::shared_ptr<Group> made, group;
  if (first == rank_) made = std::make_shared<Group>(group_->world(), static_cast<int>(members.size()));
  exchange({.name = "split", .x = std::as_bytes(std::span(&made, 1)), .shares = {}},
           [&](std::span<const Call> calls) { group = *reinterpret_cast<const std::shared_ptr<Group>*>(calls[static_cast<std::size_t>(first)].x.data()); });
  const auto place = std::ranges::find(members, rank_, &std::pair<int, int>::second) - members.begin();
  return std::make_unique<ThreadCommunicator>(std::move(group), static_cast<int>(place));
}

}  // namespace

void run_ranks(int ranks, const std::function<void(Communicator& world)>& run) {
  assert(ranks > 0);
  const auto world = std::make_shared<World>();
  const auto group = std::make_shared<Group>(world, ranks);
  const auto run_rank = [&](int rank) noexcept {
    try {
      ThreadCommunicator communicator(group, rank);
      run(communicator);
    } catch (...) { world->fail(std::current_exception()); }
  };
  {
    std::vector<std::jthread> others;  // waited for at the end of the block
    try {
      for (int r = 1; r < ranks; ++r) others.emplace_back(run_rank, r);
      run_rank(0);
    } catch (...) {  // no further thread to be had
      world->fail(std::current_exception());
    }
  }
  if (world->failure) std::rethrow_exception(world->failure);
}

}  // namespace fathom::executor
