// SPDX-License-Identifier: Apache-2.0
#include "runtime/sleeper.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>

#include "nixl_connect/error.h"

namespace nixl_connect::runtime {
namespace {

[[noreturn]] void fail(const char* call) {
  throw Error(ErrorKind::kNoResources, std::string("opening a Connector: ") + call +
                                           ": " + std::strerror(errno));
}

timespec to_timespec(core::Time time) noexcept {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {seconds.count(), (time - seconds).count()};
}

}  // namespace

Sleeper::Sleeper(int bell_fd, int worker_fd, int local_fd)
    : worker_fd_(worker_fd),
      local_fd_(local_fd),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (epoll_.get() < 0) fail("epoll_create1");
  if (timer_.get() < 0) fail("timerfd_create");
  add(bell_fd, EPOLLIN);
  add(timer_.get(), EPOLLIN);
  add(worker_fd, EPOLLONESHOT);
  if (local_fd >= 0) add(local_fd, EPOLLONESHOT);
}

void Sleeper::add(int fd, unsigned events) {
  epoll_event event{};
  event.events = events;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) fail("epoll_ctl");
}

void Sleeper::watch(unsigned events) noexcept {
  epoll_event event{};
  event.events = events;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, worker_fd_, &event);
  if (local_fd_ >= 0) ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, local_fd_, &event);
}

void Sleeper::watch_sources() noexcept { watch(EPOLLIN | EPOLLONESHOT); }
void Sleeper::leave_sources() noexcept { watch(EPOLLONESHOT); }

void Sleeper::set_timer(core::Time deadline) noexcept {
  if (deadline == timer_is_set_to_) return;
  timer_is_set_to_ = deadline;
  itimerspec spec{};  // all zero switches the timer off
  // Zero would mean off, and a time already past fires at once.
  if (deadline != core::kNever)
    spec.it_value = to_timespec(std::max(deadline, core::Time(1)));
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Sleeper::sleep_until(core::Time deadline) noexcept {
  set_timer(deadline);
  std::array<epoll_event, 4> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
  // An expired timer stays readable until it is set anew.
  if (count > 0 && timer_is_set_to_ != core::kNever)
    timer_is_set_to_ = core::Time::min();
}

bool sleep_until_readable(std::initializer_list<int> fds,
                          core::Time deadline) noexcept {
  std::array<pollfd, 4> polled{};
  nfds_t count = 0;
  for (const int fd : fds) polled.at(count++) = {fd, POLLIN, 0};
  const core::Time left = std::max(
      deadline - std::chrono::steady_clock::now().time_since_epoch(), core::Time(0));
  const timespec limit = to_timespec(left);
  ::ppoll(polled.data(), count, deadline == core::kNever ? nullptr : &limit, nullptr);
  return polled[0].revents != 0;
}

}  // namespace nixl_connect::runtime
