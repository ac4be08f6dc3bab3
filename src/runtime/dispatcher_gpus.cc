// SPDX-License-Identifier: Apache-2.0
//
// Copies between GPUs, or to and from them, which a thread of their own carries out.
#include "paths/cuda/copy_thread.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

using paths::cuda::CopyFailure;

// Its memory of the peer comes as files, which are on their way or open: then it is
// started when it holds them all.
bool Dispatcher::is_held_for_gpu(core::OperationId operation, const Running& running,
                                 const Peer& peer) {
  if (peer.is_in_this_process()) return false;
  const GpuPaths::Files files = gpu_paths_.files_behind(movement_of(running));
  return !files.chunks.empty() &&
         fetches_.hold(operation, peer, *running.agent->extension(), files.device,
                       files.chunks, time_);
}

// False if the bytes cannot go by this path.
bool Dispatcher::try_start_gpu_copy(core::OperationId operation, Running& running,
                                    Peer& peer) {
  if (resources_.gpus.driver() == nullptr) return false;
  const Movement movement = movement_of(running);
  running.gpu_copy =
      gpu_paths_.copy(movement, peer, running.rules, running.state->bytes());
  if (!running.gpu_copy) {
    const GpuPaths::Files files = gpu_paths_.files_behind(movement);
    if (!files.chunks.empty() && !peer.is_in_this_process())
      running.closed.why_not_opened = fetches_.why_missing(
          peer, *running.agent->extension(), files.device, files.chunks);
    return false;
  }
  try {
    gpu_thread().add(operation, running.gpu_copy);
  } catch (...) {
    running.gpu_copy.reset();
    throw;
  }
  return true;
}

paths::cuda::CopyThread& Dispatcher::gpu_thread() {
  if (!gpu_copies_)
    gpu_copies_ =
        std::make_unique<paths::cuda::CopyThread>(*resources_.gpus.driver(), wake_);
  return *gpu_copies_;
}

bool Dispatcher::have_gpu_copies_ended() const noexcept {
  return gpu_copies_ && gpu_copies_->has_ended();
}

bool Dispatcher::take_ended_gpu_copies() {
  if (!have_gpu_copies_ended()) return false;
  gpu_copies_->take_ended(ended_copies_);
  for (const core::OperationId tag : ended_copies_)
    GpuFiles::is_mine(tag) ? gpu_file_opened(tag) : gpu_copy_ended(tag);
  carry_out_all();
  return true;
}

void Dispatcher::gpu_copy_ended(core::OperationId operation) {
  Running& running = running_.at(operation);
  const auto copy = std::move(running.gpu_copy);
  peers_.see_if_left(running.peer);
  if (copy->failure() && copy->failure()->cause == CopyFailure::Cause::kNotPinned &&
      !copy->was_stopped())
    return go_without_staging(operation, copy->failure()->message);
  std::string path(core::name_of(running.path));
  running.state->set_path(path);
  running.is_lease_checked = copy->holds_exposure();
  std::optional<core::Failure> failure;
  if (copy->failure())
    failure = {copy->failure()->kind, path + ": " + copy->failure()->message};
  else if (!copy->is_complete())
    failure = {ErrorKind::kCancelled, "stopped"};
  core_.transfer_ended(operation, std::move(failure), copy->bytes_moved(),
                       std::move(path), time_);
}

void Dispatcher::stop_gpu_copy(core::OperationId operation, const Running& running) {
  running.gpu_copy->stop();
  stopped_gpu_copies_.emplace_back(time_ + resources_.options.drain_timeout, operation);
}

// A GPU that has not come to the end by now does not get there before the streams that
// wait for it: the driver may have the one wait for the other.
void Dispatcher::release_streams_of_stuck() {
  while (!stopped_gpu_copies_.empty() && stopped_gpu_copies_.front().first <= time_) {
    const auto found = running_.find(stopped_gpu_copies_.front().second);
    if (found != running_.end() && found->second.gpu_copy)
      found->second.state->release_streams();
    stopped_gpu_copies_.pop_front();
  }
}

// Nothing has been moved yet.
void Dispatcher::go_without_staging(core::OperationId operation,
                                    const std::string& why_not) {
  Running& running = running_.at(operation);
  running.closed.paths.add(running.path);
  running.closed.why_not_staged = std::make_shared<const std::string>(why_not);
  try {
    choose_again(running);
  } catch (const Error& error) {
    return core_.transfer_ended(operation, core::Failure{error.kind(), error.what()}, 0,
                                {}, time_);
  }
  carry_out(core::StartTransfer{operation});
}

void Dispatcher::gpu_file_opened(core::OperationId tag) {
  const wire::ProcessId owner = gpu_files_.ended(tag, time_);
  // Of a process that went meanwhile.
  if (!is_met(owner, 0)) gpu_copies_->drop(owner);
}

// By a peer that is not lost, other than that one.
bool Dispatcher::is_met(const wire::ProcessId& process, core::PeerId but) {
  bool is_any = false;
  peers_.for_each([&](const Peer& peer) {
    if (peer.id != but && !peer.is_lost && peer.owner() == process) is_any = true;
  });
  return is_any;
}

// What copies still use stays until they have ended.
void Dispatcher::forget_gpu_memory_of(core::PeerId id) {
  const Peer* const peer = peers_.find_even_lost(id);
  if (gpu_copies_ && peer != nullptr && peer->owner() && !is_met(*peer->owner(), id))
    gpu_copies_->drop(*peer->owner());
}

}  // namespace nixl_connect::runtime
