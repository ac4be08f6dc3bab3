// SPDX-License-Identifier: Apache-2.0
//
// Joins the core to the paths: users' requests, peers' messages and ended transfers go
// into the core, and the core's commands are carried out. Used by one thread at a time,
// the one that has the turn (driver.h).
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/engine.h"
#include "paths/cuda/copy_thread.h"
#include "paths/host/copy_pool.h"
#include "paths/ucx/worker.h"
#include "runtime/asked_keys.h"
#include "runtime/deliveries.h"
#include "runtime/fetches.h"
#include "runtime/gpu_closing.h"
#include "runtime/gpu_files.h"
#include "runtime/gpu_paths.h"
#include "runtime/host_paths.h"
#include "runtime/lease_checks.h"
#include "runtime/local_channels.h"
#include "runtime/mailbox.h"
#include "runtime/outbox.h"
#include "runtime/peers.h"
#include "runtime/resources.h"
#include "runtime/running.h"
#include "runtime/served_operations.h"
#include "runtime/servings.h"
#include "runtime/staged_copies.h"
#include "runtime/tracing_permission.h"

namespace nixl_connect::runtime {

// A transfer within one host of at most so many bytes is carried out by the thread that
// begins it: handing it to another thread would take at least half as long.
constexpr std::uint64_t kInlineBytes = 256 << 10;

class Dispatcher {
 public:
  // Called by other threads.
  struct Calls {
    std::function<void()> wake;  // a turn has become due
    paths::cuda::CopyThread::Calls gpus;
  };

  Dispatcher(Resources& resources, Mailbox& mailbox, Deliveries& deliveries,
             Calls calls);
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Takes the mail, progresses UCX and carries out what follows. True if anything
  // happened.
  bool turn();

  // Carries out the ends of copies by GPUs, and nothing else that a turn does.
  void end_gpu_copies();

  // The clock, as it was last read in a turn. With the turn.
  core::Time time() const noexcept { return time_; }

  // When turn() last found something to do that is likely to be followed by more.
  core::Time last_activity() const noexcept { return last_activity_; }

  // Hands out the messages that were held back.
  void finish_before_sleep() { outbox_.send_all(); }

  core::Time next_deadline() const {
    const core::Time of_stopped =
        stopped_gpu_copies_.empty() ? core::kNever : stopped_gpu_copies_.front().first;
    const core::Time of_asks = held_asks_.empty() ? core::kNever : next_look_at_asks_;
    return std::min({core_.next_deadline(), close_deadline_, fetches_.next_deadline(),
                     gpu_closing_.deadline(), of_stopped, of_asks});
  }
  // Transfers are under way, so that a turn may take long.
  bool is_moving() const noexcept { return initiating_ > 0; }

  // Readable when a peer of this host wants a turn; -1 if there is no such thing.
  int local_fd() const noexcept { return channels_ ? channels_->event_fd() : -1; }

  // Messages that cost little to hand out now.
  void finish_before_leaving() { outbox_.send_local(); }

  // Another thread has brought a copy to its end, which a turn will find.
  bool have_copies_ended() const noexcept {
    return copies_.has_ended() || have_gpu_copies_ended();
  }

  // Nothing is left to do, and UCX's event, a local one or `wake` will tell of more.
  bool arm() {
    return !have_copies_ended() && !(channels_ && channels_->is_due()) &&
           worker_.arm() && arm_gpu_workers();
  }

  // The same, but for what threads of GPUs do by themselves.
  bool is_moving_by_turns() const noexcept { return initiating_ > by_gpu_threads_; }

  // Some of what is to be done comes with further turns only; no event will ask for it.
  bool needs_turns() noexcept {
    return is_moving_by_turns() || !outbox_.is_empty() || is_closing_ || !arm();
  }
  bool is_closing() const noexcept { return is_closing_; }

  // A CloseRequest has been carried out.
  bool is_closed() const noexcept {
    return gave_up_ || (did_take_leave_ && is_quiet());
  }

  // False after is_closed(): some requests did not end within the limit. What they may
  // still touch must then be left alive for good.
  bool is_quiet() const noexcept {
    return running_.empty() && lease_checks_.is_empty() && leaving_ == 0 &&
           (!channels_ || channels_->is_empty());
  }

 private:
  // Whether an operation with that peer is under way by one of these means.
  template <typename Means>
  bool is_under_way(core::PeerId peer, Means Running::*by) const noexcept {
    return std::any_of(running_.begin(), running_.end(), [&](const auto& each) {
      return each.second.peer == peer && each.second.*by != nullptr;
    });
  }

  // Even if the connection is lost.
  bool uses_memory_of(core::PeerId peer) const noexcept {
    return is_under_way(peer, &Running::copy) || is_under_way(peer, &Running::view) ||
           is_under_way(peer, &Running::gpu_copy) ||
           is_under_way(peer, &Running::transfer);
  }

  bool take_mail();
  const GpuUcx& opened_gpu_ucx() const noexcept;
  void adopt_gpu_workers();
  bool progress_gpu_workers();
  bool close_gpu_endpoints();
  void end_poisoned_transfers(core::PeerId peer);
  bool arm_gpu_workers();

  // Requests.
  void handle(ExposeRequest& request);
  void handle(BeginRequest& request);
  void handle(ExplainRequest& request);
  void refuse(BeginRequest& request, core::Failure failure);
  void handle(CancelRequest& request);
  void handle(CloseRequest& request);

  // Commands.
  void carry_out(const core::StartTransfer& command);
  void carry_out(const core::StopTransfer& command);
  void carry_out(const core::CheckLease& command);
  void carry_out(const core::EndLease& command);
  void carry_out(const core::LookAtLease& command);
  void carry_out(const core::Notify& command);
  void carry_out(const core::Send& command);
  void carry_out(const core::DropPeer& command);
  void carry_out(const core::Succeed& command);
  void carry_out(const core::Recall& command);
  void carry_out(core::Finish& command);
  void carry_out(const core::Progress& command);
  void carry_out_all();

  // Messages. `channel` is null for what came by UCX.
  void control_arrived(LocalChannel* channel, base::BytesView payload,
                       base::UniqueFd file) noexcept;
  void notification_arrived(base::BytesView payload) noexcept;
  void handle_control(LocalChannel* channel, base::BytesView encoded,
                      base::UniqueFd& file) noexcept;
  void receive(LocalChannel* channel, const wire::ControlMessage& message,
               base::UniqueFd& file);
  void receive(LocalChannel* channel, const wire::InstanceId& sender,
               const wire::Hello& hello);
  void answer(LocalChannel& channel, const wire::Fetch& fetch);
  void answer_rest(LocalChannel& channel);
  bool hand_over(LocalChannel& channel, const wire::Fetch& fetch);
  base::UniqueFd file_for(const wire::Fetch& fetch);
  void refuse(LocalChannel& channel, const wire::Fetch& fetch);
  void channel_ended(LocalChannel& channel);
  bool listen_to_local_peers();

  bool is_in_use(const Running& exposed) const;
  bool is_held(core::OperationId operation, const Running& running);
  bool is_held_for_gpu(core::OperationId operation, const Running& running,
                       const Peer& peer);
  void start(core::OperationId operation);
  void start_ready();
  void finish_what_was_held();
  void start_transfer(core::OperationId operation, Running& running);
  bool plan(BeginRequest& request, Peer& peer);
  bool is_gone(const Movement& movement, const Peer& peer) const;
  bool has_closed_to_us(const wire::InstanceId& instance) const;
  void choose_again(Running& running);
  void settle(OperationState& state, Peer& peer, const core::Choice& choice,
              const core::PathRules& rules) const;
  static Movement movement_of(const Running& running);
  bool try_start_copy(core::OperationId operation, Running& running);
  bool map_for_view(BeginRequest& request, Peer& peer);
  bool help_copies();
  bool have_gpu_copies_ended() const noexcept;
  bool try_start_gpu_copy(core::OperationId operation, Running& running, Peer& peer);
  void add_gpu_copy(core::OperationId operation, Running& running);
  paths::cuda::CopyThread& gpu_thread();
  bool try_start_staged(core::OperationId operation, Running& running,
                        const Peer& peer);
  bool try_stage(core::OperationId operation, Running& running, const Peer& peer,
                 paths::cuda::DeviceCopy::Prepared prepared);
  void stage_prepared(core::OperationId operation,
                      paths::cuda::DeviceCopy::Prepared prepared);
  bool take_ended_gpu_copies();
  void gpu_copy_ended(core::OperationId operation);
  bool has_process_gone(core::PeerId peer);
  void stop_gpu_copy(core::OperationId operation, const Running& running);
  void release_streams_of_stuck();
  void gpu_file_opened(core::OperationId tag);
  bool is_met(const wire::ProcessId& process, core::PeerId but);
  void forget_gpu_memory_of(core::PeerId peer);
  void copy_ended(core::OperationId operation);
  void start_over(core::OperationId operation);
  void transfer_ended(core::OperationId operation, paths::ucx::TransferResult end);
  void finish(std::shared_ptr<OperationState> state, const core::Outcome& outcome);
  paths::ucx::Endpoint& endpoint(const Running& running);
  void start_ucx_transfer(core::OperationId operation, Running& running,
                          paths::ucx::Endpoint& to);
  static void check_registered(const Running& running);
  bool is_held_for_stream(core::OperationId operation, Running& running);
  void start_gpu_ucx_transfer(core::OperationId operation, Running& running);
  bool asks_for_keys(core::OperationId operation, const Running& running);
  void start_with_keys();
  Running* find_exposed(core::LeaseId lease, std::uint64_t token);
  void answer(core::PeerId peer, const wire::AskKeys& asked);
  void answer_held_asks();
  std::optional<wire::Keys> keys_for(const wire::AskKeys& asked);
  ServedOperations::Handlers served_handlers();
  void start_served(core::OperationId operation, const Running& running);
  void ask_to_serve(core::OperationId number, const ServedPart& part);
  wire::Extension expose_to_peer(core::OperationId number, const ServedPart& part,
                                 const wire::LeaseRecord& lease);
  void send_serve(core::OperationId number, const ServedPart& part,
                  const wire::Extension& extension);
  void not_served(core::PeerId peer, const wire::NotServed& answer);
  void exposure_ended(core::OperationId number, const core::Outcome& outcome);
  void copy_of_slot(core::OperationId number, ServedPart& part);
  void copy_of_slot_ended(core::OperationId number);
  void served_ended(core::OperationId operation, const ServedOperation& served);
  void receive(const Peer& peer, const wire::Serve& message);
  void serve_or_refuse(const Peer& peer, const wire::Serve& asked);
  void serve(const Peer& peer, const wire::Serve& asked);
  void serving_ended(core::OperationId operation);
  void answer(core::PeerId peer, const wire::NotServed& message);
  Peer& connect(const BeginRequest& request);
  Peer& connect(const RemoteAgent& agent);
  void greet(Peer& peer, const wire::Extension& extension);

  void take_leave();
  void give_up();

  Resources& resources_;
  Mailbox& mailbox_;
  Deliveries& deliveries_;
  paths::ucx::Worker& worker_;
  // For memory of GPUs; of a worker: null until it is there.
  struct GpuWorker {
    GpuUcx& ucx;
    paths::ucx::Worker* worker = nullptr;
  };
  std::array<GpuWorker, 2> gpu_workers_;
  GpuClosing gpu_closing_;
  core::Engine core_;
  LeaseChecks lease_checks_;
  const std::unique_ptr<LocalChannels> channels_;  // null: there are none
  TracingPermission tracing_permission_;
  Peers peers_;
  Outbox outbox_;
  std::unique_ptr<paths::cuda::CopyThread> gpu_copies_;  // null until the first
  GpuFiles gpu_files_;
  Fetches fetches_;
  AskedKeys asked_keys_;
  GpuPaths gpu_paths_;
  const HostPaths host_paths_;
  const Calls calls_;
  paths::host::CopyPool copies_;
  // Those that were told to stop, the oldest first, and until when they may go on
  // before streams are let go that wait for them.
  std::deque<std::pair<core::Time, core::OperationId>> stopped_gpu_copies_;
  StagedCopies staged_copies_;
  ServedOperations served_;
  Servings servings_;
  std::unordered_map<core::OperationId, Running> running_;
  // Of those whose memory of a GPU comes as files.
  std::unordered_map<core::LeaseId, core::OperationId> gpu_leases_;
  // Of peers that ask for keys of memory which is still to get ready.
  std::vector<std::pair<core::PeerId, wire::AskKeys>> held_asks_;
  core::Time next_look_at_asks_{0};
  core::Time time_ = now();  // about, for everything that happens in one turn
  core::Time last_activity_ = time_;
  core::Time last_look_{0};                    // at the local channels
  std::deque<wire::InstanceId> closed_to_us_;  // the latest whose channels were
  bool heard_message_ = false;                 // in this turn
  bool was_cut_short_ = false;                 // the last turn that found such ends
  std::size_t initiating_ = 0;                 // of running_, but for open views
  std::size_t by_gpu_threads_ = 0;             // of these
  std::vector<core::Command> commands_;        // empty between turns; keeps its storage
  std::vector<Request> requests_;              // empty between turns; keeps its storage
  std::vector<core::OperationId> ended_copies_;  // the same
  // Of operations whose memory a GPU of this process still has.
  std::vector<core::Finish> held_finishes_;

  // Closing: first the operations end, then the last messages to peers leave. What
  // takes too long is cut off at the deadline.
  core::Time close_deadline_ = core::kNever;
  bool is_closing_ = false;
  bool did_take_leave_ = false;
  std::size_t leaving_ = 0;  // endpoints with messages on their way
  bool did_drop_all_ = false;
  bool gave_up_ = false;
};

}  // namespace nixl_connect::runtime
