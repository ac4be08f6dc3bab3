// SPDX-License-Identifier: Apache-2.0
#include "runtime/driver.h"

#include <chrono>
#include <utility>

#include "nixl_connect/error.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"
#include "runtime/resources.h"

namespace nixl_connect::runtime {
namespace {

using std::chrono::microseconds;

// An operation that takes no longer than the way to another thread and back.
constexpr std::uint64_t kSmallBytes = 64 << 10;
constexpr std::size_t kSmallRanges = 16;
constexpr int kTurnsOfABegin = 8;

// How long a user's thread tries for the turn: an idle turn takes less.
constexpr core::Time kPatience = microseconds(3);

// A thread that has had the turn comes back for the next operation within this time,
// or does something else.
constexpr core::Time kBetweenHelps = microseconds(5);

inline void relax_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spinning on the only core would keep the peer from answering.
core::Time spin_time(const ConnectorOptions& options) {
  return std::thread::hardware_concurrency() > 1 ? core::Time(options.spin)
                                                 : core::Time(0);
}

bool is_small(const OperationState& state) {
  return state.size() <= kSmallBytes && state.descriptors().size() <= kSmallRanges;
}

}  // namespace

Driver::Driver(Resources& resources)
    : spin_(spin_time(resources.options)),
      dispatcher_(std::make_unique<Dispatcher>(resources, mailbox_, deliveries_)),
      sleeper_(bell_.fd(), resources.worker->event_fd()) {}

Driver::~Driver() = default;

void Driver::destroy_dispatcher() noexcept { dispatcher_.reset(); }

void Driver::begin(BeginRequest request) {
  const std::shared_ptr<OperationState> state = request.state;
  mailbox_.post(std::move(request));
  if (is_progress_thread()) return;
  if (!is_small(*state) || !take_turn_soon()) return bell_.ring();
  const bool may_help = !dispatcher_->is_moving();
  for (int turns = 0; may_help && turns < kTurnsOfABegin; ++turns)
    if (!dispatcher_->turn() || is_terminal(state->status())) break;
  leave_turn(may_help);
  if (mailbox_.has_mail()) bell_.ring();
}

void Driver::cancel(core::OperationId operation) noexcept {
  try {
    mailbox_.post(CancelRequest{operation});
    bell_.ring();
  } catch (const std::exception&) {
    // Closed or forked: see the contract. Out of memory: the deadline remains.
  }
}

void Driver::help(const OperationState& awaited, core::Time end) noexcept {
  if (is_terminal(awaited.status()) || awaited.identity().remote.empty()) return;
  if (!take_turn_soon()) return;
  core::Time idle_since = now();
  while (!is_terminal(awaited.status()) && !dispatcher_->is_closing()) {
    const bool is_active = dispatcher_->turn();
    if (deliveries_.is_due()) bell_.ring();
    const core::Time current = now();
    if (is_active) idle_since = current;
    if (current >= end || current - idle_since > spin_) break;
  }
  leave_turn(true);
}

void Driver::deliver(Delivery delivery) {
  if (!deliveries_.add(std::move(delivery)))
    throw Error(ErrorKind::kInvalidArgument, "the Connector is closed");
  bell_.ring();
}

bool Driver::take_turn_soon() noexcept {
  if (try_take_turn()) return true;
  waiting_.fetch_add(1);
  const core::Time end = now() + kPatience;
  bool is_mine = false;
  while (!(is_mine = try_take_turn()) && now() < end) relax_cpu();
  waiting_.fetch_sub(1);
  return is_mine;
}

void Driver::leave_turn(bool did_help) noexcept {
  // What is left needs the progress thread, if that does not watch for it already.
  const bool is_watched = is_armed_.load() && !dispatcher_->needs_turns() &&
                          dispatcher_->next_deadline() >= armed_until_.load();
  if (did_help) last_help_.store(now(), std::memory_order_relaxed);
  give_turn();
  if (!is_watched || deliveries_.is_due()) bell_.ring();
}

bool Driver::run() {
  thread_ = std::this_thread::get_id();
  while (true) {
    deliveries_.run();
    give_way();
    if (!try_take_turn()) {
      stand_by();
      continue;
    }
    const bool is_active = dispatcher_->turn();
    if (dispatcher_->is_closed()) break;
    if (!is_active && now() - dispatcher_->last_activity() >= spin_) {
      sleep();
      continue;
    }
    give_turn();
    if (!is_active) relax_cpu();
  }
  deliveries_.shut();
  return dispatcher_->is_quiet();
}

// Lets a user's thread have the turn that is waiting for it, or about to come back.
void Driver::give_way() const noexcept {
  const core::Time start = now();
  while (!is_taken_.load(std::memory_order_relaxed) && !deliveries_.is_due()) {
    const core::Time current = now();
    const bool is_awaited = waiting_.load() > 0 && current - start < kPatience;
    if (!is_awaited && current - last_help_.load() >= kBetweenHelps) return;
    relax_cpu();
  }
}

// Another thread has the turn, and rings when it leaves.
void Driver::stand_by() {
  const core::Time start = now();
  while (is_taken_.load(std::memory_order_relaxed) && !deliveries_.is_due()) {
    if (now() - start < spin_) {
      relax_cpu();
      continue;
    }
    bell_.before_sleep();
    if (is_taken_.load() && !deliveries_.is_due()) sleeper_.sleep_until_rung();
    bell_.after_sleep();
  }
}

// With the turn, which is given back before the sleep.
void Driver::sleep() {
  dispatcher_->finish_before_sleep();
  bell_.before_sleep();
  const bool may_sleep =
      !mailbox_.has_mail() && !deliveries_.is_due() && dispatcher_->worker().arm();
  const core::Time until = dispatcher_->next_deadline();
  armed_until_.store(until);
  is_armed_.store(may_sleep);
  give_turn();
  if (may_sleep) sleeper_.sleep_until(until);
  is_armed_.store(false);
  bell_.after_sleep();
}

}  // namespace nixl_connect::runtime
