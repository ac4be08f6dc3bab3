// SPDX-License-Identifier: Apache-2.0
//
// Copies between GPUs, or to and from them, which a thread of their own carries out;
// and what of their memory goes by UCX, between this process and NIXL agents.
#include "nixl_connect/error.h"
#include "paths/cuda/copy_thread.h"
#include "paths/ucx/transfer.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"
#include "runtime/stream_order.h"
#include "wire/notification.h"

namespace nixl_connect::runtime {

using paths::cuda::CopyFailure;
using paths::cuda::DeviceCopy;

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
  if (!running.closed.paths.has(running.path)) {
    running.gpu_copy =
        gpu_paths_.copy(movement, peer, running.rules, running.state->bytes());
    if (running.gpu_copy) {
      add_gpu_copy(operation, running);
      return true;
    }
  }
  if (running.path == core::Path::kCudaStaged &&
      try_start_staged(operation, running, peer))
    return true;
  const GpuPaths::Files files = gpu_paths_.files_behind(movement);
  if (!files.chunks.empty() && !peer.is_in_this_process())
    running.closed.why_not_opened = fetches_.why_missing(
        peer, *running.agent->extension(), files.device, files.chunks);
  return false;
}

// The host's memory is not to be pinned as a whole. False if the peer's cannot be
// reached.
bool Dispatcher::try_start_staged(core::OperationId operation, Running& running,
                                  const Peer& peer) {
  running.closed.paths.add(core::Path::kCudaStaged);
  const Movement movement = movement_of(running);
  if (!GpuPaths::is_to_be_prepared(movement, peer.is_in_this_process()))
    return try_stage(operation, running, peer, {});
  running.gpu_copy = gpu_paths_.preparation(movement, peer, running.state->bytes());
  if (!running.gpu_copy) return false;
  add_gpu_copy(operation, running);
  return true;
}

void Dispatcher::add_gpu_copy(core::OperationId operation, Running& running) {
  // Threads that stage make what they need with their first pieces.
  if (const auto& waits = running.state->stream_waits();
      waits && !running.gpu_copy->only_prepares())
    running.gpu_copy->on_prepared([waits] { waits->allow(); });
  try {
    gpu_thread().add(operation, running.gpu_copy);
  } catch (...) {
    running.gpu_copy.reset();
    throw;
  }
}

// False if the peer's memory is out of reach.
bool Dispatcher::try_stage(core::OperationId operation, Running& running,
                           const Peer& peer, DeviceCopy::Prepared prepared) {
  const Movement movement = movement_of(running);
  running.copy = staged_copies_.copy(
      movement, peer, gpu_paths_.copying_gpu(movement, peer.is_in_this_process()),
      running.rules, std::move(prepared), running.state->bytes());
  if (!running.copy) return false;
  try {
    staged_copies_.add(operation, running.copy);
  } catch (...) {
    running.copy.reset();
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

// The memory of the GPU is open and ready.
void Dispatcher::stage_prepared(core::OperationId operation,
                                DeviceCopy::Prepared prepared) {
  Running& running = running_.at(operation);
  core::Failure failure{ErrorKind::kDisconnected,
                        "the peer is gone; ask it for new metadata"};
  try {
    const Peer* const peer = peers_.find(running.peer);
    if (peer != nullptr && try_stage(operation, running, *peer, std::move(prepared)))
      return;
  } catch (const Error& error) {
    failure = {error.kind(), error.what()};
  }
  peers_.see_if_left(running.peer);
  core_.transfer_ended(operation, std::move(failure), 0, {}, time_);
}

bool Dispatcher::have_gpu_copies_ended() const noexcept {
  return staged_copies_.has_ended() || (gpu_copies_ && gpu_copies_->has_ended());
}

bool Dispatcher::take_ended_gpu_copies() {
  if (!have_gpu_copies_ended()) return false;
  if (gpu_copies_) {
    gpu_copies_->take_ended(ended_copies_);
    for (const core::OperationId tag : ended_copies_)
      GpuFiles::is_mine(tag) ? gpu_file_opened(tag) : gpu_copy_ended(tag);
  }
  staged_copies_.take_ended(ended_copies_);
  for (const core::OperationId operation : ended_copies_) copy_ended(operation);
  carry_out_all();
  return true;
}

void Dispatcher::gpu_copy_ended(core::OperationId operation) {
  Running& running = running_.at(operation);
  const auto copy = std::move(running.gpu_copy);
  if (copy->only_prepares() && !copy->failure() && !copy->was_stopped())
    return stage_prepared(operation, copy->take_prepared());
  peers_.see_if_left(running.peer);
  if (copy->failure() && copy->failure()->cause == CopyFailure::Cause::kNotPinned &&
      !copy->was_stopped()) {
    running.closed.why_not_staged =
        std::make_shared<const std::string>(copy->failure()->message);
    return start_over(operation);
  }
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
  if (running.gpu_copy) running.gpu_copy->stop();
  stopped_gpu_copies_.emplace_back(time_ + resources_.options.drain_timeout, operation);
}

// A GPU that has not come to the end by now does not get there before the streams that
// wait for it: the driver may have the one wait for the other.
void Dispatcher::release_streams_of_stuck() {
  while (!stopped_gpu_copies_.empty() && stopped_gpu_copies_.front().first <= time_) {
    const auto found = running_.find(stopped_gpu_copies_.front().second);
    if (found != running_.end() && (found->second.gpu_copy || found->second.copy))
      found->second.state->release_streams();
    stopped_gpu_copies_.pop_front();
  }
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

// Once it is there.
void Dispatcher::adopt_gpu_worker() {
  if (gpu_worker_ != nullptr) return;
  gpu_worker_ = resources_.gpu_ucx.worker();
  if (gpu_worker_ != nullptr)
    gpu_worker_->on_message(
        wire::kNotificationMessageId,
        [this](base::BytesView payload) { notification_arrived(payload); });
}

bool Dispatcher::progress_gpu_worker() {
  if (gpu_worker_ == nullptr) return false;
  const bool did_progress = gpu_worker_->progress();
  return close_gpu_endpoints() || did_progress;
}

bool Dispatcher::close_gpu_endpoints() {
  if (gpu_closing_.is_empty()) return false;
  const bool are_others_copying =
      std::any_of(running_.begin(), running_.end(), [&](const auto& each) {
        return each.second.transfer && each.second.is_gpu_transfer &&
               peers_.find(each.second.peer) != nullptr;
      });
  if (are_others_copying && time_ < gpu_closing_.deadline()) return false;
  for (const core::OperationId operation : gpu_closing_.close_all()) start(operation);
  return true;
}

// A copy of a GPU whose context has failed never ends, and UCX does not tell: the peer
// was waited for in vain. Nothing can touch that memory any more.
void Dispatcher::end_poisoned_transfers(core::PeerId peer) {
  if (!is_under_way(peer, &Running::transfer)) return;
  const std::string why = resources_.gpu_ucx.why_failed();
  if (why.empty()) return;
  for (auto& [operation, running] : running_) {
    if (running.peer != peer || !running.transfer || !running.is_gpu_transfer) continue;
    running.transfer.reset();
    core_.transfer_ended(operation, core::Failure{ErrorKind::kInternal, "ucx: " + why},
                         0, {}, time_);
  }
  peers_.see_if_left(peer);
}

bool Dispatcher::arm_gpu_worker() {
  if (gpu_worker_ == nullptr) return resources_.gpu_ucx.worker() == nullptr;
  const GpuUcx::Current current(resources_.gpu_ucx);
  return gpu_worker_->arm();
}

// Without that UCX would take local memory of a GPU for the host's.
void Dispatcher::check_registered(const Running& running) {
  const OperationMemory& memory = running.state->memory();
  if (memory.device().kind() != DeviceKind::kCuda) return;
  for (std::size_t i = 0; i < memory.whole().size(); ++i)
    if (memory.whole()[i].size() > 0 &&
        (running.registrations.is_empty() || running.registrations[i] == nullptr))
      throw Error(ErrorKind::kUnsupported, "UCX cannot register memory of " +
                                               to_string(memory.device()) +
                                               "; the log says why");
}

// Keys are unpacked for the GPU whose context is current, which is that of the local
// memory.
void Dispatcher::start_gpu_ucx_transfer(core::OperationId operation, Running& running) {
  adopt_gpu_worker();
  Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr || gpu_worker_ == nullptr)
    throw Error(ErrorKind::kDisconnected,
                "peer " + running.agent->name() + " is gone; ask it for new metadata");
  check_registered(running);
  if (!gpu_closing_.is_empty()) return gpu_closing_.hold(operation);
  running.is_gpu_transfer = true;
  const Device device = running.state->memory().device();
  const GpuUcx::Current current = device.kind() == DeviceKind::kCuda
                                      ? GpuUcx::Current(resources_.gpu_ucx, device.id())
                                      : GpuUcx::Current(resources_.gpu_ucx);
  start_ucx_transfer(operation, running, peers_.gpu_endpoint(*peer, *gpu_worker_));
}

// What copies still use stays until they have ended.
void Dispatcher::forget_gpu_memory_of(core::PeerId id) {
  const Peer* const peer = peers_.find_even_lost(id);
  if (gpu_copies_ && peer != nullptr && peer->owner() && !is_met(*peer->owner(), id))
    gpu_copies_->drop(*peer->owner());
}

}  // namespace nixl_connect::runtime
