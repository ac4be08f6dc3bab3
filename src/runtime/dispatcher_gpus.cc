// SPDX-License-Identifier: Apache-2.0
//
// Copies between GPUs, or to and from them, which a thread of their own carries out.
#include "paths/cuda/copy_thread.h"
#include "runtime/dispatcher.h"
#include "runtime/operation_state.h"

namespace nixl_connect::runtime {

using paths::cuda::CopyFailure;

// False if the bytes cannot go by this path.
bool Dispatcher::try_start_gpu_copy(core::OperationId operation, Running& running,
                                    Peer& peer) {
  const paths::cuda::Driver* const driver = resources_.gpus.driver();
  if (driver == nullptr) return false;
  running.gpu_copy = gpu_paths_.copy(movement_of(running), peer, running.rules,
                                     running.state->bytes());
  if (!running.gpu_copy) return false;
  if (!gpu_copies_)
    gpu_copies_ = std::make_unique<paths::cuda::CopyThread>(*driver, wake_);
  try {
    gpu_copies_->add(operation, running.gpu_copy);
  } catch (...) {
    running.gpu_copy.reset();
    throw;
  }
  return true;
}

bool Dispatcher::have_gpu_copies_ended() const noexcept {
  return gpu_copies_ && gpu_copies_->has_ended();
}

bool Dispatcher::take_ended_gpu_copies() {
  if (!have_gpu_copies_ended()) return false;
  gpu_copies_->take_ended(ended_copies_);
  for (const core::OperationId operation : ended_copies_) gpu_copy_ended(operation);
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

// What copies still use stays until they have ended.
void Dispatcher::forget_gpu_memory_of(core::PeerId id) {
  const Peer* const peer = peers_.find_even_lost(id);
  if (gpu_copies_ && peer != nullptr && peer->instance)
    gpu_copies_->drop(*peer->instance);
}

}  // namespace nixl_connect::runtime
