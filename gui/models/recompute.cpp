#include "gui/models/recompute.h"

#include <utility>

namespace fathom::gui {

Recompute::Recompute(QObject* parent) : QObject(parent), worker_([this](const std::stop_token& stop) { work(stop); }) {}

Recompute::~Recompute() = default;

void Recompute::ask(std::string toml, std::string file) {
  const std::lock_guard lock(mutex_);
  next_ = {++asked_, std::move(toml), std::move(file)};
  changed_.notify_one();
}

bool Recompute::newer() const {
  const std::lock_guard lock(mutex_);
  return next_.has_value();
}

void Recompute::work(const std::stop_token& stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return next_.has_value(); })) return;
    const auto question = *std::exchange(next_, std::nullopt);
    lock.unlock();
    const auto now = std::make_shared<const Answer>(answer(question.toml, question.file));
    QMetaObject::invokeMethod(this, [this, now, number = question.number] {
      if (number != asked_) return;
      answered_ = number;
      Q_EMIT answered(now);
    });
    if (newer()) continue;
    auto curves = std::make_shared<const Curves>(Curves{curve_chart(*now, PhaseName::prefill), curve_chart(*now, PhaseName::decode)});
    QMetaObject::invokeMethod(this, [this, now, curves = std::move(curves), number = question.number] {
      if (number == asked_) Q_EMIT curved(now, *curves);
    });
  }
}

}  // namespace fathom::gui
