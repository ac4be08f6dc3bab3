// SPDX-License-Identifier: Apache-2.0
#include "runtime/sleeper.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

[[noreturn]] void fail(const char* call) {
  throw Error(ErrorKind::kNoResources, std::string("opening a Connector: ") + call +
                                           ": " + std::strerror(errno));
}

}  // namespace

Sleeper::Sleeper(int bell_fd, int worker_fd, int local_fd)
    : worker_fd_(worker_fd),
      local_fd_(local_fd),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (epoll_.get() < 0) fail("epoll_create1");
  if (timer_.get() < 0) fail("timerfd_create");
  watch(bell_fd, EPOLLIN);
  watch(timer_.get(), EPOLLIN);
  watch(worker_fd, EPOLLONESHOT);
  if (local_fd >= 0) watch(local_fd, EPOLLONESHOT);
}

void Sleeper::watch(int fd, unsigned flags) {
  epoll_event event{};
  event.events = flags;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

void Sleeper::set_timer(core::Time deadline) {
  if (deadline == timer_is_set_to_) return;
  timer_is_set_to_ = deadline;
  itimerspec spec{};  // all zero switches the timer off
  if (deadline != core::kNever) {
    // Zero would mean off, and a time already past fires at once.
    const auto at = std::max(deadline, core::Time(1));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
    spec.it_value.tv_sec = seconds.count();
    spec.it_value.tv_nsec = (at - seconds).count();
  }
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Sleeper::watch_once(int fd) noexcept {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLONESHOT;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Sleeper::sleep_until(core::Time deadline) {
  set_timer(deadline);
  watch_once(worker_fd_);
  if (local_fd_ >= 0) watch_once(local_fd_);
  sleep();
}

void Sleeper::nap(core::Time deadline) {
  set_timer(deadline);
  sleep();
}

void Sleeper::sleep() {
  std::array<epoll_event, 4> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
  // An expired timer stays readable until it is set anew.
  if (count > 0 && timer_is_set_to_ != core::kNever)
    timer_is_set_to_ = core::Time::min();
}

}  // namespace nixl_connect::runtime
