// SPDX-License-Identifier: Apache-2.0
//
// Copies between GPUs, or to and from them, which a thread of their own carries out;
// and what of their memory goes by UCX.
#include "base/exiting.h"
#include "nixl_connect/error.h"
#include "paths/cuda/copy_thread.h"
#include "paths/cuda/stream_points.h"
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
  ++by_gpu_threads_;
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
  ++by_gpu_threads_;
  return true;
}

paths::cuda::CopyThread& Dispatcher::gpu_thread() {
  if (!gpu_copies_)
    gpu_copies_ = std::make_unique<paths::cuda::CopyThread>(*resources_.gpus.driver(),
                                                            calls_.gpus);
  return *gpu_copies_;
}

// The memory of the GPU is open and ready.
void Dispatcher::stage_prepared(core::OperationId operation,
                                DeviceCopy::Prepared prepared) {
  Running& running = running_.at(operation);
  core::Failure failure{ErrorKind::kDisconnected, kPeerIsGone};
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

void Dispatcher::end_gpu_copies() {
  const GpuUcx::Current current(opened_gpu_ucx());
  time_ = now();
  if (take_ended_gpu_copies()) last_activity_ = time_;
}

bool Dispatcher::take_ended_gpu_copies() {
  if (!have_gpu_copies_ended()) return false;
  if (gpu_copies_) {
    gpu_copies_->take_ended(ended_copies_);
    for (const core::OperationId tag : ended_copies_) {
      if (GpuFiles::is_mine(tag))
        gpu_file_opened(tag);
      else if (ServedOperations::is_mine(tag))
        copy_of_slot_ended(tag);
      else
        gpu_copy_ended(tag);
    }
  }
  staged_copies_.take_ended(ended_copies_);
  for (const core::OperationId operation : ended_copies_) copy_ended(operation);
  carry_out_all();
  return true;
}

void Dispatcher::gpu_copy_ended(core::OperationId operation) {
  Running& running = running_.at(operation);
  const auto copy = std::move(running.gpu_copy);
  --by_gpu_threads_;
  if (copy->only_prepares() && !copy->failure() && !copy->was_stopped())
    return running.path == core::Path::kUcx
               ? start(operation)
               : stage_prepared(operation, copy->take_prepared());
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
  if (const auto& found = copy->failure()) {
    const bool is_of_the_end = found->cause == CopyFailure::Cause::kNotOpened &&
                               has_process_gone(running.peer);
    if (is_of_the_end)
      failure = {ErrorKind::kDisconnected, path + ": " + kProcessIsGone};
    else
      failure = {found->kind, path + ": " + found->message};
  }
  if (!failure && !copy->is_complete()) failure = {ErrorKind::kCancelled, "stopped"};
  core_.transfer_ended(operation, std::move(failure), copy->bytes_moved(),
                       std::move(path), time_);
}

// Whether it has been noticed already or not.
bool Dispatcher::has_process_gone(core::PeerId peer) {
  const Peer* const found = peers_.find(peer);
  return found == nullptr ||
         (found->pid() && base::has_gone(static_cast<pid_t>(*found->pid())));
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
    if (found != running_.end() &&
        (found->second.gpu_copy || found->second.copy || served_.has(found->first)))
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

// Whose CUDA context serves both; any if neither is open.
const GpuUcx& Dispatcher::opened_gpu_ucx() const noexcept {
  return resources_.gpu_ucx.worker() != nullptr ? resources_.gpu_ucx
                                                : resources_.gpu_ucx_of_ours;
}

// Those that are there by now. At the beginning of a turn, which has a context of CUDA
// current from then on.
void Dispatcher::adopt_gpu_workers() {
  for (GpuWorker& each : gpu_workers_) {
    if (each.worker != nullptr) continue;
    each.worker = each.ucx.worker();
    if (each.worker != nullptr)
      each.worker->on_message(
          wire::kNotificationMessageId,
          [this](base::BytesView payload) { notification_arrived(payload); });
  }
}

bool Dispatcher::progress_gpu_workers() {
  bool did_progress = false;
  for (const GpuWorker& each : gpu_workers_)
    if (each.worker != nullptr && each.worker->progress()) did_progress = true;
  return close_gpu_endpoints() || did_progress;
}

bool Dispatcher::close_gpu_endpoints() {
  if (gpu_closing_.is_empty()) return false;
  const bool are_others_copying =
      std::any_of(running_.begin(), running_.end(), [&](const auto& each) {
        return each.second.transfer && each.second.by_gpu_ucx != nullptr &&
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
  const std::string why = opened_gpu_ucx().why_failed();
  if (why.empty()) return;
  for (auto& [operation, running] : running_) {
    if (running.peer != peer || !running.transfer || running.by_gpu_ucx == nullptr)
      continue;
    running.transfer.reset();
    core_.transfer_ended(operation, core::Failure{ErrorKind::kInternal, "ucx: " + why},
                         0, {}, time_);
  }
  peers_.see_if_left(peer);
}

bool Dispatcher::arm_gpu_workers() {
  const auto is_armed = [](const GpuWorker& each) {
    if (each.worker == nullptr) return each.ucx.worker() == nullptr;
    const GpuUcx::Current current(each.ucx);
    return each.worker->arm();
  };
  return std::all_of(gpu_workers_.begin(), gpu_workers_.end(), is_armed);
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
  const bool is_of_ours = running.agent->extension().has_value();
  GpuUcx& ucx = is_of_ours ? resources_.gpu_ucx_of_ours : resources_.gpu_ucx;
  Peer* const peer = peers_.find(running.peer);
  if (peer == nullptr || ucx.worker() == nullptr)
    throw Error(ErrorKind::kDisconnected,
                "peer " + running.agent->name() + " is gone; ask it for new metadata");
  const OperationMemory& memory = running.state->memory();
  const bool is_local_of_gpu = memory.device().kind() == DeviceKind::kCuda;
  if (is_of_ours && is_local_of_gpu && running.registrations.is_empty())
    running.registrations = resources_.registrations.acquire(memory.whole(), ucx);
  check_registered(running);
  if (is_held_for_stream(operation, running)) return;
  if (!gpu_closing_.is_empty()) return gpu_closing_.hold(operation);
  running.by_gpu_ucx = &ucx;
  const GpuUcx::Current current = is_local_of_gpu
                                      ? GpuUcx::Current(ucx, memory.device().id())
                                      : GpuUcx::Current(ucx);
  const base::Bytes& address =
      running.keys ? running.keys->connection() : running.agent->connection_of_keys();
  start_ucx_transfer(operation, running,
                     peers_.gpu_endpoint(*peer, *ucx.worker(), address));
}

// UCX knows no streams: the CUDA thread waits for that of the local memory before, and
// the operation is started again.
bool Dispatcher::is_held_for_stream(core::OperationId operation, Running& running) {
  auto after = std::exchange(running.after, nullptr);
  if (!after || after->has_come()) return false;
  paths::cuda::CopyWork work;
  work.only_prepares = true;
  work.device = running.state->memory().device().id();
  work.after.push_back(std::move(after));
  running.gpu_copy =
      std::make_shared<DeviceCopy>(std::move(work), running.state->bytes());
  add_gpu_copy(operation, running);
  return true;
}

// What copies still use stays until they have ended.
void Dispatcher::forget_gpu_memory_of(core::PeerId id) {
  const Peer* const peer = peers_.find_even_lost(id);
  if (gpu_copies_ && peer != nullptr && peer->owner() && !is_met(*peer->owner(), id))
    gpu_copies_->drop(*peer->owner());
}

}  // namespace nixl_connect::runtime
