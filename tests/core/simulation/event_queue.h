// SPDX-License-Identifier: Apache-2.0
//
// The virtual clock and what will happen when. Events of one moment happen in the order
// in which they were scheduled. No threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "core/commands.h"

namespace nixl_connect::core::simulation {

class EventQueue {
 public:
  EventQueue() { events_.reserve(64); }

  Time now() const { return now_; }

  void at(Time when, std::function<void()> action) {
    events_.push_back({std::max(when, now_), ++scheduled_, std::move(action)});
    std::push_heap(events_.begin(), events_.end(), is_later);
  }
  void after(Time delay, std::function<void()> action) {
    at(now_ + delay, std::move(action));
  }

  // False if nothing is left.
  bool run_next() {
    if (events_.empty()) return false;
    std::pop_heap(events_.begin(), events_.end(), is_later);
    const Event event = std::move(events_.back());
    events_.pop_back();
    now_ = event.when;
    event.action();
    return true;
  }

 private:
  struct Event {
    Time when;
    std::uint64_t number;
    std::function<void()> action;
  };
  static bool is_later(const Event& a, const Event& b) {
    return std::pair(a.when, a.number) > std::pair(b.when, b.number);
  }

  Time now_{0};
  std::uint64_t scheduled_ = 0;
  std::vector<Event> events_;  // a heap
};

}  // namespace nixl_connect::core::simulation
