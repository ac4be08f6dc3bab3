// SPDX-License-Identifier: Apache-2.0
//
// The turn, and users' requests.
#include "runtime/dispatcher.h"

#include <thread>
#include <utility>

#include "base/log.h"
#include "paths/cuda/copy_thread.h"
#include "paths/local/exposures.h"
#include "paths/ucx/transfer.h"
#include "runtime/gpu_exports.h"
#include "runtime/operation_state.h"
#include "wire/notification.h"

namespace nixl_connect::runtime {
namespace {

const bool kHasCoresToSpare = std::thread::hardware_concurrency() >= 4;

unsigned copy_threads(const ConnectorOptions& options) {
  constexpr unsigned kMost = 8;
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  return options.copy_threads.value_or(std::min(cores, kMost));
}

std::string connecting_text(const RemoteAgent& agent, const Error& error) {
  return "connecting to peer " + agent.name() + ": " + error.what() +
         "; ask for new metadata";
}

core::Transfer to_transfer(const BeginRequest& request, const Peer& peer) {
  const OperationState::Identity& identity = request.state->identity();
  core::Transfer transfer;
  transfer.operation = identity.id;
  transfer.peer = peer.id;
  if (identity.kind == OperationKind::kWrite)
    transfer.access = wire::AccessKind::kWrite;
  if (identity.is_view) {
    transfer.access = wire::AccessKind::kView;
    transfer.bytes = request.state->size();
    transfer.path = request.state->path();
  }
  if (const auto& extension = request.agent->extension()) {
    transfer.lease = core::LeaseKey{extension->lease.id, extension->lease.token};
    transfer.may_begin_early = transfer.access == wire::AccessKind::kWrite &&
                               extension->allows_early_writes && peer.has_granted &&
                               peer.channel != nullptr;
  } else {
    transfer.notification_key = identity.notification_key;
  }
  transfer.deadline = request.deadline;
  return transfer;
}

std::unique_ptr<LocalChannels> open_channels(const Resources& resources,
                                             LocalChannels::Handlers handlers) {
  if (resources.is_host_forbidden) return nullptr;
  try {
    return std::make_unique<LocalChannels>(resources.instance, std::move(handlers));
  } catch (const Error& error) {
    base::log_info(std::string(error.what()) + "; peers on this host use UCX");
    return nullptr;
  }
}

}  // namespace

Dispatcher::Dispatcher(Resources& resources, Mailbox& mailbox, Deliveries& deliveries,
                       Calls calls)
    : resources_(resources),
      mailbox_(mailbox),
      deliveries_(deliveries),
      worker_(*resources.worker),
      gpu_workers_{{{resources.gpu_ucx}, {resources.gpu_ucx_of_ours}}},
      core_(core::Settings{.drain_timeout = resources.options.drain_timeout}),
      lease_checks_(resources.context,
                    [this](core::OperationId operation, bool is_valid,
                           std::optional<core::Failure> failure) {
                      core_.lease_checked(operation, is_valid, std::move(failure),
                                          time_);
                    }),
      channels_(open_channels(
          resources,
          {[this](LocalChannel& channel, base::BytesView payload, base::UniqueFd file) {
             control_arrived(&channel, payload, std::move(file));
           },
           [this](LocalChannel& channel) { channel_ended(channel); },
           [this](LocalChannel& channel) {
             peers_.drop(channel.peer, channel.failure);
           },
           [this](LocalChannel& channel) { peers_.see_if_left(channel.peer); },
           [this](LocalChannel& channel) { answer_rest(channel); }})),
      tracing_permission_({resources.yama_scope, resources.options.allow_ptrace,
                           resources.context.library().has_cma},
                          base::Tracers::of_this_process()),
      peers_(worker_, channels_.get(),
             {[this](core::PeerId peer) { return uses_memory_of(peer); },
              [this](core::PeerId peer) { return core_.is_held_by(peer); },
              [this](core::PeerId peer, const core::Failure& failure) {
                fetches_.drop_all_of(peer);
                servings_.forget(peer);
                core_.peer_lost(peer, failure, time_);
              },
              [this](paths::ucx::Endpoint& endpoint) {
                gpu_closing_.add(endpoint, time_);
              },
              [this](core::PeerId peer) {
                tracing_permission_.went(peer);
                served_.forget(peer);
                forget_gpu_memory_of(peer);
                core_.peer_left(peer);
              }}),
      outbox_(peers_, channels_.get(), resources.instance),
      gpu_files_([this](GpuFiles::Tag tag, GpuFiles::CopyPtr copy) {
        gpu_thread().add(tag, std::move(copy));
      }),
      fetches_(outbox_, gpu_files_, resources.options.drain_timeout),
      asked_keys_(outbox_),
      gpu_paths_(resources.gpus, resources.gpu_ucx, resources.gpu_ucx_of_ours,
                 gpu_files_, resources.costs.engine_bytes),
      host_paths_({resources.is_host_forbidden, copy_threads(resources.options)},
                  resources.costs, fetches_, gpu_paths_),
      calls_(std::move(calls)),
      // Besides the one that has the turn.
      copies_(copy_threads(resources.options) - 1, calls_.wake),
      staged_copies_(resources.gpus,
                     {copy_threads(resources.options), resources.costs.streaming_bytes},
                     calls_.wake),
      served_(served_handlers()) {
  worker_.on_message(wire::kNotificationMessageId, [this](base::BytesView payload) {
    notification_arrived(payload);
  });
  worker_.on_message(wire::kControlMessageId, [this](base::BytesView payload) {
    control_arrived(nullptr, payload, {});
  });
}

Dispatcher::~Dispatcher() {
  const GpuUcx::Current current(opened_gpu_ucx());
  peers_.drop_all("this Connector was closed");
  gpu_closing_.close_all();
  // The workers may outlive this object, and still hear of peers.
  for (const GpuWorker& each : gpu_workers_)
    if (each.worker != nullptr)
      each.worker->on_message(wire::kNotificationMessageId, nullptr);
  worker_.on_message(wire::kNotificationMessageId, nullptr);
  worker_.on_message(wire::kControlMessageId, nullptr);
}

bool Dispatcher::turn() {
  adopt_gpu_workers();
  const GpuUcx::Current current(opened_gpu_ucx());
  time_ = now();
  bool is_active = take_mail();
  // What users ask for is worth spinning on. What peers tell is not, unless a user
  // waits for it: with few cores that would take the one on which the peer runs.
  bool is_worth_spinning = is_active;
  finish_what_was_held();
  carry_out_all();
  if (help_copies()) is_active = is_worth_spinning = true;
  if (take_ended_gpu_copies()) {
    // Who waits for one of them is to have it before all else; the next such turn is
    // whole.
    was_cut_short_ = !was_cut_short_;
    if (was_cut_short_) {
      last_activity_ = time_ = now();
      return true;
    }
    is_active = is_worth_spinning = true;
  }
  heard_message_ = false;
  const bool did_hear_locally = listen_to_local_peers();
  const bool did_progress_gpus = progress_gpu_workers();
  if (worker_.progress() || did_hear_locally || did_progress_gpus) {
    is_active = true;
    if (!heard_message_ || initiating_ > 0 || kHasCoresToSpare)
      is_worth_spinning = true;
    carry_out_all();
  }
  if (is_closing_ && !did_take_leave_ && is_quiet()) {
    take_leave();
    is_active = true;
  }
  if (is_active) time_ = now();
  if (next_deadline() <= time_) {
    is_active = true;
    if (time_ >= close_deadline_) give_up();
    if (gave_up_) return true;
    core_.tick(time_);
    fetches_.tick(time_);
    answer_held_asks();
    release_streams_of_stuck();
    carry_out_all();
  }
  if (is_worth_spinning) last_activity_ = time_;
  outbox_.send_if_due(last_activity_, time_);
  return is_active;
}

bool Dispatcher::take_mail() {
  if (!mailbox_.take(requests_)) return false;
  for (Request& request : requests_)
    std::visit([this](auto& each) { handle(each); }, request);
  requests_.clear();
  return true;
}

void Dispatcher::carry_out_all() {
  start_ready();
  // Carrying out a command may bring further ones.
  for (core_.take_commands(commands_); !commands_.empty();
       core_.take_commands(commands_)) {
    for (core::Command& command : commands_)
      std::visit([this](auto& each) { carry_out(each); }, command);
    start_ready();
  }
}

void Dispatcher::start_ready() {
  for (auto ready = fetches_.take_ready(); !ready.empty();
       ready = fetches_.take_ready())
    for (const auto& [operation, resumed] : ready)
      if (!resumed.may_ask_again || !is_held(operation, running_.at(operation)))
        start(operation);
  start_with_keys();
}

void Dispatcher::handle(ExposeRequest& request) {
  Running& running = running_[request.exposure.operation];
  running.state = std::move(request.state);
  running.registrations = std::move(request.registrations);
  running.exposure = paths::local::find(request.exposure.token);
  running.lease = request.exposure.lease;
  running.after = std::move(request.after);
  if (has_gpu_files(running.registrations))
    gpu_leases_[request.exposure.lease] = request.exposure.operation;
  core_.expose(request.exposure, time_);
}

void Dispatcher::handle(BeginRequest& request) {
  OperationState& state = *request.state;
  Peer* peer = nullptr;
  try {
    peer = &connect(request);
  } catch (const Error& error) {
    return refuse(request, {error.kind(), connecting_text(*request.agent, error)});
  }
  try {
    const bool is_ready =
        state.identity().is_view ? map_for_view(request, *peer) : plan(request, *peer);
    if (!is_ready) return;
    const core::Transfer transfer = to_transfer(request, *peer);
    Running& running = running_[transfer.operation];
    running.view = state.view();
    running.state = std::move(request.state);
    running.registrations = std::move(request.registrations);
    running.agent = std::move(request.agent);
    running.remote = std::move(request.remote);
    running.after = std::move(request.after);
    running.walls = std::move(request.walls);
    running.rules = std::move(request.rules);
    running.path = request.path;
    running.is_served = request.is_served;
    running.peer = peer->id;
    ++initiating_;
    core_.begin(transfer, time_);
  } catch (const Error& error) {
    refuse(request, {error.kind(), state.description() + ": " + error.what()});
  }
}

// Before the core knows of it.
void Dispatcher::refuse(BeginRequest& request, core::Failure failure) {
  const core::OperationId operation = request.state->identity().id;
  if (Servings::is_mine(operation)) {
    const Servings::Serving serving = servings_.end(operation);
    return answer(serving.peer, wire::NotServed{serving.asked_as, failure.message});
  }
  // As in carry_out(Finish).
  { const RegistrationHold released = std::move(request.registrations); }
  finish(std::move(request.state), core::failed(std::move(failure)));
}

void Dispatcher::handle(ExplainRequest& request) {
  try {
    Peer& peer = connect(*request.agent);
    const core::Choice choice = host_paths_.choose(
        {request.kind, *request.memory, *request.agent, request.remote}, peer,
        request.rules, {});
    request.plan.set_value(core::to_plan(choice, request.rules));
  } catch (const Error& error) {
    request.plan.set_exception(std::make_exception_ptr(
        Error(error.kind(), connecting_text(*request.agent, error))));
  } catch (...) {
    request.plan.set_exception(std::current_exception());
  }
}

void Dispatcher::handle(CancelRequest& request) {
  core_.cancel(request.operation, time_);
}

void Dispatcher::handle(CloseRequest&) {
  is_closing_ = true;
  close_deadline_ = time_ + 2 * core::Time(resources_.options.drain_timeout);
  std::vector<core::OperationId> operations;
  // What is exposed for a served operation ends with that.
  for (const auto& [operation, running] : running_)
    if (!ServedOperations::is_mine(operation)) operations.push_back(operation);
  for (const core::OperationId operation : operations) core_.cancel(operation, time_);
}

void Dispatcher::take_leave() {
  did_take_leave_ = true;
  outbox_.send_all();
  peers_.for_each([this](Peer& peer) {
    if (peer.endpoint == nullptr) return;
    ++leaving_;
    peer.endpoint->flush([this] { --leaving_; });
  });
}

void Dispatcher::give_up() {
  constexpr core::Time kLastChance = std::chrono::seconds(1);
  if (!did_drop_all_) {
    did_drop_all_ = true;
    close_deadline_ = time_ + kLastChance;
    peers_.drop_all("this Connector is closing and they do not answer");
    return;  // their transfers and flushes end now
  }
  if (!running_.empty())
    base::log_error("closing a Connector: " + std::to_string(running_.size()) +
                    " operations did not become quiet; their memory is never released");
  gave_up_ = true;
  close_deadline_ = core::kNever;
  bool is_left_to_peers = lease_checks_.is_empty() && leaving_ == 0;
  for (auto& [operation, running] : running_) {
    const bool is_ours = running.copy || running.gpu_copy || running.transfer ||
                         served_.is_copying(operation);
    if (is_ours) is_left_to_peers = false;
    finish(running.state, core::failed(ErrorKind::kInternal,
                                       std::string("the Connector was closed and ") +
                                           (is_ours ? "the transport"
                                                    : "a peer that uses the memory") +
                                           " did not let go of it; do not reuse it"));
  }
  // Then it is enough to leave these alive, and what they hold.
  if (is_left_to_peers) static_cast<void>(new auto(std::exchange(running_, {})));
}

}  // namespace nixl_connect::runtime
