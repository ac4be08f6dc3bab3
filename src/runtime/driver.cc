// SPDX-License-Identifier: Apache-2.0
#include "runtime/driver.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "nixl_connect/error.h"
#include "paths/cuda/pace.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"
#include "runtime/resources.h"

namespace nixl_connect::runtime {
namespace {

using std::chrono::microseconds;

// More of them take longer than the way to another thread and back.
constexpr std::size_t kSmallRanges = 16;
constexpr int kTurnsOfABegin = 8;

// How long a user's thread tries for the turn: an idle turn takes less.
constexpr core::Time kPatience = microseconds(3);
// With memory of a GPU: the CUDA thread may have the turn, and a message to hand out,
// for the operation before.
constexpr core::Time kPatienceWithGpus = microseconds(20);

// A thread that has had the turn comes back for the next operation within this time,
// or does something else.
constexpr core::Time kBetweenHelps = microseconds(5);

// In a burst each operation begins so soon after the end of the one before; messages
// are held for so long after that end.
constexpr core::Time kBurst = microseconds(20);
constexpr core::Time kHoldInBurst = microseconds(250);

// For how long a thread that waits stays awake, if a copy of a GPU is about to end: to
// both sides of when that is likely.
constexpr core::Time kAwakeForEnd = 2 * paths::cuda::kWakingTakes;

// How long to nap while others have the turn: twice as long each time, if that goes on.
// To spin instead, or to wake often, would slow down the thread that has it, where two
// share a core.
constexpr core::Time kShortestNap = microseconds(50);
constexpr core::Time kLongestNap = microseconds(400);

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

// Whether there is a GPU that copies, so that a turn is over soon.
bool is_for_gpu(const BeginRequest& request) {
  return request.state->memory().device().kind() == DeviceKind::kCuda;
}

// Whether it can come to its end at once: small, and no peer's Grant to wait for, or
// perhaps none. A view, whatever its size, may have the Grant of another one.
bool may_end_at_once(const BeginRequest& request) {
  const OperationState& state = *request.state;
  if (state.identity().is_view) return true;
  const auto& extension = request.agent->extension();
  const bool waits = state.identity().kind == OperationKind::kWrite && extension &&
                     !extension->allows_early_writes;
  return !waits && state.size() <= kInlineBytes &&
         state.memory().count() <= kSmallRanges;
}

}  // namespace

Driver::Driver(Resources& resources)
    : spin_(spin_time(resources.options)),
      dispatcher_(std::make_unique<Dispatcher>(
          resources, mailbox_, deliveries_,
          Dispatcher::Calls{
              [this] { wake(); },
              {[this](const auto& are_left) { gpu_copies_ended(are_left); },
               [this] { gpu_copy_nears_end(); }}})),
      sleeper_(bell_.fd(), resources.worker->event_fd(), dispatcher_->local_fd()),
      watch_(resources.worker->event_fd(), dispatcher_->local_fd()) {}

Driver::~Driver() = default;

void Driver::destroy_dispatcher() noexcept { dispatcher_.reset(); }

void Driver::begin(BeginRequest request) {
  const std::shared_ptr<OperationState> state = request.state;
  const core::Time last = last_help_.load(std::memory_order_relaxed);
  may_hold_until_.store(now() - last < kBurst ? last + kHoldInBurst : core::Time(0),
                        std::memory_order_relaxed);
  const bool is_gpus = is_for_gpu(request);
  const bool is_short = is_gpus || may_end_at_once(request);
  mailbox_.post(std::move(request));
  if (is_progress_thread()) return;
  if (!is_short || !take_turn_soon(is_gpus ? kPatienceWithGpus : kPatience))
    return ring();
  if (!is_gpus && dispatcher_->is_moving()) {
    give_turn();
    return ring();
  }
  serve(*state);
}

void Driver::serve(const OperationState& begun) noexcept {
  for (int turns = 0; turns < kTurnsOfABegin; ++turns)
    if (!dispatcher_->turn() || is_terminal(begun.status())) break;
  const bool is_served = is_terminal(begun.status());
  leave_turn(is_served, !is_served && dispatcher_->is_moving_by_turns());
}

void Driver::cancel(core::OperationId operation) noexcept {
  try {
    mailbox_.post(CancelRequest{operation});
    ring();
  } catch (const std::exception&) {
    // Closed or forked: see the contract. Out of memory: the deadline remains.
  }
}

void Driver::help(const OperationState& awaited, core::Time end) noexcept {
  if (is_terminal(awaited.status()) || !take_turn_soon(kPatience)) return;
  while (!take_turns(awaited, end) && !watch_.is_on())
    if (watch(awaited, end) && !take_turn_soon(kPatience)) return bell_.ring();
  // This thread goes to sleep, perhaps.
  const bool is_served = is_terminal(awaited.status());
  leave_turn(is_served, !is_served);
}

bool Driver::take_turns(const OperationState& awaited, core::Time end) noexcept {
  // What only a peer can end may take any time.
  const core::Time spin = awaited.identity().remote.empty() ? core::Time(0) : spin_;
  core::Time idle_since = now();
  while (!is_terminal(awaited.status()) && !dispatcher_->is_closing()) {
    const bool is_active = dispatcher_->turn();
    if (!is_active) look_for_ends();
    if (deliveries_.is_urgent()) bell_.ring();
    const core::Time current = dispatcher_->time();
    if (is_active) idle_since = current;
    if (current >= end) return true;
    const bool is_end_near =
        spin > core::Time(0) &&
        current < end_is_near_until_.load(std::memory_order_relaxed);
    if (!is_active && current - idle_since >= spin && !is_end_near) return false;
  }
  return true;
}

// A turn looks at much else, and takes longer.
void Driver::look_for_ends() const noexcept {
  constexpr int kLooks = 16;
  for (int look = 0; look < kLooks; ++look)
    if (dispatcher_->have_copies_ended() || mailbox_.has_mail()) return;
}

bool Driver::watch(const OperationState& awaited, core::Time end) noexcept {
  dispatcher_->finish_before_sleep();
  if (deliveries_.is_due()) bell_.ring();
  watch_.begin(awaited);
  const bool may_sleep = !mailbox_.has_mail() && dispatcher_->arm();
  if (may_sleep) {
    sleeper_.leave_sources();
    are_sources_left_ = true;
    const core::Time until = std::min(end, dispatcher_->next_deadline());
    give_turn();
    watch_.sleep_until(until);
  }
  watch_.end();
  return may_sleep;
}

void Driver::wake() noexcept {
  if (watch_.is_on())
    watch_.wake();
  else
    bell_.ring();
}

// Without the turn the dispatcher is not to be touched: it may be going.
void Driver::gpu_copies_ended(const std::atomic<bool>& are_left) noexcept {
  if (watch_.is_on()) return watch_.wake();
  const core::Time end = now() + kPatience;
  while (are_left.load()) {
    if (try_take_turn()) {
      dispatcher_->end_gpu_copies();
      return leave_turn(false,
                        dispatcher_->is_moving_by_turns() || mailbox_.has_mail());
    }
    if (now() >= end) return bell_.ring();
    relax_cpu();
  }
}

void Driver::gpu_copy_nears_end() noexcept {
  end_is_near_until_.store(now() + kAwakeForEnd);
  if (watch_.is_on()) watch_.wake();
}

void Driver::deliver(Delivery delivery) {
  if (!deliveries_.add(std::move(delivery)))
    throw Error(ErrorKind::kInvalidArgument, "the Connector is closed");
  bell_.ring();
}

bool Driver::take_turn_soon(core::Time patience) noexcept {
  if (try_take_turn()) return true;
  waiting_.fetch_add(1);
  const core::Time end = now() + patience;
  bool is_mine = false;
  while (!(is_mine = try_take_turn()) && now() < end) relax_cpu();
  waiting_.fetch_sub(1);
  return is_mine;
}

void Driver::leave_turn(bool is_served, bool is_urgent) noexcept {
  const core::Time current = dispatcher_->time();
  // Where operations follow each other closely, their messages leave together, or while
  // the next one is waited for.
  if (current >= may_hold_until_.load(std::memory_order_relaxed))
    dispatcher_->finish_before_leaving();
  if (is_served) last_help_.store(current, std::memory_order_relaxed);
  if (are_sources_left_ && !watch_.is_on() && is_armed_.load()) {
    are_sources_left_ = false;
    sleeper_.watch_sources();
  }
  const bool is_watched = is_armed_.load() && !dispatcher_->needs_turns() &&
                          !deliveries_.is_due() &&
                          dispatcher_->next_deadline() >= armed_until_.load();
  give_turn();
  if (deliveries_.is_urgent())
    bell_.ring();
  else if (!is_watched)
    is_urgent ? bell_.ring() : ring();
}

bool Driver::run() {
  thread_ = std::this_thread::get_id();
  core::Time nap_length = kShortestNap;
  while (true) {
    deliveries_.run();
    if (is_helped() || !try_take_turn()) {
      nap(nap_length);
      continue;
    }
    nap_length = kShortestNap;
    const bool is_active = dispatcher_->turn();
    if (dispatcher_->is_closed()) break;
    if (!is_active && now() - dispatcher_->last_activity() >= spin_) {
      sleep();
      continue;
    }
    give_turn();
    if (!is_active) relax_cpu();
    give_way();
  }
  deliveries_.shut();
  return dispatcher_->is_quiet();
}

// Others have the turn, or are likely to be back soon.
bool Driver::is_helped() const noexcept {
  return is_taken_.load(std::memory_order_relaxed) ||
         now() - last_help_.load(std::memory_order_relaxed) < kBetweenHelps;
}

// Lets a user's thread that is waiting for the turn have it.
void Driver::give_way() const noexcept {
  if (waiting_.load() == 0) return;
  const core::Time end = now() + kPatience;
  while (waiting_.load() > 0 && now() < end) relax_cpu();
}

void Driver::nap(core::Time& length) {
  bell_.before_sleep();
  is_napping_.store(true);
  if (!deliveries_.is_due()) sleeper_.sleep_until(now() + length);
  is_napping_.store(false);
  bell_.after_sleep();
  length = std::min(2 * length, kLongestNap);
}

// With the turn, which is given back before the sleep.
void Driver::sleep() {
  dispatcher_->finish_before_sleep();
  bell_.before_sleep();
  const bool may_sleep =
      !mailbox_.has_mail() && !deliveries_.is_due() && dispatcher_->arm();
  const core::Time until = dispatcher_->next_deadline();
  armed_until_.store(until);
  is_armed_.store(may_sleep);
  are_sources_left_ = watch_.is_on();
  if (may_sleep && !are_sources_left_) sleeper_.watch_sources();
  give_turn();
  if (may_sleep) sleeper_.sleep_until(until);
  is_armed_.store(false);
  bell_.after_sleep();
}

}  // namespace nixl_connect::runtime
