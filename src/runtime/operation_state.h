// SPDX-License-Identifier: Apache-2.0
//
// What an operation's user and the dispatcher share. Users wait and look, on any
// thread; the dispatcher reports, and alone brings the terminal status.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/commands.h"
#include "core/plan.h"
#include "nixl_connect/operation.h"
#include "runtime/exposed_metadata.h"
#include "runtime/operation_memory.h"

namespace nixl_connect::runtime {

class Driver;
class StreamWaits;
struct View;

class OperationState {
 public:
  using Callback = std::function<void(OperationStatus)>;

  struct Identity {
    core::OperationId id = 0;
    OperationKind kind = OperationKind::kUnspecified;
    std::string notification_key;
    std::string remote;  // the peer's NIXL agent name; empty on the exposing side
    bool stays_open = false;
    bool is_view = false;
  };

  // `view_size`: bytes of what a view shows, which has no descriptors.
  OperationState(Identity identity, std::span<const Descriptor> descriptors,
                 std::shared_ptr<Driver> driver, std::uint64_t view_size = 0);
  OperationState(Identity identity, const Pages& pages, std::shared_ptr<Driver> driver);
  OperationState(const OperationState&) = delete;
  OperationState& operator=(const OperationState&) = delete;
  ~OperationState();

  const Identity& identity() const noexcept { return identity_; }
  const OperationMemory& memory() const noexcept { return memory_; }
  // All bytes of it.
  std::uint64_t size() const noexcept { return size_; }
  // What it does, for the text of an Error: "reading 64 bytes from peer x".
  std::string description() const;

  // Exposing side: what metadata() is made of. Set once, before the state is shared.
  void set_exposed(wire::AgentMetadata agent, Readiness readiness) {
    exposed_.emplace(std::move(agent), std::move(readiness));
  }
  RdmaMetadata metadata(bool hex_encode);

  // On memory of a GPU: for wait_on(). Set once, before the state is shared.
  void set_stream_waits(std::shared_ptr<StreamWaits> waits);

  // For users; the contracts are those of Operation and ViewOperation.
  OperationStatus status() const noexcept {
    return status_.load(std::memory_order_acquire);
  }
  OperationStatus wait();
  bool wait_for(std::chrono::nanoseconds duration);
  void on_complete(Callback callback);
  void on_complete_anywhere(Callback callback);
  void on_quiet(Callback callback);
  bool is_quiet() const noexcept { return is_quiet_.load(std::memory_order_acquire); }
  void wait_on(const CudaStream& stream);
  void cancel() noexcept;
  std::uint64_t bytes_transferred() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }
  std::string path() const;
  Plan explain() const;
  bool is_revoked() const noexcept {
    return is_revoked_.load(std::memory_order_acquire);
  }
  void on_revoked(Callback callback);
  // For users only once it is COMPLETE.
  const std::shared_ptr<const View>& view() const noexcept { return view_; }

  // For the dispatcher.
  const std::shared_ptr<Driver>& driver() const noexcept { return driver_; }
  // Null: not on memory of a GPU.
  const std::shared_ptr<StreamWaits>& stream_waits() const noexcept {
    return stream_waits_;
  }
  // The streams that wait for the end wait no more.
  void release_streams() noexcept;
  std::atomic<std::uint64_t>& bytes() noexcept { return bytes_; }
  void began() noexcept;
  void set_path(const std::string& path);
  void set_plan(const core::Choice& choice, const core::PathRules& rules);
  // Of a view, at most once, before succeed(): what it shows then.
  void set_view(std::shared_ptr<const View> view) { view_ = std::move(view); }
  // Each of these three gives the callbacks that are due now.
  // At most once, before finish(): COMPLETE, while the memory is still in use.
  std::vector<Callback> succeed();
  // Any number of times, before finish(): the exposing side wants its memory back.
  std::vector<Callback> revoke();
  // Once: nothing touches the memory any more. `outcome` counts unless it succeeded.
  std::vector<Callback> finish(const core::Outcome& outcome);

  // Once each: the dispatcher, done with the state, leaves its share in it, and the
  // user drops the operation. The later of the two gets the share. So the last one,
  // with which the owners of the memory go, never ends inside a turn.
  std::shared_ptr<OperationState> leave(std::shared_ptr<OperationState> share) noexcept;
  std::shared_ptr<OperationState> drop() noexcept;

 private:
  struct Planned {
    core::Choice choice;
    core::PathRules rules;
  };

  void check_may_wait() const;
  void tell_end(std::span<const Callback> at_once) noexcept;
  void throw_failure() const;  // if there is one; under mutex_
  void call_when(const std::function<bool()>& is_due, std::vector<Callback>& waiting,
                 Callback callback);
  bool keep_until(const std::function<bool()>& is_due, std::vector<Callback>& waiting,
                  Callback& callback);

  // Constant once shared.
  const Identity identity_;
  const OperationMemory memory_;
  const std::uint64_t size_;
  const std::shared_ptr<Driver> driver_;
  std::optional<ExposedMetadata> exposed_;
  std::shared_ptr<StreamWaits> stream_waits_;  // null: not on memory of a GPU

  std::atomic<bool> is_left_{false};
  std::shared_ptr<OperationState> left_share_;  // by whoever is first at is_left_

  // Written by the dispatcher only; the terminal status under mutex_.
  std::atomic<OperationStatus> status_{OperationStatus::kInitialized};
  std::atomic<std::uint64_t> bytes_{0};
  std::shared_ptr<const View> view_;     // before the terminal status
  std::atomic<bool> is_quiet_{false};    // set under mutex_
  std::atomic<bool> is_revoked_{false};  // the same

  mutable std::mutex mutex_;
  std::condition_variable finished_;
  // Guarded by mutex_; failure_ is constant once the status is terminal.
  std::optional<Error> failure_;
  std::string path_;
  std::optional<Planned> planned_;  // initiating side
  std::vector<Callback> any_thread_callbacks_;
  std::vector<Callback> callbacks_;
  std::vector<Callback> quiet_callbacks_;
  std::vector<Callback> revoked_callbacks_;
};

}  // namespace nixl_connect::runtime
