// SPDX-License-Identifier: Apache-2.0
//
// Runs the dispatcher, on one thread at a time: whoever has the turn. That is the
// progress thread by default; but a user's thread that begins something small, or
// waits, takes the turn if it is free and does the work itself, which saves the way to
// another thread and back. It gives the turn back when it has what it wanted, or there
// is nothing to do: then it sleeps in place of the progress thread (watch.h). While
// that goes on, the progress thread naps or sleeps, and looks now and then if anything
// was left to do.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "core/terms.h"
#include "runtime/bell.h"
#include "runtime/deliveries.h"
#include "runtime/mailbox.h"
#include "runtime/sleeper.h"
#include "runtime/watch.h"

namespace nixl_connect::runtime {

class Dispatcher;
class OperationState;
struct Resources;

// Outlives its dispatcher: operations have a share.
class Driver {
 public:
  explicit Driver(Resources& resources);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // For users, on any thread.

  Mailbox& mailbox() noexcept { return mailbox_; }
  bool is_progress_thread() const noexcept {
    return std::this_thread::get_id() == thread_.load(std::memory_order_relaxed);
  }

  // Posts the request and sees to it that it is taken up now. If the operation is small
  // and nothing else is under way, or a GPU copies for it, this thread carries it out,
  // as far as that goes without waiting for the peer. Throws what Mailbox::post()
  // throws.
  void begin(BeginRequest request);

  // Does nothing where Mailbox::post() would throw: the operation is terminal there, or
  // belongs to the parent process.
  void cancel(core::OperationId operation) noexcept;

  // Runs the dispatcher here, and sleeps where there is nothing to do, until the
  // operation is terminal or `end` has come; or until another thread has the turn, or
  // sleeps like this already. The rest of the time is the caller's to wait.
  void help(const OperationState& awaited, core::Time end) noexcept;

  // Has become terminal; whoever has the turn says so.
  void ended(const OperationState& operation) noexcept { watch_.ended(operation); }

  // Throws Error(kInvalidArgument) when the progress thread has ended.
  void deliver(Delivery delivery);

  // Has the mail taken up soon.
  void ring() noexcept {
    if (!is_napping_.load()) bell_.ring();
  }

  // From a thread that has work for whoever has the turn next.
  void wake() noexcept;

  // For the CUDA thread (CopyThread::Calls): it carries out the ends of its copies if
  // nobody has the turn, or sleeps to take it.
  void gpu_copies_ended(const std::atomic<bool>& are_left) noexcept;
  void gpu_copy_nears_end() noexcept;

  // For the progress thread.

  // Returns when a CloseRequest has been carried out, with the turn, which nobody gets
  // again. False if not everything became quiet: the dispatcher must then stay, and
  // with it all that its transfers may touch.
  bool run();
  void destroy_dispatcher() noexcept;

 private:
  bool try_take_turn() noexcept {
    return !is_taken_.load(std::memory_order_relaxed) && !is_taken_.exchange(true);
  }
  void give_turn() noexcept { is_taken_.store(false); }
  bool take_turn_soon(core::Time patience) noexcept;
  // True if that is over: the operation is terminal, `end` has come, or the Connector
  // is closing. Else there is nothing to do just now.
  bool take_turns(const OperationState& awaited, core::Time end) noexcept;
  void look_for_ends() const noexcept;
  // False, with the turn, if there is something to do after all.
  bool watch(const OperationState& awaited, core::Time end) noexcept;
  void serve(const OperationState& begun) noexcept;
  // Tells the progress thread of what is left to do, unless it watches for it already:
  // if it naps, only what is urgent. `is_served`: the thread has got what it wanted.
  void leave_turn(bool is_served, bool is_urgent) noexcept;

  bool is_helped() const noexcept;
  void give_way() const noexcept;
  void nap(core::Time& length);
  void sleep();

  const core::Time spin_;
  Bell bell_;
  Mailbox mailbox_;
  Deliveries deliveries_;
  std::atomic<std::thread::id> thread_{};

  std::atomic<bool> is_taken_{false};
  // Used by whoever has the turn.
  std::unique_ptr<Dispatcher> dispatcher_;
  bool are_sources_left_ = false;  // by the progress thread, to watch_

  std::atomic<int> waiting_{0};  // users' threads that would like the turn
  std::atomic<core::Time> last_help_{core::Time(0)};
  // A copy of a GPU is likely to end before: who waits stays awake.
  std::atomic<core::Time> end_is_near_until_{core::Time(0)};
  // Until then messages that nobody waits for may be held back. A guess, if several
  // threads begin operations.
  std::atomic<core::Time> may_hold_until_{core::Time(0)};
  // The progress thread naps, and will look for work soon.
  std::atomic<bool> is_napping_{false};
  // It sleeps, until UCX has an event or that time has come, or leaves that to watch_.
  std::atomic<bool> is_armed_{false};
  std::atomic<core::Time> armed_until_{core::kNever};

  Sleeper sleeper_;
  Watch watch_;
};

}  // namespace nixl_connect::runtime
