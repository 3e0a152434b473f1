// Answers in the background, so that the window never waits: the newest question wins, those before it are dropped.
#pragma once

#include <QObject>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "gui/models/views.h"

namespace fathom::gui {

// The charts of an answer that take longer than the answer itself.
struct Curves {
  Chart prefill, decode;
};

class Recompute : public QObject {
  Q_OBJECT

 public:
  explicit Recompute(QObject* parent = nullptr);
  ~Recompute() override;  // waits for what is being computed

  void ask(std::string toml, std::string file);
  [[nodiscard]] bool busy() const { return asked_ != answered_; }

 Q_SIGNALS:
  // In the thread of this object. curved() follows answered() unless another question came meanwhile.
  void answered(const fathom::gui::SharedAnswer& answer);
  void curved(const fathom::gui::SharedAnswer& answer, const fathom::gui::Curves& curves);

 private:
  struct Question {
    std::uint64_t number;
    std::string toml, file;
  };
  void work(const std::stop_token& stop);
  bool newer() const;  // than the one at work

  std::uint64_t asked_ = 0, answered_ = 0;  // of the owner's thread
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Question> next_;
  std::jthread worker_;  // last: it uses the members above
};

}  // namespace fathom::gui
